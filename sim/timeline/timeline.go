// Package timeline is the simulator's only clock: a queue of events, each at an instant of virtual time. One goroutine takes
// them out one after the other; nothing here reads the host's time or draws anything at random, so the same pushes give the
// same order.
package timeline

import (
	"container/heap"
	"time"
)

// Time is nanoseconds of true virtual time since the world began. No machine sees it: each has a clock of its own.
type Time int64

// Add returns the instant d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Timeline is not safe for concurrent use: the world is one loop.
type Timeline struct {
	now    Time
	pushed uint64
	queue  queue
}

// Event is a handle for Cancel.
type Event struct {
	at    Time
	order uint64 // events of one instant happen in the order in which they were pushed
	run   func()
}

// Now is the instant of the event that runs.
func (t *Timeline) Now() Time { return t.now }

// At runs f at the instant at; if that has passed, as soon as the present event and those already due are done.
func (t *Timeline) At(at Time, f func()) *Event {
	if at < t.now {
		at = t.now
	}
	t.pushed++
	e := &Event{at: at, order: t.pushed, run: f}
	heap.Push(&t.queue, e)
	return e
}

// After runs f when d has passed.
func (t *Timeline) After(d time.Duration, f func()) *Event { return t.At(t.now.Add(d), f) }

// Cancel makes e not happen. It may have happened already; nil is allowed.
func (t *Timeline) Cancel(e *Event) {
	if e != nil {
		e.run = nil // stays in the queue until its time, which keeps Cancel O(1)
	}
}

// Next lets the next event happen, unless it lies behind end. It reports whether one did. Without one, the clock stands at end.
func (t *Timeline) Next(end Time) bool {
	for len(t.queue) > 0 {
		if t.queue[0].at > end {
			break
		}
		e := heap.Pop(&t.queue).(*Event)
		if e.run == nil {
			continue
		}
		t.now = e.at
		run := e.run
		e.run = nil
		run()
		return true
	}
	t.now = max(t.now, end)
	return false
}

// Len is the number of events still to come, canceled ones included.
func (t *Timeline) Len() int { return len(t.queue) }

type queue []*Event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*Event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}
