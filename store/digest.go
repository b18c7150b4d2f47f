package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// Digest is a sum, modulo 2^128, of the XXH3-128 hash of each row. Being a sum it does not depend on the order in which rows
// came, and a row can be taken out again. It finds replicas that differ by a bug or a damaged memory; it is no defence
// against somebody who makes up rows to collide, who could write what he likes anyway. A strong hash cost a fifth of a put.
type Digest [16]byte

// String is the digest as 32 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// sum is a Digest in the form that is added up.
type sum struct{ high, low uint64 }

func (s sum) plus(o sum) sum {
	low, carry := bits.Add64(s.low, o.low, 0)
	high, _ := bits.Add64(s.high, o.high, carry)
	return sum{high, low}
}

func (s sum) minus(o sum) sum {
	low, borrow := bits.Sub64(s.low, o.low, 0)
	high, _ := bits.Sub64(s.high, o.high, borrow)
	return sum{high, low}
}

func (s sum) put(b []byte) {
	binary.BigEndian.PutUint64(b, s.high)
	binary.BigEndian.PutUint64(b[8:], s.low)
}

func (s sum) digest() (d Digest) {
	s.put(d[:])
	return d
}

// hasher computes row digests and request fingerprints without allocating. What it hashes is format: replicas of one
// shard compare digests, and a moving slot is compared across shards.
type hasher struct {
	sha  hash.Hash
	head []byte // the fields but the value
	out  []byte
}

func newHasher() *hasher { return &hasher{sha: sha256.New()} }

// Each kind of thing that is hashed begins with a letter of its own.
const (
	hashRow       = 'r'
	hashOperation = 'o'
	hashRequest   = 'q'
)

// rowSum is the digest of what a row holds behind its digest.
func rowSum(b []byte) sum {
	s := xxh3.Hash128(b)
	return sum{s.Hi, s.Lo}
}

// sum hashes b and keeps it as the next scratch buffer.
func (h *hasher) sum(b []byte) sum {
	h.keep(b)
	s := xxh3.Hash128(b)
	return sum{s.Hi, s.Lo}
}

// keptScratch bounds the scratch buffer between calls, so that one large value does not pin its size.
const keptScratch = 64 << 10

func (h *hasher) keep(b []byte) {
	if cap(b) <= keptScratch {
		h.head = b
	}
}

func (h *hasher) operation(o *operation) sum {
	b := appendBytes(append(h.head[:0], hashOperation), o.key)
	b = append(b, byte(o.result.Slot))
	b = append(b, o.fingerprint[:]...)
	return h.sum(appendFirstResult(b, o))
}

// fingerprint tells requests apart: equal for the same kind, key, value, condition and revision only.
func (h *hasher) fingerprint(c *Command) (f [sha256.Size]byte) {
	b := append(h.head[:0], hashRequest, byte(c.Kind), byte(c.Condition))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Revision))
	b = appendBytes(b, c.Key)
	h.head = b
	copy(f[:], h.finish(c.Value))
	return f
}

// finish hashes head and then value. The result is valid until the next call.
func (h *hasher) finish(value []byte) []byte {
	h.sha.Reset()
	h.sha.Write(h.head)
	h.sha.Write(value)
	h.out = h.sha.Sum(h.out[:0])
	return h.out
}

func toSum(b []byte) sum {
	return sum{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}
