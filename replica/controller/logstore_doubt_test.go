package controller

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// treacherousLog is a log whose writes may fail and be carried out all the same.
type treacherousLog struct {
	entries      map[uint64]*raft.Log
	fails, works bool // of the next write
}

var errTreacherous = errors.New("no")

func (l *treacherousLog) write(do func()) error {
	fails, works := l.fails, l.works
	l.fails, l.works = false, false
	if !fails || works {
		do()
	}
	if fails {
		return errTreacherous
	}
	return nil
}

func (l *treacherousLog) StoreLogs(logs []*raft.Log) error {
	return l.write(func() {
		for _, e := range logs {
			l.entries[e.Index] = e
		}
	})
}

func (l *treacherousLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *treacherousLog) DeleteRange(low, high uint64) error {
	return l.write(func() {
		maps.DeleteFunc(l.entries, func(index uint64, _ *raft.Log) bool { return low <= index && index <= high })
	})
}

func (l *treacherousLog) FirstIndex() (uint64, error) { return l.edge(slices.Min), nil }

func (l *treacherousLog) LastIndex() (uint64, error) { return l.edge(slices.Max), nil }

func (l *treacherousLog) edge(of func([]uint64) uint64) uint64 {
	if len(l.entries) == 0 {
		return 0
	}
	return of(slices.Collect(maps.Keys(l.entries)))
}

func (l *treacherousLog) GetLog(index uint64, out *raft.Log) error {
	e, ok := l.entries[index]
	if !ok {
		return raft.ErrLogNotFound
	}
	*out = *e
	return nil
}

// TestFailedWritesLeaveNothing does to a log what raft does, whose every write may fail and be carried out all the same. The model is
// what raft believes. Whatever the log file holds besides, the log ends where raft believes it does, or before, where a truncation
// failed; no entry of an earlier term ever stands behind one of a later, and none is missing in between.
func TestFailedWritesLeaveNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inner := &treacherousLog{entries: map[uint64]*raft.Log{}}
		s := newTestLogStore(t, inner, 1<<20)
		term, last := uint64(1), uint64(0) // last: as raft believes
		terms := map[uint64]uint64{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			s.disk.recovers() // or it would be asked no more
			inner.fails, inner.works = rapid.IntRange(0, 2).Draw(rt, "fails") == 0, rapid.Bool().Draw(rt, "works")
			switch from := uint64(rapid.IntRange(1, 12).Draw(rt, "from")); {
			case from == 12 && rapid.Bool().Draw(rt, "restart"): // of the process: what is there is the log
				s = newTestLogStore(t, inner, 1<<20)
				last, _ = inner.LastIndex()
				for i, e := range inner.entries {
					terms[i] = e.Term
				}
			case from == 12: // of raft alone (see replaceRaft)
				last, _ = s.LastIndex()
			case from <= last: // a new leader's entry contradicts this one
				var old raft.Log
				if err := s.GetLog(from, &old); err == raft.ErrLogNotFound {
					continue // raft refuses the leader's message
				} else if err != nil || old.Term != terms[from] {
					rt.Fatalf("entry %d: term %d, want %d: %v", from, old.Term, terms[from], err)
				}
				if term++; s.DeleteRange(from, last) != nil {
					continue
				}
				inner.fails, inner.works = rapid.Bool().Draw(rt, "then fails"), rapid.Bool().Draw(rt, "then works")
				if s.StoreLogs(entriesOf(term, from, 1)) == nil {
					last, terms[from] = from, term
				} // else raft goes on to believe in what it dropped
			default:
				n := uint64(rapid.IntRange(1, 3).Draw(rt, "entries"))
				if s.StoreLogs(entriesOf(term, last+1, n)) == nil {
					for range n {
						last++
						terms[last] = term
					}
				}
			}
			checkBelief(rt, s, last, terms)
		}
	})
}

// recovers does what a successful probe does.
func (d *diskWatch) recovers() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.failed = nil
	d.changed()
}

func entriesOf(term, from, n uint64) (logs []*raft.Log) {
	for i := range n {
		logs = append(logs, &raft.Log{Index: from + i, Term: term})
	}
	return logs
}

func checkBelief(t *rapid.T, s *logStore, believed uint64, terms map[uint64]uint64) {
	end, err := s.LastIndex()
	if err != nil || end > believed {
		t.Fatalf("the log ends at %d (%v), raft believes at %d", end, err, believed)
	}
	var l raft.Log
	for i := uint64(1); i <= end; i++ {
		if err := s.GetLog(i, &l); err != nil || l.Term != terms[i] {
			t.Fatalf("entry %d of %d: term %d, want %d: %v", i, end, l.Term, terms[i], err)
		}
	}
	if s.doubt {
		return // there may be strays until the next write
	}
	if stored, _ := s.LogStore.LastIndex(); stored != end {
		t.Fatalf("the file ends at %d, the log at %d", stored, end)
	}
}

// TestEndOverAGap: an installed snapshot leaves a gap before the entries that follow it; where the log ends is where an entry is.
func TestEndOverAGap(t *testing.T) {
	inner := &treacherousLog{entries: map[uint64]*raft.Log{}}
	s := newTestLogStore(t, inner, 1<<20)
	s.snapshotted = func(index uint64) bool { return index <= 100 }
	must(t, s.StoreLogs(entriesOf(1, 1, 40)))
	must(t, s.StoreLogs(entriesOf(2, 101, 3)))
	must(t, s.DeleteRange(101, 103))
	inner.fails, inner.works = true, true
	if err := s.StoreLogs(entriesOf(3, 101, 2)); err != errTreacherous {
		t.Fatal(err)
	}
	if last, err := s.LastIndex(); last != 40 || err != nil {
		t.Errorf("ends at %d, %v", last, err)
	}
	s.disk.recovers()
	must(t, s.StoreLogs(entriesOf(4, 101, 1)))
	if last, err := s.LogStore.LastIndex(); last != 101 || err != nil {
		t.Errorf("the file ends at %d, %v", last, err)
	}
	for _, span := range [][2]uint64{{1, 101}, {0, 50}} { // the second as compaction does it when all is gone
		must(t, s.DeleteRange(span[0], span[1]))
		if last, err := s.LastIndex(); last != 0 || err != nil || s.end.Load() != 0 {
			t.Errorf("ends at %d (%d), %v", last, s.end.Load(), err)
		}
	}
}

// TestCompactionBesideATruncation: the main loop has dropped a suffix, and stores the leader's entries while the log's beginning goes.
func TestCompactionBesideATruncation(t *testing.T) {
	for range 100 {
		inner := raft.NewInmemStore()
		s := newTestLogStore(t, inner, 0)
		s.snapshotted = func(index uint64) bool { return index <= 60 }
		must(t, s.StoreLogs(entriesOf(1, 1, 100)))
		var both sync.WaitGroup
		both.Go(func() { must(t, s.DeleteRange(1, 60)) })
		both.Go(func() {
			must(t, s.DeleteRange(61, 100))
			must(t, s.StoreLogs(entriesOf(2, 61, 3)))
		})
		both.Wait()
		var l raft.Log
		if last, err := s.LastIndex(); last != 63 || err != nil || s.GetLog(61, &l) != nil || l.Term != 2 {
			t.Fatalf("ends at %d, %v; entry 61 has term %d", last, err, l.Term)
		}
	}
}

// TestTruncationThatFailedAndWorked: raft, replaced, believes in what is left, and truncates that.
func TestTruncationThatFailedAndWorked(t *testing.T) {
	inner := &treacherousLog{entries: map[uint64]*raft.Log{}}
	s := newTestLogStore(t, inner, 1<<20)
	must(t, s.StoreLogs(entriesOf(1, 1, 100)))
	inner.fails, inner.works = true, true
	if err := s.DeleteRange(50, 100); err != errTreacherous {
		t.Fatal(err)
	}
	s.disk.recovers()
	believed, err := s.LastIndex()
	if believed != 49 || err != nil {
		t.Fatalf("ends at %d, %v", believed, err)
	}
	must(t, s.DeleteRange(48, believed))
	must(t, s.StoreLogs(entriesOf(8, 48, 1)))
	if last, err := inner.LastIndex(); last != 48 || err != nil {
		t.Errorf("the file ends at %d, %v", last, err)
	}
}
