package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/kvorum/kvorum/network"
)

type healthCmd struct {
	URL     string        `arg:"" default:"http://127.0.0.1:8080/v1/health/ready" help:"What to ask (default ${default})."`
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer (default ${default})."`
}

// Run asks once.
func (c *healthCmd) Run(p *program) error {
	ctx, cancel := context.WithTimeout(p.ctx, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return usageError{err}
	}
	if request.URL.Host == "" {
		return usagef("%q: want http://host:port/path", c.URL)
	}
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, address string) (net.Conn, error) { return network.Dial(ctx, address) },
		DisableKeepAlives: true,
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("no answer from %s: %w", c.URL, err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // the status says it all; the body is for people
	text := strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", c.URL, response.Status, text)
	}
	_, err = fmt.Fprintln(p.stdout, response.Status)
	return err
}

type versionCmd struct{}

// Run prints the version, the commit it was built from if that is known, and the toolchain.
func (versionCmd) Run(p *program) error {
	_, err := fmt.Fprintf(p.stdout, "kvorum %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
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

// byteSize is a number of bytes that reads and prints as 512MiB, 2GiB, 100MB or 4096.
type byteSize uint64

// UnmarshalText reads a size.
func (b *byteSize) UnmarshalText(text []byte) error {
	units := []struct {
		suffix string
		factor uint64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1}}
	for _, unit := range units {
		digits, ok := strings.CutSuffix(string(text), unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 64)
		if err != nil || n > (1<<62)/unit.factor {
			break
		}
		*b = byteSize(n * unit.factor)
		return nil
	}
	return errors.New("want a number of bytes such as 4096, 512MiB or 2GB")
}

// String prints a size with three digits at most after rounding.
func (b byteSize) String() string {
	value, unit := float64(b), 0
	for value >= 1024 && unit < 4 {
		value, unit = value/1024, unit+1
	}
	name := []string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
	if unit == 0 || value >= 100 {
		return fmt.Sprintf("%.0f%s", value, name)
	}
	return fmt.Sprintf("%.1f%s", value, name)
}
