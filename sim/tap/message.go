package tap

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// What a request asks for: the byte before each, as in raft's network transport.
const (
	appendEntries   = 0
	requestVote     = 1
	installSnapshot = 2
	timeoutNow      = 3
	requestPreVote  = 4
)

// request has the fields of all requests.
type request struct {
	ProtocolVersion int
	ID, Addr        []byte
	Term            uint64
	Leader          []byte // append, install
	PrevLogEntry    uint64 // append
	PrevLogTerm     uint64
	Entries         []*logEntry
	LeaderCommitIndex,
	LastLogIndex, LastLogTerm uint64 // vote, pre-vote, install
	Candidate          []byte // vote
	LeadershipTransfer bool
	SnapshotVersion    int // install
	Peers              []byte
	Configuration      []byte
	ConfigurationIndex uint64
	Size               int64

	kind     byte
	from, to string
	floor    uint64 // highest term that the receiver had replied with in this life, as it was sent
	outcast  string // which of them had another disk than it joined with, as it was sent
}

// reply has the fields of all replies.
type reply struct {
	ProtocolVersion         int
	ID, Addr                []byte
	Term                    uint64
	LastLog                 uint64
	Success, NoRetryBackoff bool
	Peers                   []byte
	Granted                 bool
}

// logEntry is an entry as it is sent.
type logEntry struct {
	Index, Term uint64
	Type        uint8
	Data        []byte
	Extensions  []byte
	AppendedAt  []byte // the leader's clock, for people; not compared
}

func (e *logEntry) same(o *logEntry) bool {
	return e.Type == o.Type && bytes.Equal(e.Data, o.Data) && bytes.Equal(e.Extensions, o.Extensions)
}

// decoder turns whole frames into messages.
type decoder struct{ handle codec.MsgpackHandle }

func newDecoder() *decoder {
	d := &decoder{}
	d.handle.ErrorIfNoField = true // a field that we do not know may be one that we should check
	d.handle.TimeNotBuiltin = true
	return d
}

func (d *decoder) decode(b []byte, out any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoder: %v", p)
		}
	}()
	return codec.NewDecoderBytes(b, &d.handle).Decode(out)
}

func (d *decoder) request(kind byte, b []byte) (*request, error) {
	q := &request{kind: kind}
	if err := d.decode(b, q); err != nil {
		return nil, err
	}
	if q.kind != timeoutNow && q.Term == 0 {
		return nil, errors.New("a request without a term")
	}
	if q.Size < 0 {
		return nil, errors.New("a snapshot of negative size")
	}
	for _, e := range q.Entries {
		if e == nil {
			return nil, errors.New("an empty log entry")
		}
	}
	return q, nil
}

func (d *decoder) reply(b []byte) (*reply, error) {
	if len(b) == 1 && b[0] == 0xc0 { // raft answers some requests by an error alone
		return nil, nil
	}
	r := &reply{}
	return r, d.decode(b, r)
}

func (d *decoder) text(b []byte) (string, error) {
	var s string
	return s, d.decode(b, &s)
}

// heartbeat: raft's heartbeats carry nothing but the term.
func (q *request) heartbeat() bool {
	return q.kind == appendEntries && q.PrevLogEntry == 0 && q.PrevLogTerm == 0 && len(q.Entries) == 0 && q.LeaderCommitIndex == 0
}

func (q *request) String() string {
	switch q.kind {
	case appendEntries:
		return fmt.Sprintf("AppendEntries of %s to %s, term %d, after %d (term %d), %d entries, commit index %d", q.from, q.to, q.Term, q.PrevLogEntry, q.PrevLogTerm, len(q.Entries), q.LeaderCommitIndex)
	case requestVote:
		return fmt.Sprintf("RequestVote of %s to %s, term %d, log ends at %d (term %d)", q.from, q.to, q.Term, q.LastLogIndex, q.LastLogTerm)
	case installSnapshot:
		return fmt.Sprintf("InstallSnapshot of %s to %s, term %d, up to %d (term %d)", q.from, q.to, q.Term, q.LastLogIndex, q.LastLogTerm)
	case timeoutNow:
		return fmt.Sprintf("TimeoutNow of %s to %s", q.from, q.to)
	}
	return fmt.Sprintf("RequestPreVote of %s to %s, term %d", q.from, q.to, q.Term)
}
