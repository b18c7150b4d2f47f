package dockernet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPossible: an image that is there is tried, with all that faults are made of; without one it is possible where one can be made.
func TestPossible(t *testing.T) {
	const has, none, knows, knowsNot = "echo id;;", "true;;", "while read -r line; do echo \"$line\" >>tried; done;;", "echo no such thing; exit 1;;"
	for _, c := range []struct{ image, run, aptGet, want string }{
		{has, knows, "", ""}, {has, knowsNot, "", "no such thing"}, {none, knows, "", "no image"}, {none, knowsNot, "apt-get", ""},
		{"echo no engine; exit 1;;", knows, "apt-get", "no engine"},
	} {
		bin := t.TempDir()
		t.Chdir(bin)
		t.Setenv("PATH", bin)
		programs := map[string]string{"docker": "#!/bin/sh\ncase $1 in image) " + c.image + " run) " + c.run + " esac\n"}
		if c.aptGet != "" {
			programs[c.aptGet] = "#!/bin/sh\n"
		}
		for name, script := range programs {
			if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		err := Possible()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrNoTools) != (c.want == "no image") {
			t.Errorf("%+v: %v", c, err)
		}
		tried, _ := os.ReadFile("tried") // no file: not tried
		for _, what := range []string{"numgen", "drop", "list counters", "tbf"} {
			if asked := c.image == has && c.run == knows; strings.Contains(string(tried), what) != asked {
				t.Errorf("%+v: the trial was\n%s", c, tried)
			}
		}
	}
}
