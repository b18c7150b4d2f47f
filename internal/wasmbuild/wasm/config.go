package wasm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Config says what to build and with which changes. The zero value of each field but Root is a sane default.
type Config struct {
	Root     string            // folder of the module's go.mod
	Work     string            // where copies go; default: kvorum/wasmbuild in the user's cache folder. May be shared by builds at one time
	Patches  []Patch           // on top of LogPatches
	Replaces map[string]string // further modules -> folder, absolute
	Overlay  map[string]string // source file -> its replacement, absolute; not for files of the module cache
	Flags    []string          // further flags of go build and go vet
}

func (c Config) withDefaults() (Config, error) {
	if c.Root == "" {
		return c, errors.New("wasm build: Root is empty")
	}
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return c, fmt.Errorf("wasm build: %w", err)
	}
	c.Root = root
	if c.Work == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return c, fmt.Errorf("wasm build: no cache folder, give one by --work: %w", err)
		}
		c.Work = filepath.Join(cache, "kvorum", "wasmbuild")
	}
	if c.Work, err = filepath.Abs(c.Work); err != nil {
		return c, fmt.Errorf("wasm build: %w", err)
	}
	return c, nil
}
