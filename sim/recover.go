package sim

import (
	"fmt"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// converge bounds how long, after the last fault, a shard may take to agree again. Elections, a snapshot's way to a replica
// and the longest retransmission fit into it several times.
const converge = 30 * time.Second

// recover is what must happen once the faults are over: without any new write, every living replica applies what is committed;
// then every one serves every key; then every key takes a write.
func (w *World) recover() {
	var alive []*Node
	for _, n := range w.nodes {
		if !n.broken {
			alive = append(alive, n)
		}
	}
	end := w.timeline.Now().Add(converge)
	why := "nobody was asked"
	for w.timeline.Now() < end {
		if why = w.disagreement(alive); why == "" {
			break
		}
		w.advance(w.timeline.Now().Add(500*time.Millisecond), nil)
	}
	if why != "" {
		w.fail("convergence", fmt.Sprintf("%s after the last fault, without new writes: %s", converge, why))
	}
	w.final("final reads", "not every replica serves every key", alive, "read-all", "1000")
	w.final("final writes", "not every key can be written", alive, "write-all", "2000")
}

// final has a client do something with every key, which must succeed.
func (w *World) final(oracle, failure string, alive []*Node, errand, first string) {
	c := w.startClient(w.crowd, w.endpoints(alive), "-errand", errand, "-first", first, "-keys", fmt.Sprint(w.Crowd.Keys), "-for", converge.String())
	w.advance(w.timeline.Now().Add(converge+lastOperations), func() bool { return c.done })
	if !c.done || c.code != 0 {
		w.fail(oracle, fmt.Sprintf("%s within %s: %s", failure, converge, c.errors.String()))
	}
	c.machine.Kill()
}

// disagreement asks every node what it has applied; "" when all that live have the same, and each shard has a leader.
func (w *World) disagreement(alive []*Node) string {
	c := w.startClient(w.crowd, w.endpoints(alive), "-errand", "status", "-for", "5s")
	w.advance(w.timeline.Now().Add(6*time.Second), func() bool { return c.done })
	c.machine.Kill()
	status, err := w.showDigests(c)
	if err != nil {
		return err.Error()
	}
	living := map[string]bool{}
	for _, n := range alive {
		living[n.Name] = true
	}
	for _, shard := range status.Shards {
		if why := disagreementOf(shard, living); why != "" {
			return why
		}
	}
	if len(status.Shards) != w.Shards {
		return fmt.Sprintf("status tells of %d shards, want %d", len(status.Shards), w.Shards)
	}
	return ""
}

func disagreementOf(s wire.ShardStatus, living map[string]bool) string {
	if s.Leader == "" {
		return fmt.Sprintf("shard %d has no leader", s.Shard)
	}
	var commit uint64
	for _, r := range s.Replicas {
		if living[r.ID] && r.Status != nil {
			commit = max(commit, r.Status.CommitIndex)
		}
	}
	digests := map[uint64]string{}
	for _, r := range s.Replicas {
		switch {
		case !living[r.ID]:
		case r.Status == nil:
			return fmt.Sprintf("%s does not answer: %s", r.ID, r.Error)
		case r.Status.AppliedIndex < commit:
			return fmt.Sprintf("%s has applied %d of %d", r.ID, r.Status.AppliedIndex, commit)
		case digests[r.Status.AppliedIndex] != "" && digests[r.Status.AppliedIndex] != r.Status.Digest:
			return fmt.Sprintf("%s has another digest than its peers at index %d", r.ID, r.Status.AppliedIndex)
		default:
			digests[r.Status.AppliedIndex] = r.Status.Digest
		}
	}
	return ""
}
