package tap

import (
	"slices"
	"testing"

	"github.com/kvorum/kvorum/sim/audit"
)

// innocents look suspicious and are allowed: raft's goroutines are late, or things are lost.
func innocents() map[string]func(p *play) {
	return map[string]func(p *play){
		"suffix dropped": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2, 2) // not committed
			p.ack("a", "b", 2)
			p.elect("c", "d", "e", 3, 4, 2)
			p.send("c", "b", 3, 4, 2, 4, 3)
			p.ack("c", "b", 3)
			p.vote("d", "b", 4, 5, 3)
		},
		"suffix dropped, the answer lost, then a vote": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ack("a", "b", 2)
			p.elect("c", "d", "e", 3, 4, 2)
			p.send("c", "b", 3, 4, 2, 4, 3)
			p.hangUp("c", "b")
			p.vote("e", "b", 4, 4, 2)
		},
		"suffix dropped just now, then a vote": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ack("a", "b", 2)
			p.elect("c", "d", "e", 3, 4, 2)
			p.send("c", "b", 3, 4, 2, 4, 3)
			p.vote("e", "b", 4, 4, 2)
		},
		"suffix dropped just now, and the disk shows it": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ack("a", "b", 2)
			p.elect("c", "d", "e", 3, 4, 2)
			p.ask("c", "b", appendEntries, request{Term: 3})
			p.ack("c", "b", 3)
			p.send("c", "b", 3, 4, 2, 4, 3)
			m := kept()
			m.Term = 3
			p.tap.Audit(0, "b", m)
		},
		"acknowledged late, after the entry was replaced": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.elect("c", "d", "e", 3, 4, 2)
			p.send("c", "b", 3, 4, 2, 4, 3)
			p.ack("c", "b", 3)
			p.ack("a", "b", 2)
			m := kept()
			m.Term, m.Entries = 3, append(m.Entries, audit.Entry{Index: 5, Term: 3})
			p.tap.Audit(0, "b", m)
		},
		"acknowledged late, after a vote for the next term was asked": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ask("c", "b", requestVote, request{Term: 3, LastLogIndex: 4, LastLogTerm: 2})
			p.answer("c", "b", reply{Term: 3})
			p.ack("a", "b", 2)
		},
		"vote told after the winner's entries were taken": func(p *play) {
			p.elect("c", "d", "e", 3, 4, 2)
			p.ask("c", "b", requestVote, request{Term: 3, LastLogIndex: 4, LastLogTerm: 2})
			n := p.link("c", "b")
			delete(p.links, [2]string{"c", "b"}) // another connection
			p.send("c", "b", 3, 4, 2, 4, 3)
			p.ack("c", "b", 3)
			p.links[[2]string{"c", "b"}] = n
			p.answer("c", "b", reply{Term: 3, Granted: true})
		},
		"candidate restarts before its own vote is stored": func(p *play) {
			p.ask("b", "a", requestVote, request{Term: 3, LastLogIndex: 4, LastLogTerm: 2})
			p.tap.Started(0, "b")
			p.vote("c", "b", 3, 4, 2)
		},
		"a leader's stale goroutine sends with the old term": func(p *play) {
			p.elect("c", "b", "d", 3, 4, 2)
			p.send("c", "a", 3, 4, 2, 4, 3)
			p.ack("c", "a", 3)
			p.ask("a", "b", appendEntries, request{Term: 2})
			p.send("a", "b", 2, 4, 2, 4, 3) // read from its log, which is not its own any more
		},
		"a leader's stale goroutine sends what a later leader put in place of its own": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2) // entry 5 of term 2
			p.elect("c", "d", "e", 3, 4, 2)
			p.send("c", "d", 3, 4, 2, 4, 3) // entry 5 of term 3, a's goes
			p.elect("d", "b", "e", 4, 4, 2)
			p.send("d", "c", 4, 4, 2, 4, 2) // entry 5 of term 2 again
			p.ack("d", "c", 4)
			p.send("c", "b", 3, 4, 2, 4, 2)
		},
		"elected again, with what it knew": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ack("a", "b", 2)
			p.send("a", "c", 2, 4, 2, 4, 2)
			p.ack("a", "c", 2)
			p.elect("a", "d", "e", 3, 5, 2)
			p.send("a", "d", 3, 4, 2, 5, 2, 3) // 5 was committed in term 2, and a had no time to say so
		},
		"refused, denied, transferred": func(p *play) {
			p.send("a", "b", 2, 9, 2, 4)
			p.answer("a", "b", reply{Term: 2, NoRetryBackoff: true})
			p.ask("a", "b", timeoutNow, request{})
			p.answer("a", "b", reply{})
			p.ask("b", "c", requestPreVote, request{Term: 3, LastLogIndex: 4, LastLogTerm: 2})
			p.answer("b", "c", reply{Term: 3, Granted: true})
			p.ask("b", "c", requestVote, request{Term: 3, LastLogIndex: 4, LastLogTerm: 2, LeadershipTransfer: true})
			p.answer("b", "c", reply{Term: 3})
			p.ask("b", "c", requestVote, request{Term: 4, LastLogIndex: 4, LastLogTerm: 2})
			p.tap.Sent(p.link("b", "c"), true, append(pack("an error"), 0xc0), 0)
		},
		"a node without its disk": func(p *play) {
			p.tap.Forget(0, "b")
			p.tap.Started(0, "b")
			p.ask("b", "a", requestVote, request{Term: 1})
			p.tap.Audit(0, "b", audit.Image{Term: 1})
		},
		"a disk that was damaged and has its votes": func(p *play) {
			p.tap.Forget(0, "a")
			p.tap.Started(0, "a")
			for _, name := range []string{"a", "e"} {
				p.tap.Audit(0, name, audit.Image{Term: 2, VoteTerm: 2, Vote: "a"})
			}
		},
		"other ports and kinds": func(p *play) {
			p.tap.open(99, 8080)
			p.tap.Sent(99, false, []byte("GET / HTTP/1.1"), 0)
			p.tap.open(98, 7080)
			p.tap.Sent(98, false, append(helloBytes(2, "a", "b"), "GET / HTTP/1.1"...), 0)
			p.tap.Sent(98, true, append(answerBytes("b"), "HTTP/1.1 200"...), 0)
			p.tap.Closed(98, 0)
			p.tap.open(97, 7080)
			p.tap.Sent(97, false, helloBytes(kindRaft, "a", "b"), 0)
			p.tap.Sent(97, true, handshakeFrame(typeAnswer, []byte{7, 0, 0}), 0)
			p.tap.Closed(97, 0)
		},
	}
}

func TestInnocents(t *testing.T) {
	for name, act := range innocents() {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, nil)
			p.begin()
			act(p)
			if len(p.found) > 0 {
				t.Errorf("found fault: %q", p.found)
			}
		})
	}
}

// TestCommitted: what a majority has in its leader's term, in order.
func TestCommitted(t *testing.T) {
	p := newPlay(t, nil)
	p.begin()
	p.send("a", "b", 2, 4, 2, 4, 2, 2)
	if got := p.tap.CommitIndex(0); got != 4 {
		t.Errorf("commit index %d before anybody acknowledged", got)
	}
	p.ack("a", "b", 2)
	p.send("a", "d", 2, 4, 2, 4, 2, 2)
	p.ack("a", "d", 2)
	var data []string
	for _, e := range p.tap.Committed(0) {
		data = append(data, string(e.Data))
	}
	if want := []string{"2/2", "3/2", "4/2", "5/2", "6/2"}; !slices.Equal(data, want) || p.tap.CommitIndex(0) != 6 {
		t.Errorf("committed %q up to %d, want %q", data, p.tap.CommitIndex(0), want)
	}
}

// TestPieces: how the bytes are cut makes no difference.
func TestPieces(t *testing.T) {
	b := append(helloBytes(kindRaft, "a", "b"), requestVote)
	b = append(b, pack(&request{Term: 2, ID: []byte("a"), Addr: []byte("a")})...)
	for _, size := range []int{1, 2, 7, 64, len(b)} {
		p := newPlay(t, nil)
		p.tap.open(1, 7080)
		for rest := b; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			p.tap.Sent(1, false, rest[:min(size, len(rest))], 0)
		}
		if len(p.found) > 0 || p.tap.Reach()["vote asked for"] != 1 {
			t.Errorf("in pieces of %d: %q, %v", size, p.found, p.tap.Reach())
		}
	}
}

// TestProbesListed: whatever is counted is listed, once.
func TestProbesListed(t *testing.T) {
	listed := map[string]bool{}
	for _, d := range Probes() {
		if listed[d.Name] || d.About == "" {
			t.Errorf("%q stands twice, or without a line", d.Name)
		}
		listed[d.Name] = true
	}
	for _, act := range innocents() {
		p := newPlay(t, nil)
		p.begin()
		act(p)
		for name := range p.tap.Reach() {
			if !listed[name] {
				t.Errorf("probe %q is not listed", name)
			}
		}
	}
}

// TestDividedVote: who votes for a candidate that another beats is counted once, whichever comes first, the vote or the leader.
func TestDividedVote(t *testing.T) {
	for name, act := range map[string]func(p *play){
		"vote first": func(p *play) {
			p.vote("a", "c", 2, 1, 1)
			p.elect("b", "d", "e", 2, 1, 1)
			p.send("b", "d", 2, 1, 1, 0, 2)
		},
		"leader first": func(p *play) {
			p.elect("b", "d", "e", 2, 1, 1)
			p.send("b", "d", 2, 1, 1, 0, 2)
			p.vote("a", "c", 2, 1, 1)
		},
	} {
		p := newPlay(t, nil)
		act(p)
		if n := p.tap.Reach()["vote granted to another than the term's leader"]; n != 1 || len(p.found) > 0 {
			t.Errorf("%s: counted %d times, found %q", name, n, p.found)
		}
	}
	p := newPlay(t, nil)
	p.elect("a", "b", "c", 2, 1, 1)
	p.send("a", "b", 2, 1, 1, 0, 2)
	if n := p.tap.Reach()["vote granted to another than the term's leader"]; n != 0 {
		t.Errorf("counted %d times where all voted for the leader", n)
	}
}

// TestTurnedAway: a handshake that is answered with no is counted, whatever the connection was to be for; what follows is not looked at.
func TestTurnedAway(t *testing.T) {
	no, yes := handshakeFrame(typeAnswer, text([]byte{3}, "its disk was wiped")), answerBytes("b")
	for _, c := range []struct {
		kind   byte
		answer []byte
		want   int
	}{{kindRaft, no, 1}, {kindRaft + 1, no, 1}, {kindRaft + 1, yes, 0}} {
		p := newPlay(t, nil)
		p.tap.open(1, 7080)
		p.tap.Sent(1, false, helloBytes(c.kind, "a", "b"), 0)
		if c.kind != kindRaft {
			p.tap.Sent(1, false, []byte("impatient"), 0)
		}
		p.tap.Sent(1, true, c.answer, 0)
		p.tap.Sent(1, true, []byte("and more"), 0)
		if got := p.tap.Reach()["handshake refused"]; got != c.want || len(p.found) > 0 {
			t.Errorf("kind %d, answer %q: counted %d times, want %d; found %q", c.kind, c.answer, got, c.want, p.found)
		}
	}
}
