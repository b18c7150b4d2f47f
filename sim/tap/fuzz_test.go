package tap

import (
	"bytes"
	"testing"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// FuzzStream: whatever comes, in whatever pieces, nothing panics, memory stays in proportion, and what one piece finds so do
// many.
func FuzzStream(f *testing.F) {
	q := request{Term: 2, ID: []byte("a"), Addr: []byte("a"), PrevLogEntry: 1, PrevLogTerm: 1, Entries: entries(1, 2, 2), LeaderCommitIndex: 1}
	good := append([]byte{appendEntries}, pack(&q)...)
	f.Add(good, []byte{}, 3)
	f.Add(append(good, good...), append(pack(""), pack(&reply{Term: 2, ID: []byte("b"), Success: true})...), 1)
	f.Add([]byte{installSnapshot, 0x81, 0xa4, 'S', 'i', 'z', 'e', 0xcf, 255, 255, 255, 255, 255, 255, 255, 255}, []byte{0xc0}, 2)
	f.Add([]byte{appendEntries, 0xdf, 255, 255, 255, 255}, []byte{0xdb, 255, 255, 255, 255}, 5)
	f.Add(append([]byte{requestVote}, bytes.Repeat([]byte{0x91}, 100)...), []byte{0xa0, 0xc0}, 7)
	f.Fuzz(func(t *testing.T, there, back []byte, size int) {
		size = max(1, min(size, 1<<16))
		run := func(size int) (failed map[string]int, requests int) {
			p := newPlay(t, nil)
			n := p.link("a", "b")
			for rest := there; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				p.tap.Sent(n, false, rest[:min(size, len(rest))], 0)
			}
			for rest := back; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				p.tap.Sent(n, true, rest[:min(size, len(rest))], 0)
			}
			requests = len(p.tap.shard(0).node("b").asked)
			p.tap.Closed(n, 0)
			return p.tap.Failures(), requests
		}
		failed, requests := run(size)
		all, allRequests := run(1 << 20)
		if requests != allRequests || failed["raft-protocol"] != all["raft-protocol"] {
			t.Errorf("in pieces of %d: %d requests, %v; at once: %d, %v", size, requests, failed, allRequests, all)
		}
	})
}

// FuzzScan: the scanner finds the end where the decoder does.
func FuzzScan(f *testing.F) {
	f.Add(pack(map[string]any{"a": []any{1, "x", -5, 1 << 40, 1.5, nil, true, []byte("long enough to need a length of its own, and more")}}))
	f.Add([]byte{0xc7, 3, 1, 2, 3, 4, 0xc0})
	f.Add([]byte{0xd8, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, pieces scanner
		n, err := whole.next(b)
		for i := 1; i <= len(b); i++ {
			m, pieceErr := pieces.next(b[:i])
			if m > 0 || pieceErr != nil {
				if m != n || (pieceErr == nil) != (err == nil) {
					t.Fatalf("byte by byte %d, %v; at once %d, %v", m, pieceErr, n, err)
				}
				break
			}
		}
		if n == 0 {
			return
		}
		var v any
		d := codec.NewDecoderBytes(b[:n], &codec.MsgpackHandle{})
		if d.Decode(&v) == nil && d.NumBytesRead() != n {
			t.Errorf("the decoder took %d bytes, the scanner %d", d.NumBytesRead(), n)
		}
	})
}
