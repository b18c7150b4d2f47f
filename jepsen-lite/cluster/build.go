package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build compiles cmd/kvorum into dir and returns the path of the program. race adds the race detector.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	if race {
		return build(ctx, dir, "-race")
	}
	return build(ctx, dir)
}

// BuildBroken is Build with some of the project's source files replaced by others: for programs with a bug on purpose.
func BuildBroken(ctx context.Context, dir string, overlay map[string]string) (string, error) {
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return "", err
	}
	return build(ctx, dir, "-overlay", name)
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
