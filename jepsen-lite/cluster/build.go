package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build compiles cmd/kvorum into dir and returns the path of the program. race adds the race detector.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	program := filepath.Join(dir, "kvorum")
	arguments := []string{"build", "-o", program}
	if race {
		arguments = append(arguments, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(arguments, "github.com/kvorum/kvorum/cmd/kvorum")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build kvorum: %w\n%s", err, out)
	}
	return program, nil
}
