package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/dockernet"
)

// ErrNoDocker: there is no engine, or no compose, that could be asked.
var ErrNoDocker = errors.New("containers can't be run here")

const (
	engineWithin   = 30 * time.Second // to answer what it is
	netToolsWithin = 10 * time.Minute // to install packages and to make the image
)

// EnginePossible is an error of ErrNoDocker if containers can't be run here.
func EnginePossible(ctx context.Context) error {
	_, err := findCompose(ctx)
	return err
}

// findCompose asks the engine if it is there, and finds the compose command.
func findCompose(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, engineWithin)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "info", "-f", "{{.ServerVersion}}").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: docker info: %w: %s", ErrNoDocker, err, strings.TrimSpace(string(out)))
	}
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}, nil
	}
	if _, err := exec.LookPath("docker-compose"); err != nil {
		return nil, fmt.Errorf("%w: neither docker compose nor docker-compose", ErrNoDocker)
	}
	return []string{"docker-compose"}, nil
}

// NetTools runs `make nettools` in the checkout, and finds out if rules can be written with that image.
func NetTools(ctx context.Context, checkout string) error {
	ctx, cancel := context.WithTimeout(ctx, netToolsWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", "--no-print-directory", "nettools")
	cmd.Dir = checkout
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make nettools: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return dockernet.Try(ctx)
}
