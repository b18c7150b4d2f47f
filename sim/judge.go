package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/commits"
	"github.com/kvorum/kvorum/wire"
	"github.com/kvorum/kvorum/workload"
)

// standstill is a time in which a node's monotonic clock stood, and went on where it had been.
type standstill struct {
	node     string
	from, to int64
}

// withoutStandstills leaves the bounded reads out that a node answered whose clock had stood a short while before: it compares that
// clock with itself, so what it holds for two seconds old may be older by the time that the clock does not know of.
func withoutStandstills(operations []lin.Operation, frozen []standstill) (list []lin.Operation) {
	for _, o := range operations {
		excused := o.Input.Consistency == string(wire.Bounded) && slices.ContainsFunc(frozen, func(f standstill) bool {
			return f.node == o.Node && f.from <= o.Return && f.to >= o.Call-2*int64(workload.MaxStale)
		})
		if !excused {
			list = append(list, o)
		}
	}
	return list
}

// judgeHistory asks both methods: porcupine's search, and the replay of the order that the machines agreed on.
func (w *World) judgeHistory(ctx context.Context, r *Result) {
	all := w.commitLog()
	opt := lin.Options{Timeout: time.Minute, Workers: 1, MaxMemory: 512 << 20}
	if w.Replicas > 1 { // a lone replica sends its entries nowhere
		opt.Commits = all
		if opt.Commits == nil {
			opt.Commits = []lin.Commit{}
		}
		_, broken := workload.JudgeWeakReads(all, withoutStandstills(w.history.ops, w.frozen))
		for _, b := range broken {
			w.fail(b.Promise, b.Detail)
		}
	}
	for _, b := range judgeAppliedIndex(w.history.ops, w.starts) {
		w.fail("applied index", b)
	}
	report := lin.Check(ctx, w.history.ops, opt)
	switch report.Verdict {
	case lin.Linearizable:
	case lin.Undecided:
		if report.Judged > 0 { // else nothing was, and the run is vacuous
			r.Verdict = Undecided
		}
	case lin.Disagreement:
		w.fail("methods agree", firstReasons(report))
	default:
		w.fail("linearizability", firstReasons(report))
	}
	for _, k := range report.Keys {
		if k.Search == lin.Violation {
			w.fail("porcupine", fmt.Sprintf("key %q: no order explains it", k.Key))
		}
		if k.Replay == lin.Violation {
			w.fail("replay", fmt.Sprintf("key %q: %s", k.Key, strings.Join(k.Reasons, "; ")))
		}
	}
	w.reachedByOutcomes(all)
	r.Report = &report
	r.Commits = all
}

func firstReasons(r lin.Report) string {
	for _, k := range r.Keys {
		if k.Verdict == r.Verdict {
			return fmt.Sprintf("key %q: %s", k.Key, strings.Join(k.Reasons, "; "))
		}
	}
	return string(r.Verdict)
}

// commitLog is what the machines agreed on, as an unmodified store executes it; and the digests that the nodes showed for it.
func (w *World) commitLog() (all []lin.Commit) {
	for shard := range w.Shards {
		entries := w.watch.tap.Committed(uint32(shard))
		replay, err := commits.Commits(uint32(shard), entries)
		if err != nil {
			w.fail("commit log", err.Error())
		}
		all = append(all, replay.Commits...)
		w.reachedByCommits(replay.Commits, entries)
		if w.Replicas == 1 {
			continue
		}
		for _, s := range append(w.watch.snapshots(shard), w.shown...) {
			if s.shard != shard {
				continue
			}
			if want := replay.DigestAt(s.index); want != "" && want != s.digest {
				w.fail("digest", fmt.Sprintf("%s at index %d has digest %s, the log gives %s", s.who, s.index, s.digest, want))
			}
		}
	}
	return all
}

// shownDigest is what a node said of itself, or what a snapshot held.
type shownDigest struct {
	who    string
	shard  int
	index  uint64
	digest string
}

// damaged: was the disk harmed in a way that the node must find out itself?
func (n *Node) damaged() bool { return n.lost() || n.swapped }
