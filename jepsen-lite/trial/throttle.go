package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

// What a throttled container has of a processor: the least of which something gets done yet.
const (
	quotaPeriod = 100 * time.Millisecond
	quota       = quotaPeriod / 50
	noQuota     = "-1"
)

// throttle gives a container a fiftieth of a processor.
func (s *containers) throttle(ctx context.Context, member string) (nemesis.Outage, error) {
	c := container{s, member}
	before, err := s.CPU(ctx, member)
	if err != nil {
		return nil, err
	}
	if _, err = c.do(ctx, func(s state) bool { return s.throttled }, "update", "--cpu-period", fmt.Sprint(quotaPeriod.Microseconds()), "--cpu-quota", fmt.Sprint(quota.Microseconds())); err != nil {
		return nil, errors.Join(err, c.unthrottle(context.WithoutCancel(ctx)))
	}
	return throttled{c, before[member], time.Now()}, nil
}

// throttled is a container with a quota, and what it had waited for a processor before.
type throttled struct {
	container
	before cluster.Usage
	began  time.Time
}

// leastThrottled is the share of the periods in which the quota was used up: with less it did not want for much.
const leastThrottled = 0.6

func (t throttled) Proof(ctx context.Context) (string, error) {
	usage, err := t.of.CPU(ctx, t.service)
	now := usage[t.service]
	periods, waited := now.Throttled-t.before.Throttled, now.Waited-t.before.Waited
	if all := time.Since(t.began) / quotaPeriod; err == nil && float64(periods) < leastThrottled*float64(all) {
		err = fmt.Errorf("%w: %s wanted more processor time than it has in only %d periods of %d", nemesis.ErrNoProof, t.service, periods, all)
	}
	return fmt.Sprintf("its threads waited %.1f s, in %d periods of %s, for processor time", waited.Seconds(), periods, quotaPeriod), err
}

func (t throttled) Heal(ctx context.Context) error { return t.unthrottle(ctx) }

func (c container) unthrottle(ctx context.Context) error {
	_, err := c.do(ctx, func(s state) bool { return !s.throttled }, "update", "--cpu-quota", noQuota)
	return err
}
