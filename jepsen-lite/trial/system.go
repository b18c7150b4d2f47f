package trial

import (
	"context"
	"fmt"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

// Targets: what a cluster is made of.
const (
	Processes = "processes"
	Compose   = "compose" // the project's docker-compose.yml
)

// system is a cluster as a trial sees it.
type system interface {
	// prepare makes what a start needs and what may take long, such as images.
	prepare(ctx context.Context) error
	// start starts everything and waits until it serves.
	start(ctx context.Context) error
	// victims is the cluster as nemeses see it.
	victims() *nemesis.Target
	// mend brings back whatever a nemesis may have left broken, and waits until all of it serves.
	mend(ctx context.Context) error
	// endpoints are where clients go, and whether they know no other way.
	endpoints() (urls []string, only bool)
	// ways are the ways to one shard on which its service is measured: for each, by name, where it begins.
	ways(shard uint32) map[string][]string
	// everyEndpoint is every way to the data, for the reads at the end.
	everyEndpoint() []string
	// ask asks every node how far its machine is and what it holds.
	ask(ctx context.Context) ([]shown, error)
	// close ends all that runs, and says what had ended unasked. A second time it does nothing.
	close() error
	// What is left of it, once it is closed.
	alarms() ([]string, error)
	order(states []shown) order
	logTails(lines int) string
}

// leaderless: that a shard which has a quorum finds no leader for as long as a trial waits is the cluster's failure.
func leaderless(err error) error {
	if err != nil {
		err = fmt.Errorf("%w: %w", nemesis.ErrBroken, err)
	}
	return err
}

func newSystem(ctx context.Context, c Config) (system, error) {
	if c.Target == Compose {
		return newContainers(ctx, c)
	}
	return newProcesses(ctx, c)
}
