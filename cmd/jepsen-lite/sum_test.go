package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/jepsen-lite/trial"
)

// TestSum: the worst verdict is that of all, strikes of all stand in one table, and the exit code says so.
func TestSum(t *testing.T) {
	folder := func(verdict, seconds string) string {
		dir := t.TempDir()
		result := `{"verdict": "` + verdict + `", "seconds": 60, "writes_acknowledged": 700, "nemeses": {"kill-leader": {"fired": 2, "proved": 2}}, "no_replay": "cut off",
			"strikes": [{"nemesis": "kill-leader", "shard": 0, "role": "leader", "without_service": {"nodes": {"seconds": ` + seconds + `}}}]}`
		if err := os.WriteFile(filepath.Join(dir, trial.ResultFile), []byte(result), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	empty := t.TempDir()
	good, slow, vacuous, bad := folder("linearizable", "1.25"), folder("linearizable", "3.5"), folder("vacuous", "1"), folder("violation", "1")
	for _, c := range []struct {
		folders []string
		code    int
		verdict trial.Verdict
	}{
		{[]string{good, slow}, exitLinearizable, trial.Linearizable}, {[]string{good, vacuous, slow}, exitUndecided, trial.Vacuous},
		{[]string{good, empty, slow}, exitUndecided, trial.Undecided}, {[]string{bad, empty}, exitViolation, trial.Violation},
		{[]string{bad, vacuous}, exitViolation, trial.Violation}, {[]string{vacuous, bad, good}, exitViolation, trial.Violation},
	} {
		var out, text bytes.Buffer
		code := run(t.Context(), append([]string{"sum"}, c.folders...), &out, &text)
		var s sum
		if err := json.Unmarshal(out.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		n := len(c.folders)
		if slices.Contains(c.folders, empty) {
			n--
		}
		if code != c.code || s.Verdict != c.verdict || s.Runs != n || s.Writes != 700*n || s.Nemeses["kill-leader"].Proved != 2*n || s.Outages[0].Strikes != n {
			t.Errorf("code %d, %+v", code, s)
		}
		if c.code == exitLinearizable && !strings.Contains(text.String(), "| kill-leader          | leader   |       2 |    2.38 s |    3.50 s |") {
			t.Errorf("%s", &text)
		}
	}
}
