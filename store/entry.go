package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrEntry is what every error of DecodeEntry and Apply wraps: the entry is damaged or from a newer program. Whoever gets
// it must stop serving: an entry must not be skipped.
var ErrEntry = errors.New("log entry cannot be decoded")

// An entry is: version byte, time, number of commands, commands, CRC-32C of all before (big-endian). The checksum is ours
// because neither raft nor bbolt checks what it reads back from the disk. Numbers are unsigned varints, strings have their
// length before them.
const (
	entryVersion   = 1
	checksumBytes  = 4
	minCommandSize = 2 // kind and one field
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// AppendEntry encodes e behind dst. Fields that do not belong to a command's kind are left out.
func AppendEntry(dst []byte, e Entry) []byte {
	start := len(dst)
	dst = append(dst, entryVersion)
	dst = binary.AppendUvarint(dst, e.Time)
	dst = binary.AppendUvarint(dst, uint64(len(e.Commands)))
	for i := range e.Commands {
		dst = appendCommand(dst, &e.Commands[i])
	}
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

func appendCommand(dst []byte, c *Command) []byte {
	dst = append(dst, byte(c.Kind))
	switch c.Kind {
	case CommandInit:
		dst = appendIdentity(dst, c.Identity)
	case CommandTermStart:
		dst = appendBytes(dst, c.Node)
	case CommandPut, CommandDelete:
		dst = append(dst, byte(c.Condition))
		if c.Condition == IfRevision {
			dst = binary.AppendUvarint(dst, uint64(c.Revision))
		}
		dst = appendBytes(dst, c.IdempotencyKey)
		dst = appendBytes(dst, c.Key)
		if c.Kind == CommandPut {
			dst = appendBytes(dst, c.Value)
		}
	case CommandRegisterShard:
		dst = binary.AppendUvarint(dst, uint64(c.Shard))
		dst = appendMembers(dst, c.Members)
	}
	return dst
}

func appendIdentity(dst []byte, id *Identity) []byte {
	if id == nil {
		id = &Identity{} // does not pass Check: the machine refuses it, with a result
	}
	dst = appendBytes(dst, id.Cluster)
	dst = binary.AppendUvarint(dst, uint64(id.Shard))
	dst = binary.AppendUvarint(dst, uint64(id.ShardCount))
	dst = append(dst, byte(id.SlotFunction))
	return binary.AppendUvarint(dst, id.IdempotencyBytes)
}

func appendMembers(dst []byte, members []Member) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(members)))
	for _, m := range members {
		dst = appendBytes(dst, m.ID)
		dst = appendBytes(dst, m.PeerAddress)
		dst = appendBytes(dst, m.APIAddress)
	}
	return dst
}

// EncodedSize is an upper bound of the bytes that c takes in an entry. The entry itself adds at most 25.
func (c *Command) EncodedSize() int {
	const number = binary.MaxVarintLen64
	n := 2 + 4*number + len(c.IdempotencyKey) + len(c.Key) + len(c.Value) + len(c.Node)
	if c.Identity != nil {
		n += 1 + 4*number + len(c.Identity.Cluster)
	}
	for _, m := range c.Members {
		n += 3*number + len(m.ID) + len(m.PeerAddress) + len(m.APIAddress)
	}
	return n
}

// DecodeEntry reads what AppendEntry wrote. Keys and values of the result alias b. It allocates at most a fixed multiple
// of len(b), whatever b says. Errors wrap ErrEntry.
func DecodeEntry(b []byte) (Entry, error) { return decodeEntry(b, nil) }

// decodeEntry appends the commands to scratch.
func decodeEntry(b []byte, scratch []Command) (Entry, error) {
	if len(b) < 1+checksumBytes {
		return Entry{}, fmt.Errorf("%w: %d bytes are too few", ErrEntry, len(b))
	}
	body, sum := b[:len(b)-checksumBytes], binary.BigEndian.Uint32(b[len(b)-checksumBytes:])
	if checksum(body) != sum {
		return Entry{}, fmt.Errorf("%w: checksum of %d bytes does not match", ErrEntry, len(b))
	}
	return decodeBody(body, scratch)
}

func decodeBody(body []byte, scratch []Command) (Entry, error) {
	c := cursor{b: body}
	if v := c.byte(); v != entryVersion {
		return Entry{}, fmt.Errorf("%w: version %d, this program knows %d", ErrEntry, v, entryVersion)
	}
	e := Entry{Time: c.uvarint(), Commands: scratch}
	n := c.count(minCommandSize)
	if e.Commands == nil && n > 0 {
		e.Commands = make([]Command, 0, n)
	}
	for i := range n {
		e.Commands = append(e.Commands, Command{})
		decodeCommand(&c, &e.Commands[len(e.Commands)-1])
		if c.err != nil {
			return Entry{}, fmt.Errorf("%w: command %d of %d: %w", ErrEntry, i+1, n, c.err)
		}
	}
	if c.err == nil && len(c.b) > 0 {
		c.err = fmt.Errorf("%d bytes too many", len(c.b))
	}
	if c.err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrEntry, c.err)
	}
	return e, nil
}

func decodeCommand(c *cursor, cmd *Command) {
	cmd.Kind = CommandKind(c.byte())
	switch cmd.Kind {
	case CommandInit:
		cmd.Identity = decodeIdentity(c)
	case CommandTermStart:
		cmd.Node = c.string()
	case CommandPut, CommandDelete:
		cmd.Condition = Condition(c.byte())
		if cmd.Condition > IfRevision {
			c.err = fmt.Errorf("unknown condition %d", cmd.Condition)
		}
		if cmd.Condition == IfRevision {
			cmd.Revision = Revision(c.uvarint())
		}
		cmd.IdempotencyKey = c.string()
		cmd.Key = c.bytes()
		if cmd.Kind == CommandPut {
			cmd.Value = c.bytes()
		}
	case CommandRegisterShard:
		cmd.Shard = Shard(c.uvarint32())
		cmd.Members = decodeMembers(c)
	default:
		if c.err == nil {
			c.err = fmt.Errorf("unknown command %d", cmd.Kind)
		}
	}
}

func decodeIdentity(c *cursor) *Identity {
	return &Identity{
		Cluster: c.string(), Shard: Shard(c.uvarint32()), ShardCount: c.uvarint32(),
		SlotFunction: SlotFunction(c.byte()), IdempotencyBytes: c.uvarint(),
	}
}

func decodeMembers(c *cursor) []Member {
	n := c.count(3)
	if n == 0 {
		return nil
	}
	members := make([]Member, n)
	for i := range members {
		members[i] = Member{ID: c.string(), PeerAddress: c.string(), APIAddress: c.string()}
	}
	return members
}
