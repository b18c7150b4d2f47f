package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/wire"
)

type healthCmd struct {
	URL     string        `arg:"" default:"http://127.0.0.1:8080/v1/health/ready" help:"What to ask, as a URL or host:port; without a path whether it is ready (default ${default})."`
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer (default ${default})."`
}

// Run asks once.
func (c *healthCmd) Run(p *program) error {
	ctx, cancel := context.WithTimeout(p.ctx, c.Timeout)
	defer cancel()
	at, err := healthURL(c.URL)
	if err != nil {
		return usageError{err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return usageError{err}
	}
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, address string) (net.Conn, error) { return network.Dial(ctx, address) },
		DisableKeepAlives: true,
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("no answer from %s: %w", at, err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // the status says it all; the body is for people
	text := strings.TrimSpace(string(body))
	var problem wire.Problem
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		text = problem.Detail
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", at, response.Status, text)
	}
	_, err = fmt.Fprintln(p.stdout, response.Status)
	return err
}

// healthURL completes what may be only host:port: it is asked over HTTP, and without a path whether it is ready.
func healthURL(given string) (string, error) {
	text := given
	if !strings.Contains(text, "://") {
		address, _, _ := strings.Cut(text, "/")
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			return "", fmt.Errorf("%q: want host:port or http://host:port/path", given)
		}
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", err
	case u.Host == "" || u.Scheme != "http":
		return "", fmt.Errorf("%q: want host:port or http://host:port/path", given)
	case u.Path == "" || u.Path == "/":
		u.Path = "/v1/health/ready"
	}
	return u.String(), nil
}

type versionCmd struct{}

// Run prints the version, the commit it was built from if that is known, and the toolchain.
func (versionCmd) Run(p *program) error {
	_, err := fmt.Fprintln(p.stdout, versionLine())
	return err
}

// versionFlag is --version, which wins over whatever else is on the command line.
type versionFlag bool

// BeforeReset is called by kong when the flag is there, before anything is found to be missing.
func (versionFlag) BeforeReset(k *kong.Kong) error {
	_, err := fmt.Fprintln(k.Stdout, versionLine())
	k.Exit(exitOK)
	return err
}

func versionLine() string {
	return fmt.Sprintf("kvorum %s %s %s/%s", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version is what the Go toolchain recorded in the binary: a module version, or "devel" with the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "devel-" + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "devel"
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
