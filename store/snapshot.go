package store

import "errors"

// ErrSnapshot is what every error of Restore wraps that is about the bytes read: damaged, cut short, of a newer program or
// of another shard. Errors of the reader itself are wrapped as they are.
var ErrSnapshot = errors.New("snapshot cannot be restored")

// A snapshot is the magic and then frames: kind (1 byte), length of the payload (4 bytes, big-endian), payload, CRC-32C of
// kind, length and payload (4 bytes, big-endian). In this order:
//
//	header      once: version, position, identity, totals, sum of all digests, number of slots that follow
//	table       once, at shard 0 only
//	slot        each that is not blank, ascending: ownership, revision, digest, number of rows and operations; followed by
//	  rows        its rows in key order
//	  operations  its idempotency rows in key order
//	end         once: SHA-256 of all bytes before this frame; nothing follows
//
// A frame of rows or operations ends with the row that makes its payload frameBytes or longer. Fields are encoded as in
// entries. So each state has one encoding (S4), and the reader refuses any other.
const (
	snapshotMagic   = "kvorum snapshot\n"
	snapshotVersion = 1
	frameBytes      = 64 << 10
	frameHead       = 5 // kind and length
)

const (
	frameHeader     = 'H'
	frameTable      = 'T'
	frameSlot       = 'S'
	frameRows       = 'R'
	frameOperations = 'O'
	frameEnd        = 'E'
)
