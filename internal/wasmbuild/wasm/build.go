package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Build compiles the main package (a path as for go build, such as ./cmd/kvorum) to the file output. When nothing has
// changed since the last time it costs what an idle go build does.
func Build(ctx context.Context, config Config, pkg, output string) error {
	output, err := filepath.Abs(output)
	if err != nil {
		return fmt.Errorf("wasm build: %w", err)
	}
	return run(ctx, config, "build", "-o", output, pkg)
}

// Vet vets packages for wasip1.
func Vet(ctx context.Context, config Config, packages ...string) error {
	return run(ctx, config, "vet", packages...)
}

// Files lists what packages, and all that they import, are built from: each file as its package's import path, a slash, and its path
// in the package.
func Files(ctx context.Context, config Config, packages ...string) (map[string]bool, error) {
	cmd, err := command(ctx, config, "list", append([]string{"-deps", "-json=ImportPath,GoFiles,SFiles,HFiles,EmbedFiles"}, packages...)...)
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for wasip1: %w", withStderr(err))
	}
	files := map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct {
			ImportPath                          string
			GoFiles, SFiles, HFiles, EmbedFiles []string
		}
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list for wasip1: %w", err)
		}
		for _, name := range slices.Concat(p.GoFiles, p.SFiles, p.HFiles, p.EmbedFiles) {
			files[p.ImportPath+"/"+name] = true
		}
	}
	return files, nil
}

func run(ctx context.Context, config Config, verb string, args ...string) error {
	cmd, err := command(ctx, config, verb, args...)
	if err != nil {
		return err
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s for wasip1: %w\n%s", verb, err, bytes.TrimSpace(said))
	}
	return nil
}

// command is a go command that sees what the config changes.
func command(ctx context.Context, config Config, verb string, args ...string) (*exec.Cmd, error) {
	c, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	flags, err := c.flags(ctx)
	if err != nil {
		return nil, fmt.Errorf("wasm %s: %w", verb, err)
	}
	cmd := goCommand(ctx, c.Root, slices.Concat([]string{verb}, flags, args)...)
	cmd.Env = append(cmd.Env, "GOOS=wasip1", "GOARCH=wasm")
	return cmd, nil
}

// flags prepares all that the flags name.
func (c Config) flags(ctx context.Context) ([]string, error) {
	replaces, err := c.prepare(ctx)
	if err != nil {
		return nil, err
	}
	maps.Copy(replaces, c.Replaces)
	modfile, err := c.writeModfile(ctx, replaces)
	if err != nil {
		return nil, err
	}
	flags := append([]string{"-modfile=" + modfile}, c.Flags...)
	if len(c.Overlay) == 0 {
		return flags, nil
	}
	b, err := json.Marshal(map[string]any{"Replace": c.Overlay})
	if err != nil {
		return nil, err
	}
	overlay := filepath.Join(c.Work, hash(c.Overlay)+".overlay.json")
	if err := WriteFile(overlay, b); err != nil {
		return nil, err
	}
	return append(flags, "-overlay="+overlay), nil
}

// writeModfile writes a copy of go.mod with the replace lines, and of go.sum beside it, unless they are there.
func (c Config) writeModfile(ctx context.Context, replaces map[string]string) (string, error) {
	mod, err := os.ReadFile(filepath.Join(c.Root, "go.mod"))
	if err != nil {
		return "", err
	}
	sum, err := os.ReadFile(filepath.Join(c.Root, "go.sum"))
	if err != nil {
		return "", err
	}
	base := filepath.Join(c.Work, hash(string(mod), string(sum), replaces))
	if _, err := os.Stat(base + ".mod"); err == nil {
		return base + ".mod", nil
	}
	if err := WriteFile(base+".sum", sum); err != nil {
		return "", err
	}
	draft, err := os.CreateTemp(c.Work, "making-*.mod")
	if err != nil {
		return "", err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(mod)
	if err := errorsFirst(err, draft.Close()); err != nil {
		return "", err
	}
	args := []string{"mod", "edit"}
	for _, path := range slices.Sorted(maps.Keys(replaces)) {
		args = append(args, "-replace="+path+"="+replaces[path])
	}
	if _, err := goCommand(ctx, c.Root, append(args, draft.Name())...).Output(); err != nil {
		return "", fmt.Errorf("add replace lines: %w", withStderr(err))
	}
	return base + ".mod", os.Rename(draft.Name(), base+".mod") // last: its presence says that all is there
}

// WriteFile writes in one step: another build may be reading.
func WriteFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "making-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err := errorsFirst(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func errorsFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
