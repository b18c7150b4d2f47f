package linearizability

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// world is a small store with concurrent clients in virtual time, made from a seed: known good histories with their commit
// logs, or bad ones through one planted defect.
type world struct {
	worldConfig
	random *rand.Rand
	now    int64
	keys   []*worldKey
	shards []worldShard
	late   []*attempt // under way although its client has given up

	history []Operation
	commits []Commit

	opportunities int  // for the defect so far
	fired         bool // the defect
	delayed       *attempt
}

type worldConfig struct {
	seed       uint64
	clients    int
	keys       int
	shards     int
	operations int // at least so many are called
	loss       int // of 100 writes, so many lose their reply, half of them before they were executed
	idempotent int // of 100 writes, so many carry an idempotency key; lost ones are then repeated
	lists      int // of 100 operations
	receipts   bool
	reads      int // of 100 operations

	defect defect
	nth    int // at its n-th opportunity, from 0
}

type defect string

const (
	staleRead       defect = "stale read"
	lostWrite       defect = "lost write"
	lostDelete      defect = "lost delete"
	duplicatedWrite defect = "duplicated write"
	reordered       defect = "reordered"
	phantomValue    defect = "phantom value"
	wrongRevision   defect = "wrong revision"
	nonAtomicCAS    defect = "non-atomic cas"
)

var defects = []defect{staleRead, lostWrite, lostDelete, duplicatedWrite, reordered, phantomValue, wrongRevision, nonAtomicCAS}

type worldKey struct {
	name     string
	shard    int
	state    concrete
	past     []concrete
	first    map[string]Commit // by idempotency key
	revision *uint64           // shared by some keys
}

type worldShard struct {
	index    uint64
	position int
	sealed   bool // somebody has looked: the next write is a new entry
}

// attempt is one operation under way.
type attempt struct {
	op      Operation
	key     *worldKey
	moment  int64    // of its execution
	seen    concrete // when it was called
	lostBy  int      // 0: not, 1: never executed, 2: executed, 3: executed late
	done    bool
	reply   Output
	outcome Outcome
	receipt *Receipt
}

func runWorld(c worldConfig) *world {
	w := &world{worldConfig: c, random: rand.New(rand.NewPCG(c.seed, 1))}
	w.worldConfig.shards = max(1, c.shards)
	w.shards = make([]worldShard, w.worldConfig.shards)
	counters := make([]uint64, w.worldConfig.shards*2)
	for i := range c.keys {
		w.keys = append(w.keys, &worldKey{
			name: fmt.Sprintf("k%03d", i), shard: i % w.worldConfig.shards, first: map[string]Commit{},
			revision: &counters[i%len(counters)],
		})
	}
	clients := make([]*attempt, c.clients)
	again := make([]*Operation, c.clients)
	for called := 0; called < c.operations || slices.ContainsFunc(clients, func(a *attempt) bool { return a != nil }); {
		w.now += 1 + w.random.Int64N(3)
		i := w.random.IntN(c.clients)
		switch a := clients[i]; {
		case a == nil && called < c.operations:
			called++
			clients[i] = w.call(i, again[i])
			again[i] = nil
		case a != nil && !a.done && a.lostBy != 1 && a.lostBy != 3:
			w.execute(a)
		case a != nil:
			clients[i] = nil
			w.give(a)
			if a.outcomeKnown() || a.op.Input.IdempotencyKey == "" {
				break
			}
			again[i] = &a.op
		}
		w.runLate()
	}
	return w
}

func (a *attempt) outcomeKnown() bool { return a.lostBy == 0 }

func (w *world) percent(n int) bool { return w.random.IntN(100) < n }

// call begins an operation: a new one, or one repeated under its idempotency key.
func (w *world) call(client int, again *Operation) *attempt {
	if again != nil {
		a := &attempt{op: *again, key: w.find(again.Key)}
		a.op.Call, a.op.Client, a.seen = w.now, client, a.key.state
		return a
	}
	if w.percent(w.lists) {
		return &attempt{op: Operation{Kind: List, Listing: &Listing{Prefix: "k"}, Call: w.now, Client: client, Node: "n0"}}
	}
	key := w.keys[w.random.IntN(len(w.keys))]
	o := Operation{Kind: Get, Key: key.name, Call: w.now, Client: client, Node: fmt.Sprintf("s%dn%d", key.shard, w.random.IntN(3))}
	if !w.percent(w.reads) {
		o.Kind = []Kind{Put, Put, Create, Update, CAS, CAS, CAS, Delete, Delete}[w.random.IntN(9)]
	}
	if !o.Kind.reads() && o.Kind != Delete {
		o.Input.Value = fmt.Sprintf("v%d", w.now)
	}
	if o.Kind == CAS || o.Kind == Delete && w.percent(50) {
		o.Input.Revision = max(1, key.state.revision)
	}
	a := &attempt{op: o, key: key, seen: key.state}
	if !o.Kind.reads() {
		if w.percent(w.idempotent) {
			a.op.Input.IdempotencyKey = fmt.Sprintf("q%d", w.now)
		}
		if w.percent(w.loss) {
			a.lostBy = 1 + w.random.IntN(3)
		}
		if a.lostBy == 3 {
			a.moment = w.now + w.random.Int64N(200)
			w.late = append(w.late, a)
		}
	}
	return a
}

func (w *world) find(name string) *worldKey {
	i := slices.IndexFunc(w.keys, func(k *worldKey) bool { return k.name == name })
	return w.keys[i]
}

func (w *world) runLate() {
	w.late = slices.DeleteFunc(w.late, func(a *attempt) bool {
		if a.moment > w.now {
			return false
		}
		w.execute(a)
		return true
	})
	if w.delayed != nil && w.random.IntN(16) == 0 {
		a := w.delayed
		w.delayed = nil
		w.execute(a)
	}
}

// give hands the reply to the client, that is into the history.
func (w *world) give(a *attempt) {
	o := a.op
	o.Return, o.Output, o.Outcome, o.Receipt = w.now, a.reply, a.outcome, a.receipt
	if !a.outcomeKnown() {
		o.Return, o.Output, o.Outcome, o.Receipt = Open, Output{}, Unknown, nil
	}
	if o.Kind == Delete && o.Output.Result == OK && w.percent(70) {
		o.Output.Revision = 0 // as kvorum's replies are
	}
	w.history = append(w.history, o)
}

// plant reports whether the defect strikes here.
func (w *world) plant(d defect) bool {
	if w.defect != d {
		return false
	}
	w.opportunities++
	if w.opportunities-1 != w.nth {
		return false
	}
	w.fired = true
	return true
}

func (w *world) execute(a *attempt) {
	if a.op.Kind.reads() {
		w.read(a)
		return
	}
	if !a.done && a.lostBy == 0 && a.op.Kind == Put && a.op.Input.IdempotencyKey == "" && w.plant(reordered) {
		// Acknowledged now, executed later.
		r := *a.key.revision + 5
		a.done, a.outcome, a.reply = true, Applied, Output{Result: OK, Revision: r}
		a.moment = int64(r)
		w.delayed = a
		return
	}
	w.write(a)
}
