package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

const (
	workers = 8
	rounds  = 2   // of one kill and one pause of each shard's leader
	between = 300 // answered operations before the next fault
)

// The keys differ in their last byte, so each has a slot of its own, whose revision counts the writes of this key alone.
var keys = []string{"h:a", "h:b", "h:c", "h:d", "h:e", "h:f", "h:g", "h:h", "h:i"}

// recorder collects a history. Its clock is the monotonic one of this process, which all clients share.
type recorder struct {
	start    time.Time
	answered atomic.Int64

	mu      sync.Mutex
	history []lin.Operation
}

func (r *recorder) now() int64 { return int64(time.Since(r.start)) }

// record runs one operation and keeps what it came to.
func (r *recorder) record(o lin.Operation, run func() (lin.Output, client.Receipt, error)) lin.Operation {
	o.Call = r.now()
	output, receipt, err := run()
	o.Return = r.now()
	o.Output, o.Outcome, o.Node = output, lin.Outcome(client.OutcomeOf(err)), receipt.Node
	if receipt.Node != "" {
		o.Receipt = &lin.Receipt{Shard: receipt.Shard, Epoch: receipt.Epoch, Term: receipt.Term, Index: receipt.Index, Consistency: receipt.Consistency}
	}
	var e *client.Error
	if errors.As(err, &e) && e.Outcome != wire.Unknown {
		o.Output = refusalOutput(e)
	}
	if o.Output.Result != "" {
		r.answered.Add(1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, o)
	return o
}

// refusalOutput turns a definite error into what it says about the key, if anything.
func refusalOutput(e *client.Error) lin.Output {
	switch {
	case errors.Is(e, client.ErrNotFound):
		return lin.Output{Result: lin.Absent}
	case errors.Is(e, client.ErrPreconditionFailed) && e.Problem != nil:
		return lin.Output{Result: lin.PreconditionFailed, Revision: e.Problem.Revision}
	}
	return lin.Output{}
}

// worker is one client: a random mix of everything a register can do, each value unique. Half of the workers repeat
// their writes under idempotency keys until they know what became of them, the others only what was surely not applied.
type worker struct {
	id     int
	rec    *recorder
	client *client.Client
	random *rand.Rand
	known  map[string]uint64 // revision last seen, by key
	count  int
}

func startWorkers(ctx context.Context, t *testing.T, c *cluster.Cluster, rec *recorder, stop *atomic.Bool) *sync.WaitGroup {
	t.Helper()
	var done sync.WaitGroup
	endpoints := c.Endpoints()
	for id := range workers {
		turned := append(append([]string{}, endpoints[id:]...), endpoints[:id]...)
		config := client.Config{Endpoints: turned, AttemptTimeout: 3 * time.Second, AutoIdempotency: id%2 == 1, DirectRouting: id%4 >= 2}
		cl, err := client.New(config)
		check(t, err)
		w := &worker{id: id, rec: rec, client: cl, random: rand.New(rand.NewPCG(uint64(id), 7)), known: map[string]uint64{}}
		done.Go(func() {
			defer cl.Close()
			for !stop.Load() && ctx.Err() == nil {
				w.step(ctx)
			}
		})
	}
	return &done
}

func (w *worker) step(ctx context.Context) {
	key := keys[w.random.IntN(len(keys))]
	o := lin.Operation{Key: key, Client: w.id, Kind: lin.Get}
	switch dice := w.random.IntN(20); {
	case dice < 8:
		o.Kind, o.Input.Revision = lin.CAS, w.known[key]
	case dice < 10:
		o.Kind = lin.Put
	case dice == 10:
		o.Kind = lin.Update
	case dice == 11:
		o.Kind = lin.Delete
	case dice == 12:
		o.Kind, o.Input.Revision = lin.Delete, w.known[key]
	}
	if o.Kind == lin.CAS && o.Input.Revision == 0 {
		o.Kind = lin.Create
	}
	o = w.run(ctx, o)
	if o.Output.Result != "" && (o.Kind != lin.Delete || o.Output.Result != lin.OK) {
		w.known[key] = o.Output.Revision
	}
}

func (w *worker) run(ctx context.Context, o lin.Operation) lin.Operation {
	if o.Kind == lin.Get {
		return w.rec.record(o, func() (lin.Output, client.Receipt, error) {
			item, err := w.client.Get(ctx, o.Key)
			return lin.Output{Result: lin.OK, Value: string(item.Value), Revision: item.Revision}, receiptOf(item.Receipt, err), err
		})
	}
	if o.Kind != lin.Delete {
		w.count++
		o.Input.Value = fmt.Sprintf("%d-%d", w.id, w.count)
	}
	return w.rec.record(o, func() (lin.Output, client.Receipt, error) {
		written, err := w.write(ctx, o)
		if client.OutcomeOf(err) == wire.Unknown {
			return lin.Output{}, receiptOf(written.Receipt, err), err
		}
		return lin.Output{Result: lin.OK, Revision: written.Revision}, receiptOf(written.Receipt, err), err
	})
}

func (w *worker) write(ctx context.Context, o lin.Operation) (client.Written, error) {
	value := []byte(o.Input.Value)
	switch o.Kind {
	case lin.CAS:
		return w.client.CompareAndSet(ctx, o.Key, value, o.Input.Revision)
	case lin.Create:
		return w.client.Create(ctx, o.Key, value)
	case lin.Update:
		return w.client.Update(ctx, o.Key, value)
	case lin.Delete:
		if o.Input.Revision != 0 {
			return w.client.Delete(ctx, o.Key, client.IfRevision(o.Input.Revision))
		}
		return w.client.Delete(ctx, o.Key)
	}
	return w.client.Put(ctx, o.Key, value)
}

func receiptOf(r client.Receipt, err error) client.Receipt {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Receipt
	}
	return r
}

// TestHistoryIsLinearizable kills and pauses leaders under the load of eight clients and judges everything that they saw. A
// killed leader can't say anything wrong; a paused one comes back with writes that its successor may have committed.
func TestHistoryIsLinearizable(t *testing.T) {
	c := startCluster(t, 3, 3)
	ctx := within(t, 3*time.Minute)
	rec := &recorder{start: time.Now()}
	var stop atomic.Bool
	done := startWorkers(ctx, t, c, rec, &stop)
	kills, pauses := 0, 0
	for range rounds {
		for shard := range c.Shards() {
			check(t, rec.waitAnswered(ctx, between))
			killLeader(ctx, t, c, shard)
			kills++
			check(t, rec.waitAnswered(ctx, between))
			pauseLeader(ctx, t, c, shard)
			pauses++
		}
	}
	check(t, rec.waitAnswered(ctx, between))
	stop.Store(true)
	done.Wait()
	took := time.Since(rec.start)
	revisions := finalReads(ctx, t, c, rec)
	rec.save(t, filepath.Join(filepath.Dir(c.Nodes[0].LogFile), "history.jsonl"))

	report := lin.Check(ctx, rec.history, lin.Options{Timeout: time.Minute})
	check(t, report.WriteSummary(t.Output()))
	if report.Verdict != lin.Linearizable {
		t.Errorf("verdict %s", report.Verdict)
	}
	countExecutions(t, rec.history, revisions)
	t.Logf("%d kills, %d pauses, %d operations answered of %d in %s", kills, pauses, rec.answered.Load(), len(rec.history), took.Round(time.Millisecond))
}

func killLeader(ctx context.Context, t *testing.T, c *cluster.Cluster, shard uint32) {
	t.Helper()
	leader, err := c.Leader(ctx, shard)
	check(t, err)
	check(t, leader.Kill())
	_, err = c.Leader(ctx, shard)
	check(t, err)
	check(t, leader.Start())
	check(t, leader.WaitReady(ctx))
}

func pauseLeader(ctx context.Context, t *testing.T, c *cluster.Cluster, shard uint32) {
	t.Helper()
	leader, err := c.Leader(ctx, shard)
	check(t, err)
	check(t, leader.Pause(ctx))
	_, err = c.Leader(ctx, shard)
	check(t, err)
	check(t, leader.Resume())
	check(t, leader.WaitReady(ctx))
}

func (r *recorder) waitAnswered(ctx context.Context, n int64) error {
	target := r.answered.Load() + n
	return cluster.WaitFor(ctx, "answered operations", func(context.Context) error {
		if have := r.answered.Load(); have < target {
			return fmt.Errorf("%d are missing", target-have)
		}
		return nil
	})
}

// finalReads ends the history with a write and a read of every key, so that lost writes show, and gives the revisions.
func finalReads(ctx context.Context, t *testing.T, c *cluster.Cluster, rec *recorder) map[string]uint64 {
	t.Helper()
	cl, err := client.New(client.Config{Endpoints: c.Endpoints(), AutoIdempotency: true})
	check(t, err)
	defer cl.Close()
	w := &worker{id: workers, rec: rec, client: cl}
	revisions := map[string]uint64{}
	for _, key := range keys {
		w.run(ctx, lin.Operation{Key: key, Client: w.id, Kind: lin.Get})
		w.run(ctx, lin.Operation{Key: key, Client: w.id, Kind: lin.Put})
		last := w.run(ctx, lin.Operation{Key: key, Client: w.id, Kind: lin.Get})
		if last.Output.Result != lin.OK {
			t.Errorf("last read of %s: %s", key, &last)
		}
		revisions[key] = last.Output.Revision
	}
	return revisions
}

// save writes the history for people and other checkers, and judges what was written, not what is in memory.
func (r *recorder) save(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	check(t, err)
	w := lin.NewWriter(file)
	for _, o := range r.history {
		check(t, w.Write(o))
	}
	check(t, errors.Join(w.Flush(), file.Close()))
	file, err = os.Open(path)
	check(t, err)
	defer file.Close()
	r.history, err = lin.Read(file)
	check(t, err)
}

// countExecutions compares each key's last revision, which counts executions, with the writes that were acknowledged and
// those that may have been executed.
func countExecutions(t *testing.T, history []lin.Operation, revisions map[string]uint64) {
	t.Helper()
	acked, maybe := map[string]uint64{}, map[string]uint64{}
	totalAcked, totalMaybe := 0, 0
	for _, o := range history {
		switch {
		case o.Kind == lin.Get:
		case o.Outcome == lin.Applied:
			acked[o.Key]++
			totalAcked++
		case o.Outcome == lin.Unknown:
			maybe[o.Key]++
			totalMaybe++
		}
	}
	for key, revision := range revisions {
		if revision < acked[key] || revision > acked[key]+maybe[key] {
			t.Errorf("%s: %d writes executed, %d acknowledged and %d unknown", key, revision, acked[key], maybe[key])
		}
	}
	t.Logf("%d writes acknowledged, %d of unknown outcome; no key executed more or fewer", totalAcked, totalMaybe)
}
