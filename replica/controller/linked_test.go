package controller

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/wire"
)

// linkedShard is a testShard with a link for every pair of nodes and a gate before every node's log and votes. (A node that
// is stopped and started again has no gates.)
type linkedShard struct {
	*testShard
	links       [][]*link // [from][to]
	logs, votes []*gate
}

func newLinkedShard(t testing.TB, n int, change func(i int, cfg *Config)) *linkedShard {
	s := &linkedShard{testShard: &testShard{t: t, nodes: make([]*Controller, n)}}
	var listeners []net.Listener
	for i := range n {
		l := s.listen("127.0.0.1:0")
		listeners = append(listeners, l)
		id := "n" + string(rune('0'+i))
		s.members = append(s.members, wire.Member{ID: id, PeerAddress: l.Addr().String()})
		s.folders = append(s.folders, filepath.Join(t.TempDir(), id))
	}
	for i := range n {
		s.links = append(s.links, make([]*link, n))
		for j := range n {
			if i != j {
				s.links[i][j] = newLink(t, s.members[j].PeerAddress)
				s.links[i][j].cut() // nothing forms before the gates stand
			}
		}
	}
	s.change = func(i int, cfg *Config) {
		cfg.Members = append([]wire.Member(nil), cfg.Members...)
		for j := range n {
			if i != j {
				cfg.Members[j].PeerAddress = s.links[i][j].address()
			}
		}
		if change != nil {
			change(i, cfg)
		}
	}
	for i := range n {
		s.openOn(i, listeners[i])
		s.logs, s.votes = append(s.logs, &gate{}), append(s.votes, &gate{})
		st := s.nodes[i].stores
		st.log.LogStore = gatedLog{st.log.LogStore, s.logs[i]}
		st.votes.store = gatedStable{st.votes.store, s.votes[i]}
	}
	t.Cleanup(func() {
		for i := range s.nodes {
			s.logs[i].fail(nil)
			s.votes[i].fail(nil)
			s.logs[i].release()
			s.votes[i].release()
		}
		s.eachLink((*link).close)
		for i := range s.nodes {
			s.stop(i)
		}
	})
	s.heal()
	return s
}

func (s *linkedShard) eachLink(f func(*link)) {
	for _, row := range s.links {
		for _, l := range row {
			if l != nil {
				f(l)
			}
		}
	}
}

func (s *linkedShard) heal() { s.eachLink((*link).heal) }

// cutBoth cuts a from every one of others, both ways.
func (s *linkedShard) cutBoth(a int, others ...int) {
	for _, b := range others {
		s.links[a][b].cut()
		s.links[b][a].cut()
	}
}

// lead makes node i the leader.
func (s *testShard) lead(i int) {
	s.t.Helper()
	eventually(s.t, "n"+string(rune('0'+i))+" to lead", func() bool {
		at := s.leader()
		if at == i {
			return true
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return s.nodes[at].TransferLeadership(ctx, s.members[i].ID) == nil && s.nodes[i].Leading()
	})
}

// electFirst makes node i the first leader of a shard whose nodes are all patient.
func (s *testShard) electFirst(i int) {
	s.t.Helper()
	eventually(s.t, "raft to run everywhere", func() bool {
		for _, c := range s.nodes {
			if c.raft() == nil {
				return false
			}
		}
		return true
	})
	id := s.members[i].ID
	other := (i + 1) % len(s.nodes)
	if err := s.impostor(other).TimeoutNow(raft.ServerID(id), raft.ServerAddress(id), &raft.TimeoutNowRequest{RPCHeader: s.header(other)}, &raft.TimeoutNowResponse{}); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, id+" to lead", s.nodes[i].Leading)
}

// mustPutAt is mustPut through node i.
func (s *testShard) mustPutAt(i int, key, value string) Applied {
	s.t.Helper()
	var a Applied
	eventually(s.t, "a put of "+key+" at "+s.members[i].ID, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		var err error
		a, err = s.nodes[i].Propose(ctx, put(key, value))
		return err == nil
	})
	return a
}

// allSee waits until every running node has applied key = value.
func (s *testShard) allSee(key, value string) {
	s.t.Helper()
	for i, c := range s.nodes {
		if c != nil {
			eventually(s.t, s.members[i].ID+" to see "+key+"="+value, func() bool {
				row, ok := c.View().Get([]byte(key))
				return ok && string(row.Value) == value
			})
		}
	}
}

// patient makes a node that never campaigns by itself and never steps down for want of contact.
func patient(cfg *Config) {
	t := &cfg.Tuning
	t.HeartbeatTimeout, t.ElectionTimeout, t.LeaderLeaseTimeout = time.Minute, time.Minute, time.Minute
}

// impostor speaks raft to the shard's nodes in the name of node i, with its disk id, over the real peer port.
func (s *testShard) impostor(i int) *raft.NetworkTransport {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.folders[i], identityFile))
	if err != nil {
		s.t.Fatal(err)
	}
	var id folderIdentity
	if err := json.Unmarshal(raw, &id); err != nil {
		s.t.Fatal(err)
	}
	stream := impostorStream{s: s, self: peer.Identity{Cluster: id.Cluster, Shard: id.Shard, Node: id.Node, Disk: id.Disk}, closed: make(chan struct{})}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: stream, MaxPool: 1, Timeout: 10 * time.Second, Logger: hclog.NewNullLogger()})
	s.t.Cleanup(func() { transport.Close() })
	return transport
}

type impostorStream struct {
	s      *testShard
	self   peer.Identity
	closed chan struct{}
}

func (p impostorStream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for _, m := range p.s.members {
		if m.ID == string(address) {
			conn, _, err := peer.Dial(ctx, p.self, peer.Raft, peer.Target{Address: m.PeerAddress, Shard: p.self.Shard, Node: m.ID})
			return conn, err
		}
	}
	return nil, net.ErrClosed
}

func (p impostorStream) Accept() (net.Conn, error) { <-p.closed; return nil, net.ErrClosed }
func (p impostorStream) Close() error              { close(p.closed); return nil }
func (p impostorStream) Addr() net.Addr            { return nodeAddr(p.self.Node) }

// header is what raft puts at the head of a message from node i.
func (s *testShard) header(i int) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(s.members[i].ID), Addr: []byte(s.members[i].ID)}
}

// testMembers names n members that nobody listens for.
func testMembers(n int) []wire.Member {
	var out []wire.Member
	for i := range n {
		out = append(out, wire.Member{ID: "n" + string(rune('0'+i)), PeerAddress: "127.0.0.1:1"})
	}
	return out
}

// newUnstartedShard has folders and addresses for n nodes, and none of them runs.
func newUnstartedShard(t testing.TB, n int) *testShard {
	s := &testShard{t: t, nodes: make([]*Controller, n), members: testMembers(n)}
	for i := range n {
		l := s.listen("127.0.0.1:0")
		s.members[i].PeerAddress = l.Addr().String()
		l.Close()
		s.folders = append(s.folders, filepath.Join(t.TempDir(), s.members[i].ID))
	}
	t.Cleanup(func() {
		for i := range s.nodes {
			s.stop(i)
		}
	})
	return s
}
