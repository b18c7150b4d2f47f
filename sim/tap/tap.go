package tap

import (
	"fmt"
	"slices"

	"github.com/kvorum/kvorum/sim/audit"
	"github.com/kvorum/kvorum/sim/timeline"
	"github.com/kvorum/kvorum/sim/vnet"
)

// Config of a Tap. Fail and Voters are needed.
type Config struct {
	// Fail is told of each violation: the id of an oracle, and what happened. Some fire hundreds of times.
	Fail func(oracle, detail string)
	// Voters of each shard, by node id: the names that nodes have in raft. They never change.
	Voters map[uint32][]string
	// PeerPort is the port of nodes that is listened to; other connections are passed over. Default 7080.
	PeerPort int
	// Message, if not nil, is told of each message as it is sent.
	Message func(what Message, from, to string)
	// Durable returns what a power cut now would leave of the node's data folder. It is costly, so it is asked for at one in
	// DurableEvery acknowledgements only. Nil: never.
	Durable func(node string) (audit.Image, error)
	// DurableEvery is 1 for each acknowledgement, 0 for the default of 256.
	DurableEvery int
}

// Tap watches the raft streams of a network. It implements vnet.Tap. Not safe for concurrent use: the world is one loop.
type Tap struct {
	config      Config
	decoder     *decoder
	connections map[uint64]*connection
	shards      map[uint32]*shard
	failed      map[string]int
	reached     map[string]int
	acks        int // acknowledgements so far
}

var _ vnet.Tap = (*Tap)(nil)

// New makes a Tap that has seen nothing. It must see a network from its first byte.
func New(c Config) *Tap {
	if c.PeerPort == 0 {
		c.PeerPort = 7080
	}
	if c.DurableEvery == 0 {
		c.DurableEvery = 256
	}
	t := &Tap{config: c, decoder: newDecoder(), connections: map[uint64]*connection{}, shards: map[uint32]*shard{}, failed: map[string]int{}, reached: map[string]int{}}
	return t
}

// Opened implements vnet.Tap.
func (t *Tap) Opened(number uint64, _, _ *vnet.Host, port int, _ timeline.Time) {
	t.open(number, port)
}

func (t *Tap) open(number uint64, port int) {
	if port == t.config.PeerPort {
		t.connections[number] = newConnection(t)
	}
}

// Sent implements vnet.Tap.
func (t *Tap) Sent(number uint64, back bool, b []byte, _ timeline.Time) {
	if c := t.connections[number]; c != nil {
		c.feed(back, b)
	}
}

// message tells the world of a message.
func (t *Tap) message(what Message, from, to string) {
	if t.config.Message != nil {
		t.config.Message(what, from, to)
	}
}

// Arrived implements vnet.Tap.
func (t *Tap) Arrived(number uint64, back bool, b []byte, _ timeline.Time) {
	c := t.connections[number]
	switch {
	case c == nil:
	case back:
		c.back.came(len(b))
	default:
		c.there.came(len(b))
	}
}

// Closed implements vnet.Tap.
func (t *Tap) Closed(number uint64, _ timeline.Time) {
	if c := t.connections[number]; c != nil {
		c.closed()
		delete(t.connections, number)
	}
}

// Started must be called when a node begins a life, before it sends: what it sent before binds it, and what it was asked
// before is over.
func (t *Tap) Started(shard uint32, node string) { t.shard(shard).started(node) }

// Forget takes back all that a node promised: call it when the world takes durable data away from the node against all
// promises of a disk (a wiped disk, an old image, a lying fsync). Safety of the shard is not claimed then.
func (t *Tap) Forget(shard uint32, node string) { t.shard(shard).node(node).forget() }

// Outcast says whether the node's disk is another than the one that it joined with, empty or somebody else's: then it may take
// no part, for it does not know what it promised.
func (t *Tap) Outcast(shard uint32, node string, outcast bool) {
	t.shard(shard).node(node).outcast = outcast
}

// Audit checks that the image of a node's disk has all that the node promised to others, as after a crash.
func (t *Tap) Audit(shard uint32, node string, image audit.Image) { t.shard(shard).audit(node, image) }

// Failures counts what each oracle found.
func (t *Tap) Failures() map[string]int { return t.failed }

// Reach counts what happened, by probe.
func (t *Tap) Reach() map[string]int { return t.reached }

func (t *Tap) fail(oracle, detail string) {
	t.failed[oracle]++
	t.config.Fail(oracle, detail)
}

func (t *Tap) reach(probe string) { t.reached[probe]++ }

func (t *Tap) shard(number uint32) *shard {
	s := t.shards[number]
	if s == nil {
		s = newShard(t, number)
		t.shards[number] = s
	}
	return s
}

// acknowledged draws whether the disk must prove what the node said just now.
func (t *Tap) acknowledged(s *shard, node string) {
	t.acks++
	if t.acks%t.config.DurableEvery == 0 {
		t.prove(s, node)
	}
}

// prove compares the node's disk with what it said. It returns what is on the disk, nil if nobody knows.
func (t *Tap) prove(s *shard, node string) *audit.Image {
	if t.config.Durable == nil {
		return nil
	}
	image, err := t.config.Durable(node)
	if err != nil {
		t.fail("durable-promise", fmt.Sprintf("%s acknowledged something, and its disk cannot be read: %v", node, err))
		return nil
	}
	t.reach("acknowledgement compared with the disk")
	s.audit(node, image)
	return &image
}

// shard is what is known of one replica group.
type shard struct {
	tap    *Tap
	number uint32
	voters []string
	nodes  map[string]*node

	entries   map[uint64]map[uint64]*known // index, term
	reigns    map[uint64]*reign            // by term
	ballots   map[ballot]bool              // all votes given, also those that a node has forgotten since
	committed map[uint64]decided           // by index
	commit    uint64                       // highest index committed
	snapshots []Snapshot
	highest   uint64 // term of a reign
}

// known is an entry that somebody sent.
type known struct {
	entry    logEntry
	previous uint64 // term of the entry before it
	by       string
}

// ballot is a vote.
type ballot struct {
	term             uint64
	voter, candidate string
}

// decided is the term of the entry that was committed, and that of the reign in which it was.
type decided struct{ term, in uint64 }

// reign is a term with a leader.
type reign struct {
	term     uint64
	leader   string
	log      map[uint64]uint64 // index -> term, of what its leader sent
	match    map[string]uint64 // by follower: acknowledged up to
	heard    map[string]bool   // by follower: it was sent something
	proven   uint64            // committed in this reign
	deposed  bool              // a later reign began
	lastSent uint64            // highest index in log
}

func newShard(t *Tap, number uint32) *shard {
	return &shard{
		tap: t, number: number, voters: slices.Clone(t.config.Voters[number]), nodes: map[string]*node{},
		entries: map[uint64]map[uint64]*known{}, reigns: map[uint64]*reign{}, ballots: map[ballot]bool{}, committed: map[uint64]decided{},
	}
}

func (s *shard) fail(oracle, format string, a ...any) {
	s.tap.fail(oracle, fmt.Sprintf("shard %d: ", s.number)+fmt.Sprintf(format, a...))
}

func (s *shard) quorum() int { return len(s.voters)/2 + 1 }

func (s *shard) node(name string) *node {
	n := s.nodes[name]
	if n == nil {
		n = newNode(name, s.previous)
		s.nodes[name] = n
	}
	return n
}

// previous is the term of the entry before the one of an index and term, as any leader sent it.
func (s *shard) previous(index, term uint64) (uint64, bool) {
	k := s.entries[index][term]
	if k == nil {
		return 0, false
	}
	return k.previous, true
}

func (s *shard) started(name string) {
	n := s.node(name)
	if n.lives > 0 {
		s.tap.reach("node restarted")
		if r := s.reigns[s.highest]; r != nil && r.leader == name {
			s.tap.reach("leader restarted")
		}
		if _, asks := n.votes[n.term]; asks && n.votes[n.term] == name && !s.leads(name, n.term) {
			s.tap.reach("candidate restarted")
		}
	}
	n.started(func(term uint64) bool { return s.leads(name, term) })
}

// requested is told of each request as it is sent.
func (s *shard) requested(c *connection, q *request) {
	if q.kind != requestPreVote && q.kind != timeoutNow {
		s.named(q.from, q.Term, q.String())
	}
	switch q.kind {
	case appendEntries:
		s.append(c, q)
	case requestVote:
		s.campaign(q)
	case installSnapshot:
		s.install(q)
	case timeoutNow:
		s.tap.reach("leadership transfer asked for (TimeoutNow)")
		s.node(q.to).called = true
	case requestPreVote:
		s.tap.reach("pre-vote asked for")
		s.node(q.from).aspired[q.Term] = true
	}
	to := s.node(q.to)
	if what, ok := s.messageOf(q); ok {
		s.tap.message(what, q.from, q.to)
	}
	q.floor = to.replies
	q.outcast = s.outcast(q) // now: what it sent before it lost its disk may be answered still
	to.asked = append(to.asked, q)
}

// replied is told of each reply as it is sent; r is nil when there was only an error.
func (s *shard) replied(c *connection, q *request, r *reply, problem string) {
	n := s.node(q.to)
	n.answered(q)
	if r != nil && q.outcast != "" {
		s.fail("raft-outcast", "%s has another disk than it joined with, and takes part: %s was answered", q.outcast, q)
	}
	if problem != "" {
		s.tap.reach("request answered by an error")
	}
	if r == nil {
		n.mayTruncate(q)
		return
	}
	if q.kind == requestPreVote { // names a term that is not the voter's
		s.preVoted(q, r)
		return
	}
	if q.kind == timeoutNow {
		return
	}
	s.named(q.to, r.Term, "the reply to "+q.String())
	if r.Term < c.replied {
		s.fail("raft-term-back", "%s replied with term %d and then, on the same connection, with %d to %s", q.to, c.replied, r.Term, q)
	}
	if r.Term < q.floor {
		s.fail("raft-term-back", "%s had replied with term %d before it was asked, and replies with %d to %s", q.to, q.floor, r.Term, q)
	}
	c.replied = max(c.replied, r.Term)
	n.outgrew(r.Term)
	switch q.kind {
	case appendEntries, installSnapshot:
		s.appended(q, r)
	case requestVote:
		s.voted(q, r)
	}
	n.mayTruncate(q)
}

// named: a node never names a term below one it named in an earlier life. Within one life its goroutines may be late.
func (s *shard) named(name string, term uint64, in string) {
	n := s.node(name)
	if term < n.before {
		s.fail("raft-term-back", "%s names term %d after its restart and named %d before: %s", name, term, n.before, in)
	}
	if term > n.term+3 && n.term > 0 {
		s.tap.reach("term jumped by more than 3")
	}
	n.term = max(n.term, term)
}

// orphaned requests were never answered.
func (s *shard) orphaned(list []*request) {
	for _, q := range list {
		s.node(q.to).orphan(q)
	}
}
