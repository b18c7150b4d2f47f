package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// reloadWithin is when a reload that had no effect is asked for again: HAProxy's master, which executes itself anew once its
// first worker runs, loses a signal that comes at this moment.
const reloadWithin = 10 * time.Second

// reloaded asks HAProxy's master for a new worker until one serves. The proof is whose process answers.
func reloaded(ctx context.Context, ask func(context.Context) error, worker func(context.Context) (string, error)) (string, error) {
	before, err := worker(ctx)
	if err != nil {
		return "", err
	}
	for {
		if err := ask(ctx); err != nil {
			return "", err
		}
		limited, cancel := context.WithTimeout(ctx, reloadWithin)
		after := ""
		err := cluster.WaitFor(limited, "HAProxy's new worker", func(ctx context.Context) (err error) {
			if after, err = worker(ctx); err != nil || after == before {
				err = errors.Join(errors.New("worker "+after), err)
			}
			return err
		})
		cancel()
		if err == nil {
			return fmt.Sprintf("HAProxy's worker is process %s, was %s", after, before), nil
		}
		if ctx.Err() != nil {
			return "", err
		}
	}
}
