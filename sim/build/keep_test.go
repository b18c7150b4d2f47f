package build

import (
	"os"
	"path/filepath"
	"testing"
)

// TestKept: what was kept comes back whole, or not at all.
func TestKept(t *testing.T) {
	name := filepath.Join(t.TempDir(), "linked")
	if readKept(name) != nil {
		t.Error("nothing was kept")
	}
	for _, program := range []string{"one", "another program"} {
		if err := keep(name, []byte(program)); err != nil {
			t.Fatal(err)
		}
		if got := readKept(name); string(got) != program {
			t.Errorf("%q comes back as %q", program, got)
		}
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	whole[3] ^= 1
	for _, bad := range [][]byte{whole, whole[:20], whole[:40], nil} {
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readKept(name); got != nil {
			t.Errorf("%q was taken for a program", got)
		}
	}
}
