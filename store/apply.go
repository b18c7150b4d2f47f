package store

func (m *Machine) apply(c *Command) Result {
	switch {
	case c.Kind == CommandInit:
		return Result{Code: m.init(c.Identity), Epoch: m.state.epoch}
	case m.state.identity == nil:
		return Result{Code: Uninitialised}
	case c.Kind == CommandPut || c.Kind == CommandDelete:
		return m.write(c)
	case c.Kind == CommandRegisterShard:
		return Result{Code: m.register(c.Shard, c.Members), Epoch: m.state.epoch}
	}
	return Result{Code: OK, Epoch: m.state.epoch} // term start: log time has moved, that is all
}

// init gives the machine its identity and the slots it owns from the start. The first one wins.
func (m *Machine) init(id *Identity) Code {
	if present := m.state.identity; present != nil {
		if *id == *present {
			return OK
		}
		return IdentityMismatch
	}
	if id.Check() != nil {
		return IdentityMismatch
	}
	m.state.identity, m.state.epoch = id, 1
	for s := range SlotCount {
		m.own(Slot(s))
	}
	if id.Shard == 0 {
		m.state.table = initialTable(id.ShardCount)
	}
	return OK
}

func (m *Machine) own(s Slot) {
	if m.state.identity.OwnsInitially(s) {
		m.touch(s).ownership = Ownership{State: Owned, Epoch: m.state.epoch}
	}
}

// write is put and delete. Ownership is checked first, here, in the order of the log: that no two shards accept writes
// for a slot rests on it.
func (m *Machine) write(c *Command) Result {
	r := Result{Slot: m.state.identity.SlotFunction.Slot(c.Key), Epoch: m.state.epoch}
	switch m.state.slots[r.Slot].ownership.State {
	case Owned:
	case Frozen:
		r.Code = SlotFrozen
		return r
	default:
		r.Code = NotOwner
		return r
	}
	if c.IdempotencyKey != "" {
		return m.once(c, r)
	}
	m.execute(c, &r)
	return r
}

// execute does what the command says, if its condition holds, and completes r.
func (m *Machine) execute(c *Command, r *Result) {
	s := m.touch(r.Slot)
	if c.Kind == CommandPut && c.Condition == Always {
		r.Code = m.put(s, c.Key, c.Value) // without looking first: this is the hot path
		r.Revision = s.revision
		return
	}
	old := s.rows.get(c.Key)
	switch {
	case !c.holds(old):
		r.Code = PreconditionFailed
		if old != nil {
			r.Revision = old.revision()
		}
	case c.Kind == CommandPut:
		r.Code = m.put(s, c.Key, c.Value)
		r.Revision = s.revision
	case old != nil:
		m.delete(s, c.Key)
		r.Code, r.Revision = Deleted, s.revision
	default:
		r.Code = NotFound
	}
}

func (m *Machine) put(s *slotContent, key, value []byte) Code {
	s.revision++
	place := s.rows.place(key)
	old, created, code := *place, s.revision, Created
	if old != nil {
		created, code = old.created(), Replaced
		m.state.discount(s, old)
	}
	*place = newRow(key, value, s.revision, created, m.state.time)
	m.state.count(s, *place)
	return code
}

func (m *Machine) delete(s *slotContent, key []byte) {
	s.revision++
	if old := s.rows.delete(key); old != nil {
		m.state.discount(s, old)
	}
}

// holds reports whether the condition holds for the present row, nil when the key is absent.
func (c *Command) holds(present row) bool {
	switch c.Condition {
	case IfAbsent:
		return present == nil
	case IfPresent:
		return present != nil
	case IfRevision:
		return present != nil && present.revision() == c.Revision
	}
	return true
}
