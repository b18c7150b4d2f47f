package store

import "strings"

// IdempotencyLifetime is how long an idempotency row lives at least, in ms of log time. It goes afterwards only when its
// room is needed: so a leader whose clock leaps ahead does not make the machine forget everything at once. It is part of
// the format: replicas must agree on who goes.
const IdempotencyLifetime = 10 * 60 * 1000

// once executes a write that carries an idempotency key, unless that was done before. The key's scope is the slot. Every
// deterministic answer is remembered, also "no"; only refusals for want of ownership or room are not.
func (m *Machine) once(c *Command, r Result) Result {
	fingerprint := m.hasher.fingerprint(c)
	if first, known := m.state.slots[r.Slot].operations.Get(c.IdempotencyKey); known {
		if first.fingerprint != fingerprint {
			r.Code = IdempotencyMismatch
			return r
		}
		r = first.result
		r.Replayed, r.ReplayIndex, r.ReplayTerm = true, first.index, first.term
		return r
	}
	if !m.makeRoom(operationBytes(c.IdempotencyKey)) {
		r.Code = IdempotencyFull
		return r
	}
	m.execute(c, &r)
	st := m.state
	o := &operation{
		key: strings.Clone(c.IdempotencyKey), fingerprint: fingerprint, result: r, // S2
		index: st.index, term: st.term, time: st.time, sequence: st.sequence,
	}
	st.sequence++
	o.digest = m.hasher.operation(o)
	st.addOperation(m.touch(r.Slot), o)
	return r
}

// makeRoom evicts rows that have lived long enough, oldest first, until need bytes fit.
func (m *Machine) makeRoom(need uint64) bool {
	st := m.state
	limit := st.identity.IdempotencyBytes
	if need > limit {
		return false
	}
	for st.operationBytes > limit-need { // so there is at least one row
		oldest := st.queue.oldest()
		if st.time < oldest.time+IdempotencyLifetime {
			return false
		}
		m.touch(oldest.result.Slot)
		st.evictOldest()
	}
	return true
}
