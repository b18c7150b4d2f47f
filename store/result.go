package store

import "fmt"

// Code says what became of a command. The numbers are format (first results are kept in snapshots): never reorder them.
type Code uint8

const (
	OK                  Code = 1  // init, term start, register shard
	Created             Code = 2  // put of an absent key
	Replaced            Code = 3  // put of a present key
	Deleted             Code = 4  // delete of a present key
	NotFound            Code = 5  // delete of an absent key
	PreconditionFailed  Code = 6  // the condition did not hold
	NotOwner            Code = 7  // the slot (register shard: the table) is not this shard's
	SlotFrozen          Code = 8  // the slot is about to move away
	Uninitialised       Code = 9  // a command before the first init
	IdentityMismatch    Code = 10 // init with another (or an impossible) identity; register of a shard that the table does not have
	IdempotencyMismatch Code = 11 // idempotency key used before for another request
	IdempotencyFull     Code = 12 // no room for the idempotency row: all rows are too young to go
)

func (c Code) String() string {
	switch c {
	case OK:
		return "ok"
	case Created:
		return "created"
	case Replaced:
		return "replaced"
	case Deleted:
		return "deleted"
	case NotFound:
		return "not-found"
	case PreconditionFailed:
		return "precondition-failed"
	case NotOwner:
		return "not-owner"
	case SlotFrozen:
		return "slot-frozen"
	case Uninitialised:
		return "uninitialised"
	case IdentityMismatch:
		return "identity-mismatch"
	case IdempotencyMismatch:
		return "idempotency-mismatch"
	case IdempotencyFull:
		return "idempotency-full"
	}
	return fmt.Sprintf("code-%d", uint8(c))
}

// Applied reports whether the command took effect. Of a replayed result it says whether the first one did.
func (c Code) Applied() bool { return c == OK || c == Created || c == Replaced || c == Deleted }

// Result of one command.
type Result struct {
	Code Code
	Slot Slot // put, delete
	// Replayed: the idempotency key was known, nothing was done now, and the rest is the first result.
	Replayed bool
	// Revision of the key after a put; of the slot after an effective delete; with PreconditionFailed the key's present
	// revision, 0 when absent. Otherwise 0.
	Revision Revision
	Epoch    Epoch // that the machine went by
	// With Replayed: where the first one was applied.
	ReplayIndex, ReplayTerm uint64
}
