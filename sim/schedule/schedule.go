// Package schedule says what befalls a world, as data: drawn from a seed, printed, saved, edited, cut down, replayed.
package schedule

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/kvorum/kvorum/internal/rig"
)

// Schedule is everything that a run needs besides the programs. Two runs of one schedule are the same.
type Schedule struct {
	Version int    `json:"version"` // 1
	Seed    uint64 `json:"seed"`    // of whatever the schedule leaves open: delays, goroutines, what a crash keeps, ...

	Shards   int      `json:"shards"`
	Replicas int      `json:"replicas"` // of each shard
	Duration Duration `json:"duration"` // how long the clients work and faults strike; recovery comes after
	Crowd    Crowd    `json:"crowd"`
	Flags    []string `json:"flags,omitempty"` // of kvorum serve: the knobs
	Stock    bool     `json:"stock,omitempty"` // goroutines in the runtime's own order
	// Skew is by how much, at most, each machine's wall clock is wrong from the beginning, either way.
	Skew Duration `json:"skew,omitempty"`
	// Drift is by how much, at most, each machine's clocks run too fast or too slow from the beginning, at most 0.1: 10 %.
	Drift float64 `json:"drift,omitempty"`
	// GoroutineSeed, if not 0, is the seed of the order of goroutines in place of Seed.
	GoroutineSeed uint64 `json:"goroutine_seed,omitempty"`

	Faults []Fault `json:"faults"`
	// Core heals only a majority of each shard when the faults are over; the rest stays broken for good.
	Core bool `json:"core,omitempty"`
}

// Crowd is the clients.
type Crowd struct {
	Clients    int      `json:"clients"`
	Bound      int      `json:"bound,omitempty"` // more clients, each bound to one node; see workload.Config
	Keys       int      `json:"keys"`
	Rate       float64  `json:"rate,omitempty"`       // operations a second that the clients which are not bound aim at together; 0: see Pause
	Pause      Duration `json:"pause,omitempty"`      // mean, between the operations of one client, if there is no rate
	Beat       Duration `json:"beat,omitempty"`       // clients begin operations at its multiples only, several at once; 0: at any time
	ValueBytes int      `json:"value_bytes"`          // of the largest values
	Operations int      `json:"operations,omitempty"` // all clients together stop after so many; 0: no bound
	Begin      Duration `json:"begin,omitempty"`      // when the clients begin, before Duration is over
}

// Fault is one thing that happens. It strikes at At or, with On, when its event comes after At, and ends For later. With Again it
// then waits for its event that many times more; where that is two events, the second is counted one further each time, so that
// a machine is hit at one step of its work after the other.
type Fault struct {
	ID     string   `json:"id"` // of the class; kvsim faults lists them
	At     Duration `json:"at"`
	On     *Event   `json:"on,omitempty"`
	Again  int      `json:"again,omitempty"`
	For    Duration `json:"for,omitempty"`
	Nodes  []string `json:"nodes,omitempty"`  // machines concerned; leader:0 is whoever leads shard 0 then, follower:0 one that does not, shard:0 all of it, all everybody
	Amount float64  `json:"amount,omitempty"` // what it means is the class's: a rate, a chance, seconds
	Bytes  int64    `json:"bytes,omitempty"`
	Mode   string   `json:"mode,omitempty"` // a variant of the class
}

// Event is something rare to strike at: the Count-th (from 1) of its kind on the machine, counted from the fault's At.
type Event struct {
	Kind  string `json:"kind"`            // a disk call (sync, write, truncate, rename, create, remove, sync-folder), a host call, log, or wire
	Node  string `json:"node"`            // "": whichever it comes on first
	Match string `json:"match,omitempty"` // the disk call's path, the log line, or what the node does with a raft message (tap.Messages) contains this
	Count int    `json:"count"`
	// Then is what has to come on the same machine afterwards: strike at the second of two.
	Then *Event `json:"then,omitempty"`
}

// Duration is written as Go writes it: 1.5s.
type Duration = rig.Duration

// Write writes s as JSON for people: one fault a line.
func (s *Schedule) Write(w io.Writer) error {
	short := *s
	short.Faults = nil
	head, err := json.Marshal(struct {
		*Schedule
		Faults *struct{} `json:"faults,omitempty"` // hides the field
	}{Schedule: &short})
	if err != nil {
		return fmt.Errorf("write the schedule: %w", err)
	}
	text := append(head[:len(head)-1], `,"faults":[`...)
	for i, f := range s.Faults {
		b, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("write the schedule: %w", err)
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, "\n  "...), b...)
	}
	if _, err := w.Write(append(text, "\n]}\n"...)); err != nil {
		return fmt.Errorf("write the schedule: %w", err)
	}
	return nil
}

// Read reads what Write wrote. Unknown fields are refused: a misspelt one would silently do nothing.
func Read(r io.Reader) (*Schedule, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var s Schedule
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	if s.Version != 1 {
		return nil, fmt.Errorf("schedule: version %d, this program reads version 1", s.Version)
	}
	if s.Crowd.Begin < 0 || s.Crowd.Begin > 0 && s.Crowd.Begin >= s.Duration {
		return nil, fmt.Errorf("schedule: the clients begin at %s, and all is over at %s: let them begin before", s.Crowd.Begin, s.Duration)
	}
	return &s, nil
}
