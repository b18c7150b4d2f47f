package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/network"
)

// mustRefuseDev starts a dev cluster that must not start, and returns the error's text.
func mustRefuseDev(t *testing.T, folder, listen string, shards int) string {
	t.Helper()
	d, err := OpenDev(t.Context(), DevConfig{Listen: listen, DataDir: folder, Shards: shards, Replicas: 1, Tuning: devTuning()})
	if err == nil {
		closeDev(t, d)
		t.Fatal("it started")
	}
	return err.Error()
}

func mustStartDev(t *testing.T, folder string, shards int) {
	t.Helper()
	d, err := OpenDev(t.Context(), DevConfig{Listen: "127.0.0.1:0", DataDir: folder, Shards: shards, Replicas: 1, Tuning: devTuning()})
	if err != nil {
		t.Fatal(err)
	}
	closeDev(t, d)
}

// TestDevPortInUse: a start that meets a port in use decides nothing about the folder.
func TestDevPortInUse(t *testing.T) {
	l, err := network.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	folder := filepath.Join(t.TempDir(), "new")
	if text := mustRefuseDev(t, folder, l.Addr().String(), 5); !strings.Contains(text, "--listen") {
		t.Errorf("%q does not say --listen", text)
	}
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
	mustStartDev(t, folder, 2)
}

// TestDevFolderOfStrangers: a folder with files that are not ours is refused, unchanged, and the port is free again.
func TestDevFolderOfStrangers(t *testing.T) {
	folder := t.TempDir()
	thesis := filepath.Join(folder, "thesis.tex")
	if err := os.WriteFile(thesis, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := network.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	text := mustRefuseDev(t, folder, address, 2)
	for _, part := range []string{"thesis.tex", folder, "--data"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	again, err := network.Listen(t.Context(), address)
	if err != nil {
		t.Fatalf("the port was not given back: %v", err)
	}
	again.Close()
}

// TestDevFolderFresh: what a new file system or a crash in the very first write leaves is no stranger's.
func TestDevFolderFresh(t *testing.T) {
	folder := t.TempDir()
	err := errors.Join(os.Mkdir(filepath.Join(folder, "lost+found"), 0o700), os.WriteFile(filepath.Join(folder, devFile+".tmp"), []byte(`{"sha`), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	mustStartDev(t, folder, 2)
	mustStartDev(t, folder, 2)
	if text := mustRefuseDev(t, folder, "127.0.0.1:0", 3); !strings.Contains(text, "--shards 2 --replicas 1") {
		t.Error(text)
	}
}
