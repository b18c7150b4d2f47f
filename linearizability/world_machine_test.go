package linearizability

import "strings"

// read executes a get or a list now.
func (w *world) read(a *attempt) {
	a.done, a.outcome = true, Applied
	if a.op.Kind == List {
		a.reply = Output{Result: OK}
		l := *a.op.Listing
		for _, k := range w.keys {
			w.shards[k.shard].sealed = true
			if k.state.present && strings.HasPrefix(k.name, l.Prefix) {
				l.Items = append(l.Items, Item{k.name, k.state.value, k.state.revision})
			}
		}
		a.op.Listing = &l
		return
	}
	s := a.key.state
	if len(a.key.past) > 0 && w.plant(staleRead) {
		s = a.key.past[w.random.IntN(len(a.key.past))]
	}
	a.reply = Output{Result: Absent}
	if s.present {
		a.reply = Output{Result: OK, Value: s.value, Revision: s.revision}
		if w.plant(phantomValue) {
			a.reply.Value = "nobody wrote this"
			if len(w.keys) > 1 {
				a.reply.Value = w.keys[w.random.IntN(len(w.keys))].state.value
			}
		}
		if w.plant(wrongRevision) {
			a.reply.Revision += uint64(1 + w.random.IntN(2))
		}
	}
	shard := &w.shards[a.key.shard]
	shard.sealed = true
	a.receipt = w.receipt(a.key)
}

func (w *world) receipt(k *worldKey) *Receipt {
	if !w.receipts {
		return nil
	}
	return &Receipt{Shard: uint32(k.shard), Epoch: 1, Term: 2, Index: w.shards[k.shard].index, Consistency: "linearizable; leader"}
}

// write executes a write now, once under its idempotency key, and logs it.
func (w *world) write(a *attempt) {
	k, o := a.key, a.op
	shard := &w.shards[k.shard]
	if shard.sealed || shard.index == 0 || w.random.IntN(2) == 0 {
		shard.index++
		shard.position, shard.sealed = 0, false
	} else {
		shard.position++
	}
	c := Commit{Shard: uint32(k.shard), Index: shard.index, Position: shard.position, Kind: o.Kind, Key: o.Key, Input: o.Input}
	first, known := k.first[o.Input.IdempotencyKey]
	known = known && o.Input.IdempotencyKey != ""
	if known && !w.plant(duplicatedWrite) {
		c.Output, c.Replayed = first.Output, true
		a.receipt = w.receipt(k)
		if a.receipt != nil {
			a.receipt.Index = first.Index
		}
	} else {
		c.Output = w.change(a)
		k.first[o.Input.IdempotencyKey] = c
		if !a.done {
			a.receipt = w.receipt(k)
		}
	}
	w.commits = append(w.commits, c)
	if a.done {
		return // a reordered one: its client has been answered
	}
	a.done, a.reply, a.outcome = true, c.Output, NotApplied
	if c.Output.Result == OK {
		a.outcome = Applied
	}
	if c.Output.Result == OK && !c.Replayed && w.plant(wrongRevision) {
		a.reply.Revision += uint64(1 + w.random.IntN(2))
	}
	if c.Output.Result == OK && o.Input.IdempotencyKey == "" && w.plant(duplicatedWrite) {
		w.late = append(w.late, &attempt{op: o, key: k, done: true, moment: w.now + w.random.Int64N(20)})
	}
}

// change is the machine's part of a write.
func (w *world) change(a *attempt) Output {
	k, o := a.key, a.op
	before := k.state
	judged := before
	if o.Kind == CAS && before != a.seen && w.plant(nonAtomicCAS) {
		judged = a.seen // compared long ago, set now
	}
	low := *k.revision
	*k.revision += uint64(1 + w.random.IntN(2))
	if a.done && w.defect == reordered {
		*k.revision = max(*k.revision, uint64(a.moment)) // what it was told
	}
	after := judged.run(&o, *k.revision-judged.revision)
	if o.Output.Result != OK {
		*k.revision = low
		return o.Output
	}
	lose := o.Kind != Delete && w.plant(lostWrite) || o.Kind == Delete && w.plant(lostDelete)
	if !lose {
		k.past = append(k.past, before)
		k.state = after
	}
	return o.Output
}
