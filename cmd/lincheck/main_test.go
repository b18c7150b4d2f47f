package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asProgram makes the test binary be lincheck.
const asProgram = "LINCHECK_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestExitCodesOfTheProgram: of a process, on the files of testdata.
func TestExitCodesOfTheProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"linearizable.jsonl": 0, "linearizable.edn": 0, "violation.jsonl": 1, "violation.edn": 1,
		"misspelt.jsonl": 2, "contradiction.edn": 2, "missing.jsonl": 2, "nothing.jsonl": 3,
	} {
		c := exec.Command(self, filepath.Join("testdata", name))
		c.Env = append(os.Environ(), asProgram+"=1")
		out, err := c.CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != want {
			t.Errorf("%s: exit code %d, want %d\n%s", name, code, want, out)
		}
		if want == 2 && !strings.HasPrefix(string(out), "lincheck: ") {
			t.Errorf("%s: %s", name, out)
		}
	}
}
