package store

import "github.com/tidwall/btree"

// position in the log and in its time.
type position struct {
	index, term uint64
	time        uint64 // ms, never goes back
}

// totals over all slots.
type totals struct {
	keys           uint64
	dataBytes      uint64
	operationBytes uint64
}

// state is everything that the log determines. Restore builds a second one and swaps.
type state struct {
	position
	totals
	identity *Identity // nil before the first Init; never changed afterwards
	epoch    Epoch
	sequence uint64 // of the next idempotency row
	table    *Table // shard 0 only; replaced, never changed
	slots    [SlotCount]slotContent
	queue    queue // idempotency rows of all slots, oldest first
}

func newState() *state {
	st := new(state)
	for i := range st.slots {
		st.slots[i].operations = *btree.NewMap[string, *operation](mapDegree)
	}
	return st
}

// count and discount keep digest and totals in step with the rows of a slot (S3).
func (st *state) count(s *slotContent, r row) {
	s.digest = s.digest.plus(r.digest())
	st.dataBytes += rowBytes(r)
	st.keys++
}

func (st *state) discount(s *slotContent, r row) {
	s.digest = s.digest.minus(r.digest())
	st.dataBytes -= rowBytes(r)
	st.keys--
}

func (st *state) addOperation(s *slotContent, o *operation) {
	s.operations.Set(o.key, o)
	s.digest = s.digest.plus(o.digest)
	st.operationBytes += operationBytes(o.key)
	st.queue.push(o)
}

// evictOldest removes the oldest idempotency row and gives its slot.
func (st *state) evictOldest() Slot {
	o := st.queue.pop()
	s := &st.slots[o.result.Slot]
	s.operations.Delete(o.key)
	s.digest = s.digest.minus(o.digest)
	st.operationBytes -= operationBytes(o.key)
	return o.result.Slot
}

// queue is first in, first out. Its memory is at most twice what it holds.
type queue struct {
	items []*operation
	head  int
}

func (q *queue) push(o *operation) { q.items = append(q.items, o) }

// oldest must not be called on an empty queue, nor pop.
func (q *queue) oldest() *operation { return q.items[q.head] }

func (q *queue) pop() *operation {
	o := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return o
}
