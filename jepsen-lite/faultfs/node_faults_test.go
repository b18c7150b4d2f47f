package faultfs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// put writes the next numbered key.
func (l *loneNode) put(ctx context.Context, limit time.Duration) (number int, reply *cluster.Reply, err error) {
	short, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	number = l.next
	l.next++
	reply, err = l.n.Put(short, fmt.Sprint("key", number), strconv.Itoa(number))
	return number, reply, err
}

// putAcknowledged waits for an acknowledged write.
func (l *loneNode) putAcknowledged(ctx context.Context) (number int, err error) {
	return number, cluster.WaitFor(ctx, "an acknowledged write", func(ctx context.Context) error {
		n, reply, err := l.put(ctx, 5*time.Second)
		if err == nil && reply.Status != 201 {
			err = errors.New(reply.String())
		}
		number = n
		return err
	})
}

// TestNodeUnderFaults: a real node, alone in its shard, acknowledges nothing that its disk refuses or holds up, takes writes again
// by itself when the fault is over, and then has all it ever acknowledged, also after a power cut.
func TestNodeUnderFaults(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l := startLoneNode(ctx, t)
	var acked []int
	for _, c := range []struct {
		name   string
		faults Faults
		serves bool // writes are acknowledged all the same
	}{
		{"slow fsync", Faults{SlowFsync: 30 * time.Millisecond}, true},
		{"stalled fsync", Faults{StallFsync: true}, false},
		{"fsync fails", Faults{FailFsyncs: true}, false},
		{"fsync fails and forgets", Faults{FailFsyncs: true, ForgetOnEIO: true}, false},
		{"write fails", Faults{FailWrites: true}, false},
		{"full", Faults{Full: true}, false},
	} {
		number, err := l.putAcknowledged(ctx)
		check(t, err)
		acked = append(acked, number)
		before, err := l.disk.Counters()
		check(t, err)
		check(t, l.disk.Set(c.faults))
		outcomes := map[string]int{}
		for start := time.Now(); time.Since(start) < time.Second; {
			number, reply, err := l.put(ctx, time.Second)
			switch {
			case err != nil:
				outcomes["no reply"]++
			case reply.Outcome() == wire.Applied:
				outcomes["applied"]++
				acked = append(acked, number)
			default:
				outcomes[strconv.Itoa(reply.Status)+" "+string(reply.Outcome())]++
			}
		}
		after, err := l.disk.Counters()
		check(t, err)
		if after.Minus(before).Effect() == 0 {
			t.Errorf("%s: the fault never struck", c.name)
		}
		if served := outcomes["applied"] > 0; served != c.serves && !c.faults.Full { // a full file system has pages to use again
			t.Errorf("%s: outcomes %v", c.name, outcomes)
		}
		check(t, l.disk.Set(Faults{}))
		start := time.Now()
		number, err = l.putAcknowledged(ctx)
		check(t, err)
		acked = append(acked, number)
		t.Logf("%s: outcomes %v, struck %d times; a write acknowledged %s after its end", c.name, outcomes, after.Minus(before).Effect(), time.Since(start).Round(time.Millisecond))
	}
	_, err := l.disk.PowerCut(Mixed(), 1, l.n.Kill)
	check(t, err)
	lost, err := l.lost(ctx, acked)
	check(t, err)
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(acked))
	}
}

// TestNodeUnderReadErrors: the log is a mapped file, and a page of it that can't be read ends the process (SIGBUS), as a crash
// would. That is allowed; acknowledging what is not there, or not coming back on a healthy disk, is not.
func TestNodeUnderReadErrors(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l := startLoneNode(ctx, t)
	var acked []int
	for range 20 {
		number, err := l.putAcknowledged(ctx)
		check(t, err)
		acked = append(acked, number)
	}
	check(t, l.disk.Set(Faults{FailReads: true}))
	replies := 0
	for start := time.Now(); time.Since(start) < 5*time.Second; {
		number, reply, err := l.put(ctx, time.Second)
		if err != nil {
			break
		}
		replies++
		if reply.Outcome() == wire.Applied {
			acked = append(acked, number)
		}
	}
	counters, err := l.disk.Counters()
	check(t, err)
	if counters.ReadErrors == 0 {
		t.Error("the fault never struck")
	}
	ended := l.c.Close()
	t.Logf("%d read errors, %d replies; then: %v", counters.ReadErrors, replies, ended)
	check(t, l.disk.Set(Faults{}))
	lost, err := l.lost(ctx, acked)
	check(t, err)
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(acked))
	}
}
