package store

import (
	"fmt"
	"testing"
)

func TestRepeatsAreReplayed(t *testing.T) {
	m := started(t, identity(LastByte))
	commands := []Command{
		put("a", "1").under("created"), put("a", "2").under("replaced"), put("a", "3").when(IfAbsent, 0).under("refused"),
		del("x/a").under("not found"), put("b/a", "").under("other"), del("b/a").under("deleted"),
	}
	first := do(t, m, 10, commands...)
	codes := []Code{Created, Replaced, PreconditionFailed, NotFound, Created, Deleted}
	do(t, m, 20, del("a"))
	m = restored(t, snapshotOf(t, m.View()))
	digest := m.View().Digest()
	for i, r := range do(t, m, 30, commands...) {
		want := first[i]
		if want.Code != codes[i] || want.Replayed {
			t.Errorf("first %d: %+v", i, want)
		}
		want.Replayed, want.ReplayIndex, want.ReplayTerm = true, 2, 1
		if r != want {
			t.Errorf("repeat %d: got %+v, want %+v", i, r, want)
		}
	}
	if m.View().Digest() != digest {
		t.Error("repeats have changed the state")
	}
	row := m.View().Operation("replaced")
	if want := (OperationRow{Slot: 'a', Result: first[1], Index: 2, Term: 1, Time: 10}); len(row) != 1 || row[0] != want {
		t.Errorf("operation: %+v, want %+v", row, want)
	}
	if m.View().Operation("never seen") != nil {
		t.Error("an operation out of nowhere")
	}
}

// TestFingerprint: every field of the request counts.
func TestFingerprint(t *testing.T) {
	base := put("a", "1").when(IfRevision, 3).under("i")
	variants := []Command{
		put("xa", "1").when(IfRevision, 3).under("i"), put("a", "2").when(IfRevision, 3).under("i"),
		put("a", "1").when(IfRevision, 4).under("i"), put("a", "1").when(IfPresent, 0).under("i"),
		del("a").when(IfRevision, 3).under("i"), put("a", "").when(IfRevision, 3).under("i"),
	}
	m := started(t, identity(LastByte))
	do(t, m, 1, base)
	for i, c := range variants {
		if r := do(t, m, 1, c)[0]; r.Code != IdempotencyMismatch || r.Replayed || r.Code.Applied() {
			t.Errorf("variant %d: %+v", i, r)
		}
	}
	// Another slot is another scope.
	if r := do(t, m, 1, put("b", "1").under("i"))[0]; r.Code != Created {
		t.Errorf("other slot: %v", r.Code)
	}
	if rows := m.View().Operation("i"); len(rows) != 2 || rows[0].Slot != 'a' || rows[1].Slot != 'b' {
		t.Errorf("operations: %+v", rows)
	}
}

// TestOneKeyInOneEntry: several writes under one idempotency key in one entry are done once.
func TestOneKeyInOneEntry(t *testing.T) {
	m := started(t, identity(LastByte))
	r := do(t, m, 1, put("a", "1").under("i"), put("a", "1").under("i"), put("a", "2").under("i"))
	if r[0].Code != Created || r[1].Code != Created || !r[1].Replayed || r[1].ReplayIndex != 2 || r[2].Code != IdempotencyMismatch {
		t.Errorf("%+v", r)
	}
	if m.View().SlotRevision('a') != 1 {
		t.Errorf("done %d times", m.View().SlotRevision('a'))
	}
}

// TestEviction: rows younger than the lifetime never go; older ones go in log order, over all slots, and only for room.
func TestEviction(t *testing.T) {
	id := identity(LastByte)
	id.IdempotencyBytes = 3 * operationBytes("i0")
	m := started(t, id)
	known := func(want ...string) {
		t.Helper()
		var got []string
		for i := range 10 {
			if key := fmt.Sprint("i", i); len(m.View().Operation(key)) > 0 {
				got = append(got, key)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("known: %v, want %v", got, want)
		}
	}
	write := func(now uint64, i int, want Code) {
		t.Helper()
		if r := do(t, m, now, put(fmt.Sprintf("%d%c", i, 'z'-i), "").under(fmt.Sprint("i", i)))[0]; r.Code != want {
			t.Errorf("write %d at %d: %v, want %v", i, now, r.Code, want)
		}
		m = restored(t, snapshotOf(t, m.View())) // the order survives
	}
	for i := range 3 {
		write(uint64(1000+i), i, Created)
	}
	write(1000+IdempotencyLifetime-1, 3, IdempotencyFull)
	if _, ok := m.View().Get([]byte("3w")); ok {
		t.Error("a refused write was done")
	}
	known("i0", "i1", "i2")
	write(1000+IdempotencyLifetime, 3, Created)
	known("i1", "i2", "i3")
	write(1000+IdempotencyLifetime, 4, IdempotencyFull)
	write(1001+IdempotencyLifetime, 4, Created)
	known("i2", "i3", "i4")
	do(t, m, 1e9) // nothing goes without need
	known("i2", "i3", "i4")
	long := make([]byte, id.IdempotencyBytes)
	if r := do(t, m, 2e9, put("z", "").under(string(long)))[0]; r.Code != IdempotencyFull {
		t.Errorf("a key that never fits: %v", r.Code)
	}
	known("i2", "i3", "i4")
	if got := m.View().IdempotencyBytes(); got != id.IdempotencyBytes {
		t.Errorf("%d bytes", got)
	}
}

func TestQueue(t *testing.T) {
	var q queue
	next, oldest := uint64(0), uint64(0)
	for round := range 200 {
		for range round % 17 {
			q.push(&operation{sequence: next})
			next++
		}
		for range round % 13 {
			if oldest == next {
				break
			}
			if o := q.pop(); o.sequence != oldest {
				t.Fatalf("got %d, want %d", o.sequence, oldest)
			}
			oldest++
		}
		if live := int(next - oldest); len(q.items)-q.head != live || q.head > live+1 {
			t.Fatalf("%d live rows in %d places, head %d", live, len(q.items), q.head)
		}
	}
}
