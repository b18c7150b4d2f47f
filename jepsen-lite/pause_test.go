package jepsenlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

const (
	patience     = 4 * time.Second // of a node with one request
	pausedReads  = 24              // sent to the paused node while it is stopped
	resumedReads = 200             // sent to it right after it resumed
)

// TestPausedNodeNeverAnswersWithOldData stops a leader, lets another one acknowledge new writes, and reads at the stopped
// one: requests that wait in its sockets when it resumes, and requests right after. Then the same with a follower, whose
// read paths differ. A refusal is right, an answer must be new.
func TestPausedNodeNeverAnswersWithOldData(t *testing.T) {
	c := startCluster(t, 2, 3, "--request-timeout="+patience.String())
	ctx := within(t, time.Minute)
	for round, victimLeads := range []bool{true, false, true, true} {
		leader, err := c.Leader(ctx, 0)
		check(t, err)
		victim := leader
		if !victimLeads {
			victim = c.Others(leader)[0]
		}
		pauseRound(ctx, t, c, round, victim)
		check(t, c.WaitReady(ctx))
	}
}

// pausedKey lives on shard 0 of 2: its last byte is even.
const pausedKey = "pause:b"

func pauseRound(ctx context.Context, t *testing.T, c *cluster.Cluster, round int, victim *cluster.Node) {
	t.Helper()
	reads := oldReads{t: t, victim: victim, least: round * 1000}
	check(t, putUntilAcked(ctx, c.Others(victim)[0], pausedKey, strconv.Itoa(reads.least)))
	_, err := victim.Get(ctx, pausedKey) // opens connections, to the victim and inside
	check(t, err)
	check(t, victim.Pause(ctx))
	stopped := time.Now()
	leader, err := c.Leader(ctx, victim.Shard) // asks only the others
	check(t, err)
	for range 5 {
		reads.least++
		check(t, putUntilAcked(ctx, leader, pausedKey, strconv.Itoa(reads.least)))
	}
	var waiting []net.Conn
	for range pausedReads {
		waiting = append(waiting, sendRawGet(ctx, t, victim))
	}
	forwarder := c.Shard(1)[0] // has to choose a replica of shard 0, the stopped one perhaps
	if round%2 == 0 {
		reads.forwarded(ctx, forwarder)
		reads.forwardWrite(ctx, forwarder)
	} else {
		reads.forwardWrite(ctx, forwarder)
		reads.forwarded(ctx, forwarder)
	}
	check(t, victim.Resume())
	for range resumedReads {
		reads.judge(victim.Get(ctx, pausedKey))
		reads.judge(forwarder.Get(ctx, pausedKey))
	}
	for _, conn := range waiting {
		reads.judge(readRawReply(conn))
	}
	t.Logf("round %d: %s stopped for %s, %s leads; reads answered new %d, refused %d, by others and by it %v; %s", round, victim.Name,
		time.Since(stopped).Round(time.Millisecond), leader.Name, reads.fresh, reads.refused, reads.by, strings.Join(reads.times, ", "))
	if reads.fresh < resumedReads {
		t.Errorf("round %d: only %d reads were answered", round, reads.fresh)
	}
}

// putUntilAcked repeats an unconditional write until it is acknowledged.
func putUntilAcked(ctx context.Context, n *cluster.Node, key, value string) error {
	return cluster.WaitFor(ctx, "put "+key+" at "+n.Name, func(ctx context.Context) error {
		reply, err := n.Put(ctx, key, value)
		if err != nil {
			return err
		}
		if reply.Outcome() != wire.Applied {
			return fmt.Errorf("%s", reply)
		}
		return nil
	})
}

// oldReads judges replies to reads that were sent after the write of least was acknowledged.
type oldReads struct {
	t              *testing.T
	victim         *cluster.Node
	least          int
	fresh, refused int
	by             [2]int // by others, by the victim
	times          []string
}

// forwarded reads through a node of another shard while the victim is stopped: one read may find out that it is silent.
func (o *oldReads) forwarded(ctx context.Context, n *cluster.Node) {
	o.t.Helper()
	const reads = 20
	var slowest, total time.Duration
	for range reads {
		start := time.Now()
		o.judge(n.Get(ctx, pausedKey))
		slowest = max(slowest, time.Since(start))
		total += time.Since(start)
	}
	if slowest > patience+time.Second || total > slowest+2*time.Second {
		o.t.Errorf("%d forwarded reads took %s, the slowest %s", reads, total, slowest)
	}
	o.times = append(o.times, fmt.Sprintf("%d forwarded reads %s, slowest %s", reads, total.Round(time.Millisecond), slowest.Round(time.Millisecond)))
}

// forwardWrite writes through a node of another shard until it is acknowledged: the first attempt may wait for the stopped
// leader in vain, not all.
func (o *oldReads) forwardWrite(ctx context.Context, n *cluster.Node) {
	o.t.Helper()
	start := time.Now()
	o.least++
	check(o.t, putUntilAcked(ctx, n, pausedKey, strconv.Itoa(o.least)))
	took := time.Since(start)
	if took > patience+2*time.Second {
		o.t.Errorf("a forwarded write was acknowledged only after %s", took)
	}
	o.times = append(o.times, fmt.Sprintf("forwarded write %s", took.Round(time.Millisecond)))
}

func (o *oldReads) judge(reply *cluster.Reply, err error) {
	o.t.Helper()
	if err != nil {
		o.t.Errorf("a read got no answer: %v", err)
		return
	}
	if reply.Status == http.StatusServiceUnavailable && reply.Outcome() == wire.NotApplied {
		o.refused++
		return
	}
	value, err := strconv.Atoi(string(reply.Body))
	if err != nil || reply.Status != http.StatusOK || !strings.HasPrefix(reply.Header.Get(wire.HeaderConsistency), "linearizable") {
		o.t.Errorf("unexpected answer: %s", reply)
		return
	}
	if value < o.least {
		o.t.Errorf("%s, %s: old data: %d, acknowledged before the read was sent: %d", reply, reply.Header.Get(wire.HeaderConsistency), value, o.least)
		return
	}
	o.fresh++
	if reply.Header.Get(wire.HeaderNode) == o.victim.Name {
		o.by[1]++
	} else {
		o.by[0]++
	}
}

// sendRawGet puts a whole request into the kernel's hands and returns without waiting for a reply: the kernel completes
// the connection even when the process is stopped.
func sendRawGet(ctx context.Context, t *testing.T, n *cluster.Node) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", n.API)
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	if deadline, ok := ctx.Deadline(); ok {
		check(t, conn.SetDeadline(deadline))
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", cluster.KeyPath(pausedKey), n.API)
	check(t, err)
	return conn
}

func readRawReply(conn net.Conn) (*cluster.Reply, error) {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return &cluster.Reply{Status: response.StatusCode, Header: response.Header, Body: body}, err
}
