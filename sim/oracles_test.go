package sim

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestOraclesAreListed: kvsim oracles names every oracle that can fire.
func TestOraclesAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, o := range Oracles() {
		if listed[o.ID] || o.Line == "" {
			t.Errorf("%q is listed twice or says nothing", o.ID)
		}
		listed[o.ID] = true
	}
	fires := regexp.MustCompile(`\b(?:fail|problem|final)\("([a-z][a-z -]*)"`)
	found := map[string]bool{}
	for _, pattern := range []string{"*.go", "tap/*.go", "audit/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range fires.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
				if !listed[m[1]] {
					t.Errorf("%s: oracle %q is not listed", file, m[1])
				}
			}
		}
	}
	if len(found) < 30 {
		t.Errorf("only %d oracles were found in the source", len(found))
	}
}
