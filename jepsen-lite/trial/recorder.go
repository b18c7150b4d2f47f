package trial

import (
	"sync"
	"sync/atomic"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
)

// recorder keeps the history. Its clock is the monotonic one of this process, which all clients share.
type recorder struct {
	start time.Time

	mu          sync.Mutex // guards what is below
	operations  []lin.Operation
	annotations []lin.Annotation
}

func newRecorder() *recorder { return &recorder{start: time.Now()} }

func (r *recorder) now() int64 { return int64(time.Since(r.start)) }

// Called implements workload.Recorder.
func (r *recorder) Called(o *lin.Operation) uint64 {
	open := *o
	if o.Listing != nil {
		open.Listing = &lin.Listing{Prefix: o.Listing.Prefix}
	}
	open.Outcome, open.Return = lin.Unknown, lin.Open
	r.mu.Lock()
	defer r.mu.Unlock()
	open.Call = r.now()
	r.operations = append(r.operations, open)
	return uint64(len(r.operations) - 1)
}

// Returned implements workload.Recorder.
func (r *recorder) Returned(number uint64, o *lin.Operation) {
	now := r.now() // before the lock: waiting for it is no part of the operation
	r.mu.Lock()
	defer r.mu.Unlock()
	call := r.operations[number].Call
	r.operations[number] = *o
	r.operations[number].Call, r.operations[number].Return = call, now
	if o.Outcome == lin.Unknown {
		r.operations[number].Return = lin.Open
	}
}

// annotate notes what happened beside the operations.
func (r *recorder) annotate(a lin.Annotation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.annotations = append(r.annotations, a)
}

func acknowledgedWrite(o *lin.Operation) bool {
	return o.Outcome == lin.Applied && o.Kind != lin.Get && o.Kind != lin.List
}

// tallying also counts acknowledged writes: of those whose recorder it is, and no others.
type tallying struct {
	*recorder
	writes *atomic.Int64
}

// Returned implements workload.Recorder.
func (t tallying) Returned(number uint64, o *lin.Operation) {
	t.recorder.Returned(number, o)
	if acknowledgedWrite(o) {
		t.writes.Add(1)
	}
}

// counts are operations by outcome.
func (r *recorder) counts() (outcomes map[lin.Outcome]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	outcomes = map[lin.Outcome]int{}
	for i := range r.operations {
		outcomes[r.operations[i].Outcome]++
	}
	return outcomes
}

// history is what was recorded so far, with the changes of leaders.
func (r *recorder) history() lin.History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := lin.History{Model: lin.Kvorum, Operations: append([]lin.Operation(nil), r.operations...)}
	h.Annotations = append(append(h.Annotations, r.annotations...), leaders(h.Operations)...)
	return h
}
