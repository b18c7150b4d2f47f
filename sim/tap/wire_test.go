package tap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"github.com/kvorum/kvorum/sim/audit"
)

// play is a made-up run: what five nodes, a to e of shard 0, say to each other.
type play struct {
	t     *testing.T
	tap   *Tap
	links map[[2]string]uint64
	ends  []string // of those who were dialled, by number
	found []string // "oracle: detail"
}

func newPlay(t *testing.T, durable func(node string) (audit.Image, error)) *play {
	p := &play{t: t, links: map[[2]string]uint64{}}
	p.tap = New(Config{
		Fail:   func(oracle, detail string) { p.found = append(p.found, oracle+": "+detail) },
		Voters: map[uint32][]string{0: {"a", "b", "c", "d", "e"}}, Durable: durable, DurableEvery: 1,
	})
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		p.tap.Started(0, n)
	}
	return p
}

// oracles that fired, each once.
func (p *play) oracles() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for o := range p.tap.Failures() {
			if !yield(o) {
				return
			}
		}
	})
}

func text(dst []byte, s string) []byte { return append(append(dst, byte(len(s))), s...) }

func identityBytes(dst []byte, node string) []byte {
	dst = text(dst, "cluster")
	dst = binary.BigEndian.AppendUint32(dst, 0)
	return text(text(text(dst, node), "disk-of-"+node), "1 shard, last-byte")
}

func handshakeFrame(kind byte, payload []byte) []byte {
	b := append([]byte("kvrm"), 1, kind)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(payload))), payload...)
}

func helloBytes(kind byte, from, to string) []byte {
	b := identityBytes([]byte{kind}, from)
	return handshakeFrame(typeHello, text(binary.BigEndian.AppendUint32(b, 0), to))
}

func answerBytes(node string) []byte {
	return handshakeFrame(typeAnswer, identityBytes([]byte{0}, node))
}

func pack(v any) []byte {
	var b bytes.Buffer
	var h codec.MsgpackHandle
	h.TimeNotBuiltin = true
	if err := codec.NewEncoder(&b, &h).Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// link is the connection from one node to another, which is opened if need be.
func (p *play) link(from, to string) uint64 {
	k := [2]string{from, to}
	if n, ok := p.links[k]; ok {
		return n
	}
	p.ends = append(p.ends, to)
	n := uint64(len(p.ends))
	p.links[k] = n
	p.tap.open(n, 7080)
	p.tap.Sent(n, false, helloBytes(kindRaft, from, to), 0)
	p.tap.Sent(n, true, answerBytes(to), 0)
	return n
}

func (p *play) hangUp(from, to string) {
	p.tap.Closed(p.link(from, to), 0)
	delete(p.links, [2]string{from, to})
}

func (p *play) ask(from, to string, kind byte, q request) {
	q.ID, q.Addr, q.ProtocolVersion = []byte(from), []byte(from), 3
	p.tap.Sent(p.link(from, to), false, append([]byte{kind}, pack(&q)...), 0)
}

func (p *play) answer(from, to string, r reply) {
	r.ID, r.Addr, r.ProtocolVersion = []byte(to), []byte(to), 3
	p.tap.Sent(p.link(from, to), true, append(pack(""), pack(&r)...), 0)
}

// vote: from is granted a vote in the term.
func (p *play) vote(from, to string, term, index, lastTerm uint64) {
	p.ask(from, to, requestVote, request{Term: term, LastLogIndex: index, LastLogTerm: lastTerm})
	p.answer(from, to, reply{Term: term, Granted: true})
}

// entries begin behind the previous index; of each only the term is given.
func entries(previous uint64, terms ...uint64) (list []*logEntry) {
	for i, term := range terms {
		index := previous + 1 + uint64(i)
		list = append(list, &logEntry{Index: index, Term: term, Data: fmt.Appendf(nil, "%d/%d", index, term)})
	}
	return list
}

func (p *play) send(from, to string, term, previous, previousTerm, commit uint64, terms ...uint64) {
	p.ask(from, to, appendEntries, request{Term: term, PrevLogEntry: previous, PrevLogTerm: previousTerm, Entries: entries(previous, terms...), LeaderCommitIndex: commit})
}

func (p *play) ack(from, to string, term uint64) {
	p.answer(from, to, reply{Term: term, Success: true})
}

// elect: the leader is granted two votes, a majority with its own.
func (p *play) elect(leader, first, second string, term, index, lastTerm uint64) {
	p.vote(leader, first, term, index, lastTerm)
	p.vote(leader, second, term, index, lastTerm)
}

// begin: a leads term 2; entries 1 (term 1) and 2 to 4 (term 2) are at a, b and c, and so committed.
func (p *play) begin() {
	p.elect("a", "b", "c", 2, 1, 1)
	for _, to := range []string{"b", "c"} {
		p.send("a", to, 2, 1, 1, 0, 2, 2, 2)
		p.ack("a", to, 2)
	}
	p.send("a", "b", 2, 4, 2, 4)
	p.send("a", "c", 2, 4, 2, 4)
	p.ack("a", "b", 2)
	p.ack("a", "c", 2)
}
