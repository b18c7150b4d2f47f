package store

import (
	"crypto/sha256"
	"fmt"
)

// SlotCount is the number of slots, fixed for good: slots move between shards, they are never split.
const SlotCount = 256

// Slot is the unit that belongs to a shard and moves between shards. The slot function gives the slot of a key.
type Slot uint8

// Shard numbers a replica group, from 0.
type Shard uint32

// Epoch numbers the versions of who owns what. It starts at 1; 0 means: no epoch yet.
type Epoch uint64

// Revision counts the effective writes of one slot. It moves with the slot. 0 means none: the key is absent.
type Revision uint64

// SlotFunction says how a key is mapped to its slot. It is chosen when the cluster is created and never changes. The
// numbers are format.
type SlotFunction uint8

const (
	// LastByte takes the last byte of the key: slot = key[len(key)-1].
	LastByte SlotFunction = 1
	// Hash takes the first byte of the SHA-256 of the whole key: slot = sha256(key)[0]. HAProxy computes the same with
	// the converters sha2(256),bytes(0,1).
	Hash SlotFunction = 2
)

// ParseSlotFunction reads the name of a slot function: "last-byte" or "hash".
func ParseSlotFunction(s string) (SlotFunction, error) {
	switch s {
	case "last-byte":
		return LastByte, nil
	case "hash":
		return Hash, nil
	}
	return 0, fmt.Errorf("unknown slot function %q: use last-byte or hash", s)
}

// String is the name that ParseSlotFunction reads.
func (f SlotFunction) String() string {
	switch f {
	case LastByte:
		return "last-byte"
	case Hash:
		return "hash"
	}
	return fmt.Sprintf("slot-function-%d", uint8(f))
}

// Slot gives the slot of key. The empty key, which the API refuses, is in slot 0 by LastByte. A function that is neither
// LastByte nor Hash puts every key into slot 0; Identity.Check refuses it.
func (f SlotFunction) Slot(key []byte) Slot {
	switch {
	case f == Hash:
		sum := sha256.Sum256(key)
		return Slot(sum[0])
	case f == LastByte && len(key) > 0:
		return Slot(key[len(key)-1])
	}
	return 0
}

// State of a slot at one machine.
type State uint8

// The numbers are format.
const (
	NotOwned  State = 0 // another shard has it: reads and writes are refused
	Owned     State = 1 // reads and writes
	Frozen    State = 2 // leaving: reads, no writes
	Importing State = 3 // arriving: staged rows that nobody sees
)

func (s State) String() string {
	switch s {
	case NotOwned:
		return "not-owned"
	case Owned:
		return "owned"
	case Frozen:
		return "frozen"
	case Importing:
		return "importing"
	}
	return fmt.Sprintf("state-%d", uint8(s))
}

// Ownership of one slot by this machine, and the epoch since which it holds.
type Ownership struct {
	State State
	Epoch Epoch
}

// Readable reports whether reads may be answered from here: Owned or Frozen.
func (o Ownership) Readable() bool { return o.State == Owned || o.State == Frozen }
