package sim

import (
	"strings"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/tap"
	"github.com/kvorum/kvorum/wire"
)

// reachedBy counts what an operation shows that has just returned.
func (w *World) reachedBy(o *lin.Operation) {
	switch {
	case o.Kind == lin.List:
	case o.Kind == lin.Get:
		w.reachedByRead(o)
	case o.Outcome == lin.NotApplied && o.Receipt == nil:
		w.reach("write refused for certain")
	case o.Output.Result == lin.PreconditionFailed:
		w.reach("write whose condition failed")
	}
}

func (w *World) reachedByRead(o *lin.Operation) {
	n := w.node(o.Node)
	if n == nil || o.Outcome != lin.Applied {
		return
	}
	if leader := w.watch.tap.Leader(uint32(n.Shard)); n.up && n.leads && leader != n.Name && leader != "" {
		w.reach("read at a deposed leader")
	}
	linearizable, atFollower := !o.Weak(), o.Receipt != nil && strings.HasSuffix(o.Receipt.Consistency, "; follower")
	if linearizable && atFollower {
		w.reach("linearizable read at a follower")
	}
	if o.Input.Consistency == string(wire.Bounded) {
		w.reach("bounded read answered")
	}
}

// reachedByCommits counts what a shard's log shows.
func (w *World) reachedByCommits(commits []lin.Commit, entries []tap.Entry) {
	terms := map[uint64]uint64{}
	for i := range entries {
		terms[entries[i].Index] = entries[i].Term
	}
	first := map[string]uint64{} // term in which a key's write was executed, by key and idempotency key
	for i := range commits {
		c := &commits[i]
		if c.Input.IdempotencyKey == "" {
			continue
		}
		name := c.Key + "\x00" + c.Input.IdempotencyKey
		switch {
		case !c.Replayed:
			first[name] = terms[c.Index]
		case terms[c.Index] > first[name]:
			w.reach("retry under a key after failover")
			fallthrough
		default:
			w.reach("write repeated under its idempotency key")
		}
	}
}

// reachedByOutcomes counts what became of writes whose clients were not told.
func (w *World) reachedByOutcomes(commits []lin.Commit) {
	executed := map[string]bool{} // by value and idempotency key: a crowd uses each once
	for i := range commits {
		executed[commits[i].Input.Value+"\x00"+commits[i].Input.IdempotencyKey] = true
	}
	for i := range w.history.ops {
		o := &w.history.ops[i]
		name := o.Input.Value + "\x00" + o.Input.IdempotencyKey
		switch {
		case o.Outcome != lin.Unknown || o.Kind == lin.Get || o.Kind == lin.List || name == "\x00":
		case executed[name]:
			w.reach("write of unknown outcome executed")
		default:
			w.reach("write of unknown outcome not executed")
		}
	}
}
