package client

import (
	"net/http"
	"strconv"

	"github.com/kvorum/kvorum/wire"
)

// Receipt says who executed an operation and where in the shard's log it stands. Node is "" when no replica executed it.
type Receipt struct {
	Node        string // id of the replica: for a write the leader
	Shard       uint32
	Epoch       uint64 // of the slot table that the replica went by
	Term        uint64
	Index       uint64 // write: the log index it was applied at; read: the applied index it was served at
	Consistency string // of reads, as served: "linearizable; follower", ...
}

func parseReceipt(h http.Header) Receipt {
	return Receipt{
		Node:        h.Get(wire.HeaderNode),
		Shard:       uint32(parseNumber(h.Get(wire.HeaderShard), 32)),
		Epoch:       parseNumber(h.Get(wire.HeaderEpoch), 64),
		Term:        parseNumber(h.Get(wire.HeaderTerm), 64),
		Index:       parseNumber(h.Get(wire.HeaderIndex), 64),
		Consistency: h.Get(wire.HeaderConsistency),
	}
}

// parseNumber gives 0 for what is no number: receipts inform, nothing is decided by them.
func parseNumber(s string, bits int) uint64 {
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0
	}
	return n
}

// parseETag reads the revision of an ETag such as "12". ok is false for anything else.
func parseETag(s string) (revision uint64, ok bool) {
	if len(s) < 3 || s[0] != '"' || s[len(s)-1] != '"' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[1:len(s)-1], 10, 64)
	return n, err == nil
}

func formatETag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }
