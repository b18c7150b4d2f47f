package dockernet

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// ErrNoTools: there is no Image, and it can't be made here.
var ErrNoTools = errors.New("no image " + Image)

// tryWithin is what a trial may take: a second, or three where much else runs.
const tryWithin = 30 * time.Second

// Possible is an error if there is no engine, if it can't write rules, or of ErrNoTools if neither the image nor what it is made
// with is there. It makes nothing: that an image which is yet to be made will do is only known afterwards, by Try.
func Possible() error {
	ctx, cancel := context.WithTimeout(context.Background(), tryWithin)
	defer cancel()
	has, err := exec.CommandContext(ctx, "docker", "image", "ls", "-q", Image).CombinedOutput()
	switch {
	case err != nil:
		return fmt.Errorf("docker image ls: %w: %s", err, strings.TrimSpace(string(has)))
	case len(has) > 0:
		return Try(ctx)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%w, and to make it from Debian packages: %w", ErrNoTools, err)
	}
	return nil
}

// Try writes what faults are made of into a network that nobody else has and that ends with the trial: image and kernel must know
// all of it. It needs the Image.
func Try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	queue, err := netns.Queue(128)
	if err != nil {
		return err
	}
	f := &Fault{Links: []netns.Link{{From: "there", To: "here"}}, PerMill: 500, table: "kvorum_trial"}
	script := f.write("here", map[string]string{"there": "192.0.2.1"}) + "nft -j list counters table ip " + f.table + "\n" + slowDown("lo", queue)
	cmd := exec.CommandContext(ctx, "docker", oneShot("none", "trial")...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("a trial of rules for a container's network: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
