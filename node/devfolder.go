package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvorum/kvorum/replica/controller"
)

// devFile remembers what a dev data folder was made with. It is the first file in the folder.
const devFile = "dev.json"

type devShape struct {
	Shards   int `json:"shards"`
	Replicas int `json:"replicas"`
}

// claimDevFolder checks that the folder was made with want, or makes an empty or missing one so. It changes no other.
func claimDevFolder(folder string, want devShape) error {
	path := filepath.Join(folder, devFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeDevFolder(folder, want)
	}
	if err != nil {
		return fmt.Errorf("data folder %s cannot be read: %w; check its owner and mode, or give another with --data", folder, err)
	}
	var have devShape
	if err := json.Unmarshal(raw, &have); err != nil {
		return fmt.Errorf("%s is corrupt: %w; give another folder with --data", path, err)
	}
	if have != want {
		return fmt.Errorf("data folder %s holds %d shards with %d replicas: start it with --shards %d --replicas %d, or give another folder with --data", folder, have.Shards, have.Replicas, have.Shards, have.Replicas)
	}
	return nil
}

func makeDevFolder(folder string, shape devShape) error {
	if err := controller.MakeFolder(folder); err != nil {
		return fmt.Errorf("data folder %s cannot be made: %w; give another with --data", folder, err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("data folder %s cannot be read: %w; check its owner and mode, or give another with --data", folder, err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" && e.Name() != devFile+".tmp" {
			return fmt.Errorf("data folder %s holds %q but no %s: kvorum dev did not make it; give an empty folder with --data", folder, e.Name(), devFile)
		}
	}
	raw, err := json.Marshal(shape)
	if err != nil {
		return err
	}
	if err := writeDevFile(filepath.Join(folder, devFile), raw); err != nil {
		return fmt.Errorf("data folder %s cannot be written: %w; give another with --data", folder, err)
	}
	return nil
}

// writeDevFile writes aside, syncs and renames: a crash leaves no half of a file.
func writeDevFile(path string, content []byte) error {
	temporary := path + ".tmp"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
