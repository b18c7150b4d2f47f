package store

import (
	"errors"
	"fmt"
)

// Member is one replica of a shard. Addresses are host:port.
type Member struct{ ID, PeerAddress, APIAddress string }

// Identity is what a machine is told once, by its first Init, and never forgets: it belongs to this shard of this cluster.
type Identity struct {
	Cluster      string
	Shard        Shard
	ShardCount   uint32 // at the cluster's creation, 1..SlotCount
	SlotFunction SlotFunction
	// IdempotencyBytes bounds the idempotency rows, in bytes as View.IdempotencyBytes counts them. With 0 every write
	// with an idempotency key is refused as IdempotencyFull.
	IdempotencyBytes uint64
}

// OwnsInitially reports whether the shard owns s when the cluster is created: slot % ShardCount == Shard.
func (id Identity) OwnsInitially(s Slot) bool {
	return id.ShardCount != 0 && uint32(s)%id.ShardCount == uint32(id.Shard)
}

// Check says what is wrong with an identity. A machine answers IdentityMismatch to an Init that does not pass.
func (id Identity) Check() error {
	switch {
	case id.Cluster == "":
		return errors.New("cluster name is empty")
	case id.ShardCount < 1 || id.ShardCount > SlotCount:
		return fmt.Errorf("shard count %d is not in 1..%d", id.ShardCount, SlotCount)
	case uint32(id.Shard) >= id.ShardCount:
		return fmt.Errorf("shard %d is not below the shard count %d", id.Shard, id.ShardCount)
	case id.SlotFunction != LastByte && id.SlotFunction != Hash:
		return fmt.Errorf("slot function %d is unknown", id.SlotFunction)
	}
	return nil
}
