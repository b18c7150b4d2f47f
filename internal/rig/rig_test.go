package rig

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFolderIsReplacedOnlyIfOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(NewFolder(path, ".mark"))
	must(os.WriteFile(filepath.Join(path, "old"), nil, 0o600))
	must(NewFolder(path, ".mark"))
	if _, err := os.Stat(filepath.Join(path, "old")); err == nil {
		t.Error("a file of the earlier run is still there")
	}
	must(os.Remove(filepath.Join(path, ".mark")))
	must(NewFolder(path, ".mark")) // empty
	must(os.WriteFile(filepath.Join(path, "precious"), nil, 0o600))
	if err := NewFolder(path, ".other"); err == nil || !strings.Contains(err.Error(), "--out") {
		t.Errorf("a folder that another program wrote: %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, "precious")); err != nil {
		t.Error(err)
	}
}

// TestFolderOfARunUnderWayIsRefused: of another process, which is this test once more. It may replace its own.
func TestFolderOfARunUnderWayIsRefused(t *testing.T) {
	const folder = "KVORUM_TEST_FOLDER"
	if path := os.Getenv(folder); path != "" {
		if err := errors.Join(NewFolder(path, ".mark"), NewFolder(path, ".mark")); err != nil {
			t.Fatal(err)
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	path := filepath.Join(t.TempDir(), "run")
	other := exec.Command(os.Args[0], "-test.run=^TestFolderOfARunUnderWayIsRefused$")
	other.Env = append(os.Environ(), folder+"="+path)
	in, err1 := other.StdinPipe()
	out, err2 := other.StdoutPipe()
	if err := errors.Join(err1, err2, other.Start()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	for name, try := range map[string]func(path, mark string) error{"MayBeNew": MayBeNew, "NewFolder": NewFolder} {
		if err := try(path, ".mark"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("of process %d", other.Process.Pid)) {
			t.Errorf("%s, while a run is under way: %v", name, err)
		}
	}
	if err := errors.Join(in.Close(), other.Wait()); err != nil {
		t.Fatal(err)
	}
	if err := NewFolder(path, ".mark"); err != nil {
		t.Errorf("when it is over: %v", err)
	}
}

func TestDurationsAreWords(t *testing.T) {
	b, err := json.Marshal(Duration(1500 * time.Millisecond))
	if err != nil || string(b) != `"1.5s"` {
		t.Errorf("%s, %v", b, err)
	}
	var d Duration
	if err := json.Unmarshal([]byte(`"2m"`), &d); err != nil || d != Duration(2*time.Minute) {
		t.Errorf("%s, %v", d, err)
	}
	if err := json.Unmarshal([]byte(`"2"`), &d); err == nil {
		t.Error("a time without a unit is taken")
	}
}

func TestRootIsThisModule(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "internal", "rig", "rig.go")); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if root, err := Root(); err == nil {
		t.Errorf("found %s from outside", root)
	}
}
