package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is what the go command says of one module.
type module struct {
	Path    string
	Version string
	Dir     string
	Replace *module
	Error   *struct{ Err string }
}

// find asks the go command for the modules of patches, downloading what is missing, and checks their versions.
func find(ctx context.Context, root string, patches []Patch) (map[string]module, error) {
	want := map[string]string{}
	for _, p := range patches {
		if v, ok := want[p.Module]; ok && v != p.Version {
			return nil, fmt.Errorf("two patches of %s are for %s and %s", p.Module, v, p.Version)
		}
		want[p.Module] = p.Version
	}
	args := []string{"mod", "download", "-json"}
	for path := range want {
		args = append(args, path)
	}
	out, err := goCommand(ctx, root, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("find the modules to patch: %w", withStderr(err))
	}
	found := map[string]module{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var m module
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf("find the modules to patch: %w", err)
		}
		found[m.Path] = m
	}
	for path, version := range want {
		if got := found[path]; got.Dir == "" || got.Version != version {
			return nil, fmt.Errorf("the patch of %s is for %s, go.mod has %q: look at the module's changes and write the patch anew", path, version, got.Version)
		}
	}
	return found, nil
}

// prepare returns module -> folder of the patched copy. Copies are made once: the folder's name is the hash of the patches.
func (c Config) prepare(ctx context.Context) (map[string]string, error) {
	patches := append(LogPatches(), c.Patches...)
	parent := filepath.Join(c.Work, "modules-"+hash(patches))
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		found, err := find(ctx, c.Root, patches)
		if err != nil {
			return nil, err
		}
		if err := copyAndPatch(parent, found, patches); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	folders := map[string]string{}
	for _, p := range patches {
		folders[p.Module] = folderOf(parent, p.Module)
	}
	return folders, nil
}

func folderOf(parent, module string) string {
	return filepath.Join(parent, strings.ReplaceAll(module, "/", "_"))
}

// copyAndPatch makes parent in one step, so that an interrupted one leaves nothing that looks whole.
func copyAndPatch(parent string, found map[string]module, patches []Patch) error {
	if err := os.MkdirAll(filepath.Dir(parent), 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(parent), "making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	for path, m := range found {
		if err := os.CopyFS(folderOf(temporary, path), os.DirFS(m.Dir)); err != nil {
			return fmt.Errorf("copy %s: %w", path, err)
		}
	}
	if err := makeWritable(temporary); err != nil {
		return err
	}
	for _, p := range patches {
		if err := p.replace(folderOf(temporary, p.Module)); err != nil {
			return err
		}
	}
	for _, p := range patches {
		if err := p.apply(folderOf(temporary, p.Module)); err != nil {
			return err
		}
	}
	err = os.Rename(temporary, parent)
	if _, stat := os.Stat(parent); err != nil && stat != nil {
		return err
	}
	return nil // made by us, or by another build at the same time: the same content
}

// makeWritable: the module cache is read-only, and folders must be writable to be removed.
func makeWritable(folder string) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
}

// hash names anything that JSON can write; maps are written in order of their keys.
func hash(values ...any) string {
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // only plain data comes here
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// goCommand runs the go command at root, outside of any workspace: -modfile does not work inside one.
func goCommand(ctx context.Context, root string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd
}

func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}
