//go:build deploy

package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/dockernet"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// leaderIsNotHeard cuts what a leader sends to the other replicas, and nothing else: another one leads, what the others send still
// arrives, HAProxy still reaches everybody, and afterwards all is as before.
func leaderIsNotHeard(ctx context.Context, t *testing.T, d *deployed) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	check(t, cluster.NetTools(ctx, projectFolder))
	t.Logf("make nettools, and a trial of it: %s", time.Since(start).Round(100*time.Millisecond))
	n := &dockernet.Network{Name: d.Project + "_cluster", Engine: d.Compose}
	t.Cleanup(func() { check(t, n.Heal(context.WithoutCancel(ctx))) })
	old := d.leader(ctx, t, 0)
	members := d.Nodes()[:3]
	start = time.Now()
	cut, err := n.Cut(ctx, netns.Mute(members, old)...)
	check(t, err)
	took := time.Since(start)
	watch, err := n.Lose(ctx, 1, netns.Deaf(members, old)...) // to count what the others send: one of a thousand is dropped
	check(t, err)
	next := d.leader(ctx, t, 0, old)
	_, err = d.kv.Put(ctx, "cut:`", []byte("written by "+next)) // shard 0
	check(t, err)
	counts := d.waitCounts(ctx, t, "the others to be heard", watch, func(c dockernet.Count) bool { return c.Passed > 0 })
	dropped := d.waitCounts(ctx, t, "the leader to have spoken", cut, func(c dockernet.Count) bool { return c.Dropped > 0 })
	for i, c := range dropped {
		if c.Passed > 0 {
			t.Errorf("%d packets passed on %v", c.Passed, cut.Links[i])
		}
	}
	for _, m := range members {
		check(t, d.reaches(ctx, "haproxy", m))
		if m != old && d.reaches(ctx, old, m) == nil {
			t.Errorf("%s still reaches %s", old, m)
		}
	}
	check(t, errors.Join(cut.Heal(ctx), watch.Heal(ctx)))
	for _, l := range cut.Links {
		check(t, cluster.WaitFor(ctx, fmt.Sprintf("%s to reach %s", l.From, l.To), func(ctx context.Context) error { return d.reaches(ctx, l.From, l.To) }))
	}
	d.ready(ctx, t)
	t.Logf("%s was not heard within %s: dropped and passed %v, of what the others sent %v; %s led", old, took.Round(10*time.Millisecond), dropped, counts, next)
	d.sendsSlowly(ctx, t, n, next)
	check(t, cluster.WaitFor(ctx, "the containers that wrote rules to be gone", func(ctx context.Context) error {
		left, err := d.Docker(ctx, "ps", "-aq", "--filter", "label="+dockernet.Label+"="+n.Name)
		if err == nil && left != "" {
			err = errors.New(left)
		}
		return err
	}))
}

// sendsSlowly lets a leader send only so much, which its followers' entries have to wait for.
func (d *deployed) sendsSlowly(ctx context.Context, t *testing.T, n *dockernet.Network, leader string) {
	t.Helper()
	s, err := n.Slow(ctx, leader, 512)
	check(t, err)
	_, err = d.kv.Put(ctx, "slow:`", []byte(strings.Repeat("x", 50_000)))
	check(t, err)
	held, err := s.Held(ctx)
	check(t, err)
	check(t, s.Heal(ctx))
	if held == 0 {
		t.Errorf("no packet of %s had to wait", leader)
	}
	id, err := d.Container(ctx, leader)
	check(t, err)
	queues, err := d.Docker(ctx, "run", "--rm", "--network", "container:"+id, dockernet.Image, "/usr/sbin/tc", "qdisc")
	check(t, err)
	if strings.Contains(queues, "tbf") {
		t.Errorf("afterwards %s has the queue yet: %s", leader, queues)
	}
	d.ready(ctx, t)
}

func (d *deployed) waitCounts(ctx context.Context, t *testing.T, what string, f *dockernet.Fault, good func(dockernet.Count) bool) (counts []dockernet.Count) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	check(t, cluster.WaitFor(ctx, what, func(ctx context.Context) (err error) {
		if counts, err = f.Counts(ctx); err != nil {
			return err
		}
		for i, c := range counts {
			if !good(c) {
				return fmt.Errorf("%v: %+v", f.Links[i], c)
			}
		}
		return nil
	}))
	return counts
}

// reaches asks for a node's health from within another container, by its own program.
func (d *deployed) reaches(ctx context.Context, from, to string) error {
	id, err := d.Container(ctx, from)
	if err != nil {
		return err
	}
	ask := []string{"/kvorum", "health", "--timeout=2s"}
	if from == "haproxy" {
		ask = []string{"wget", "-q", "-O", "/dev/null"}
	}
	_, err = d.Docker(ctx, append(append([]string{"exec", id}, ask...), "http://"+to+":8080/v1/health/live")...)
	return err
}
