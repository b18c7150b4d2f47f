package store

import "sync/atomic"

// Machine is the state machine of one shard. Apply, Advance and Restore belong to one goroutine; View to all.
type Machine struct {
	state *state
	view  atomic.Pointer[View]

	restoring atomic.Uint64 // see Restoring

	// Working memory of the applying goroutine.
	hasher   *hasher
	commands []Command
	touched  [SlotCount]bool
	dirty    []Slot // the slots in touched, in order of the first touch
}

// New makes a machine that waits for Init or Restore.
func New() *Machine {
	m := &Machine{state: newState(), hasher: newHasher(), dirty: make([]Slot, 0, SlotCount)}
	m.view.Store(emptyView())
	return m
}

// View is the machine as it is after the last entry that was applied as a whole. It never changes; hold it as long as
// you like. Never nil.
func (m *Machine) View() *View { return m.view.Load() }

// Restoring is how many bytes, as View.Bytes counts them, the state has that Restore is building aside; 0 when it is not.
func (m *Machine) Restoring() uint64 { return m.restoring.Load() }

// Apply applies one log entry: all its commands, in order, one result for each, and publishes one view. An entry at or
// below the applied index is skipped and gives nil, nil: raft applies entries again after a restart. An error wraps
// ErrEntry and leaves the machine as it was: the caller must stop serving, for every later answer would be wrong.
// The machine keeps nothing of entry's memory (S2).
func (m *Machine) Apply(index, term uint64, entry []byte) ([]Result, error) {
	results, err := m.Step(index, term, entry)
	if err == nil {
		m.Publish()
	}
	return results, err
}

// Step is Apply without the view: what it did shows with the next Publish. Several entries that were committed together can
// so share one view, which saves copying the parts of the maps that they all change.
func (m *Machine) Step(index, term uint64, entry []byte) ([]Result, error) {
	if index <= m.state.index { // S5
		return nil, nil
	}
	e, err := decodeEntry(entry, m.commands[:0])
	if err != nil {
		return nil, err
	}
	m.state.index, m.state.term = index, term
	m.state.time = max(m.state.time, e.Time)
	results := make([]Result, len(e.Commands))
	for i := range e.Commands {
		results[i] = m.apply(&e.Commands[i])
	}
	m.recycle(e.Commands)
	return results, nil
}

// Advance moves the applied index over an entry that is not the machine's, such as a configuration change. Indexes at or
// below the applied one are ignored. It shows with the next Publish.
func (m *Machine) Advance(index, term uint64) {
	if index > m.state.index { // S5
		m.state.index, m.state.term = index, term
	}
}

// Publish makes everything that was applied visible, at once and as a whole (S1).
func (m *Machine) Publish() {
	if m.state.index > m.view.Load().index {
		m.publish()
	}
}

// recycle keeps the command list for the next entry, but neither references into this one nor the memory of an unusually
// large one.
func (m *Machine) recycle(commands []Command) {
	const keep = 4096
	clear(commands)
	if cap(commands) <= keep {
		m.commands = commands
	}
}

func (m *Machine) touch(s Slot) *slotContent {
	if !m.touched[s] {
		m.touched[s] = true
		m.dirty = append(m.dirty, s)
	}
	return &m.state.slots[s]
}

// publish makes the present state visible, at once and as a whole (S1).
func (m *Machine) publish() {
	v := m.view.Load().next(m.state, m.dirty)
	for _, s := range m.dirty {
		m.touched[s] = false
	}
	m.dirty = m.dirty[:0]
	m.view.Store(v)
}
