package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build compiles cmd/kvorum into dir and returns the path of the program. race adds the race detector.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	if race {
		return build(ctx, dir, "-race")
	}
	return build(ctx, dir)
}

// Changed is a dependency with other files: name, relative to the module, -> text.
type Changed struct {
	Module string
	Files  map[string]string
}

// BuildBroken is Build with some of the project's source files replaced by others, and with changed dependencies: for programs
// with a bug on purpose. It must be called within the project.
func BuildBroken(ctx context.Context, dir string, overlay map[string]string, modules ...Changed) (string, error) {
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return "", err
	}
	flags := []string{"-overlay", name}
	if len(modules) > 0 { // an overlay may not cover files of the module cache
		modfile, err := replaced(ctx, dir, modules)
		if err != nil {
			return "", err
		}
		flags = append(flags, "-modfile", modfile)
	}
	return build(ctx, dir, flags...)
}

// replaced writes changed copies of modules, and a copy of the project's go.mod that uses them.
func replaced(ctx context.Context, dir string, modules []Changed) (modfile string, err error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	gomod := strings.TrimSpace(string(out))
	modfile = filepath.Join(dir, "broken.mod")
	err = errors.Join(copyFile(modfile, gomod), copyFile(filepath.Join(dir, "broken.sum"), strings.TrimSuffix(gomod, "mod")+"sum"))
	for _, m := range modules {
		folder := filepath.Join(dir, strings.ReplaceAll(m.Module, "/", "_"))
		err = errors.Join(err, m.write(ctx, folder))
		if out, editing := exec.CommandContext(ctx, "go", "mod", "edit", "-replace="+m.Module+"="+folder, modfile).CombinedOutput(); editing != nil {
			err = errors.Join(err, fmt.Errorf("go mod edit: %w: %s", editing, out))
		}
	}
	return modfile, err
}

// write writes the changed copy into a new folder.
func (m Changed) write(ctx context.Context, folder string) error {
	original, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", m.Module).Output()
	if err != nil {
		return fmt.Errorf("go list -m %s: %w", m.Module, err)
	}
	if err := os.CopyFS(folder, os.DirFS(strings.TrimSpace(string(original)))); err != nil {
		return err
	}
	for name, text := range m.Files {
		name = filepath.Join(folder, filepath.FromSlash(name))
		if err := os.Chmod(filepath.Dir(name), 0o755); err != nil { // the module cache is read-only
			return err
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

func build(ctx context.Context, dir string, flags ...string) (string, error) {
	program := filepath.Join(dir, "kvorum")
	arguments := append([]string{"build", "-o", program}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(arguments, "github.com/kvorum/kvorum/cmd/kvorum")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build kvorum: %w\n%s", err, out)
	}
	return program, nil
}
