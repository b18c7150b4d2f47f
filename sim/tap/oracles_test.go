package tap

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// crimes are runs that violate exactly one oracle, by its id and what it shall say.
func crimes() map[string]func(p *play) {
	return map[string]func(p *play){
		"raft-protocol: no request has the number 9": func(p *play) { p.tap.Sent(p.link("a", "b"), false, []byte{9}, 0) },
		"raft-protocol: a reply that nobody asked for": func(p *play) {
			p.answer("a", "b", reply{Term: 2})
		},
		"raft-protocol: a request without a term": func(p *play) { p.ask("a", "b", requestVote, request{}) },
		"raft-protocol: speaks for": func(p *play) {
			q := request{Term: 2, ID: []byte("c"), Addr: []byte("a")}
			p.tap.Sent(p.link("a", "b"), false, append([]byte{requestVote}, pack(&q)...), 0)
		},
		"raft-protocol: c1": func(p *play) { p.tap.Sent(p.link("a", "b"), false, []byte{0, 0xc1}, 0) },
		"raft-outcast: b has another disk": func(p *play) {
			p.tap.Forget(0, "b")
			p.tap.Outcast(0, "b", true)
			p.send("a", "b", 2, 0, 0, 0, 1)
			p.ack("a", "b", 2)
		},
		"raft-outcast: a has another disk": func(p *play) {
			p.tap.Outcast(0, "a", true)
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ack("a", "b", 2)
		},
		"raft-one-leader: both lead in term 2": func(p *play) {
			p.ask("b", "c", appendEntries, request{Term: 2})
		},
		"raft-election: with 2 votes of 5": func(p *play) {
			p.vote("b", "c", 3, 4, 2)
			p.ask("b", "c", appendEntries, request{Term: 3})
		},
		"raft-append-only: had an entry of term 2 at index 4": func(p *play) {
			p.send("a", "b", 2, 4, 1, 4)
		},
		"raft-log-matching: two entries at index 5": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			e := entries(4, 2)
			e[0].Data = []byte("another")
			p.ask("a", "c", appendEntries, request{Term: 2, PrevLogEntry: 4, PrevLogTerm: 2, Entries: e})
		},
		"raft-log-matching: before entry 6": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ack("a", "b", 2)
			p.elect("b", "c", "d", 3, 5, 2)
			p.send("b", "d", 3, 5, 2, 4, 3)
			p.elect("c", "d", "e", 4, 4, 2)
			p.send("c", "d", 4, 4, 2, 4, 3, 3)
		},
		"raft-log-matching: follows entry": func(p *play) {
			e := entries(5, 2)
			p.ask("a", "b", appendEntries, request{Term: 2, PrevLogEntry: 4, PrevLogTerm: 2, Entries: e})
		},
		"raft-log-matching: e took entry 6": func(p *play) { // put together while its leader was deposed
			p.send("a", "e", 2, 4, 2, 4, 2)
			p.elect("b", "c", "d", 3, 4, 2)
			p.send("b", "c", 3, 4, 2, 4, 3, 3)
			p.ack("a", "e", 2)
			p.send("a", "e", 2, 5, 2, 4, 3)
			if len(p.found) > 0 {
				p.t.Errorf("fired before anybody took it: %q", p.found)
			}
			p.ack("a", "e", 2)
		},
		"raft-committed-changed: was committed in term 2, and the leader of term 3": func(p *play) {
			p.elect("b", "c", "d", 3, 4, 2)
			p.send("b", "c", 3, 3, 2, 4, 3)
		},
		"raft-committed-changed: entry 5 of term 2 was committed in term 2, and the leader of term 3": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.send("a", "c", 2, 4, 2, 4, 2)
			p.elect("d", "e", "b", 3, 4, 2)
			p.send("d", "e", 3, 4, 2, 0, 3)
			p.tap.shard(0).node("b").replies, p.tap.shard(0).node("c").replies = 0, 0 // their answers were only late
			p.ack("a", "c", 2)
			p.ack("a", "b", 2)
		},
		"raft-committed-changed: was committed in term 3, and now one of term 2 is": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.send("a", "c", 2, 4, 2, 4, 2)
			p.elect("d", "e", "c", 3, 4, 2)
			for _, to := range []string{"e", "c"} {
				p.send("d", to, 3, 4, 2, 0, 3)
				p.ack("d", to, 3)
			}
			p.ack("a", "b", 2)
			p.tap.shard(0).reigns[3].log = nil // or this leader's log would be compared before
			p.ack("a", "c", 2)
		},
		"raft-commit: a majority has entries up to 4 only": func(p *play) {
			p.send("a", "b", 2, 4, 2, 5, 2)
		},
		"raft-commit: of the leader's own term": func(p *play) { // figure 8: counted, but of the term before
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ack("a", "b", 2)
			p.elect("b", "c", "d", 3, 5, 2)
			for _, to := range []string{"c", "d"} {
				p.send("b", to, 3, 4, 2, 4, 2)
				p.ack("b", to, 3)
			}
			p.send("b", "c", 3, 5, 2, 5)
		},
		"raft-commit: goes back from 4": func(p *play) { p.send("a", "b", 2, 4, 2, 3) },
		"raft-term-back: after its restart": func(p *play) {
			p.vote("c", "b", 5, 4, 2)
			p.tap.Started(0, "b")
			p.hangUp("a", "b")
			p.send("a", "b", 2, 4, 2, 4)
			p.answer("a", "b", reply{Term: 4})
		},
		"raft-term-back: on the same connection": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4)
			p.answer("a", "b", reply{Term: 9})
			p.send("a", "b", 2, 4, 2, 4)
			p.answer("a", "b", reply{Term: 8})
		},
		"raft-term-back: before it was asked": func(p *play) {
			p.vote("c", "b", 5, 4, 2)
			p.send("a", "b", 2, 4, 2, 4)
			p.answer("a", "b", reply{Term: 4})
		},
		"raft-vote-twice: b voted for c in term 5 and votes for a": func(p *play) {
			p.vote("c", "b", 5, 4, 2)
			p.vote("a", "b", 5, 4, 2)
		},
		"raft-vote-twice: b voted for b": func(p *play) {
			p.ask("b", "a", requestVote, request{Term: 5, LastLogIndex: 4, LastLogTerm: 2})
			p.vote("c", "b", 5, 4, 2)
		},
		"raft-vote-stale: entries up to 5 (term 2)": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4, 2)
			p.ack("a", "b", 2)
			p.vote("c", "b", 3, 4, 2)
		},
		"raft-forgot: entries up to 4 (term 2)": func(p *play) {
			p.ask("b", "a", requestVote, request{Term: 3, LastLogIndex: 3, LastLogTerm: 2})
		},
		"raft-reply: success with term 3": func(p *play) {
			p.send("a", "b", 2, 4, 2, 4)
			p.answer("a", "b", reply{Term: 3, Success: true})
		},
		"raft-reply: vote granted with term 4": func(p *play) {
			p.ask("c", "b", requestVote, request{Term: 3, LastLogIndex: 4, LastLogTerm: 2})
			p.answer("c", "b", reply{Term: 4, Granted: true})
		},
		"raft-snapshot: only entries up to 4": func(p *play) {
			p.ask("a", "b", installSnapshot, request{Term: 2, LastLogIndex: 5, LastLogTerm: 2})
		},
		"raft-snapshot: was committed with term 2": func(p *play) {
			p.elect("b", "c", "d", 3, 4, 2)
			p.tap.shard(0).committed[3] = decided{2, 3} // or the later leader's log would be reported too
			p.ask("b", "c", installSnapshot, request{Term: 3, LastLogIndex: 3, LastLogTerm: 1})
		},
		"raft-snapshot: cannot be restored": func(p *play) {
			p.ask("a", "b", installSnapshot, request{Term: 2, LastLogIndex: 4, LastLogTerm: 2, Size: 3})
			p.tap.Sent(p.link("a", "b"), false, []byte("abc"), 0)
		},
	}
}

func TestOracles(t *testing.T) {
	fired := map[string]bool{}
	for want, crime := range crimes() {
		t.Run(want, func(t *testing.T) {
			p := newPlay(t, nil)
			p.begin()
			if len(p.found) > 0 {
				t.Fatalf("before the crime: %q", p.found)
			}
			crime(p)
			oracle, detail, _ := strings.Cut(want, ": ")
			if got := p.oracles(); !slices.Equal(got, []string{oracle}) || !strings.Contains(strings.Join(p.found, "\n"), detail) {
				t.Errorf("fired %q: %q", got, p.found)
			}
			fired[oracle] = true
		})
	}
	for _, o := range Oracles() {
		if !fired[o.Name] && o.Name != "durable-promise" { // see TestPromises
			t.Errorf("no crime for %s", o.Name)
		}
	}
}

// TestMessages: the world is told what either end does.
func TestMessages(t *testing.T) {
	var told []string
	p := newPlay(t, nil)
	p.tap.config.Message = func(what Message, from, to string) {
		told = append(told, from+" "+what.Sender()+", "+to+" "+what.Receiver())
	}
	p.begin()
	p.send("a", "b", 2, 4, 2, 4, 2)
	p.ack("a", "b", 2)
	p.elect("c", "d", "e", 3, 4, 2)
	p.send("c", "b", 3, 4, 2, 4)
	p.send("c", "b", 3, 4, 2, 4, 3)
	p.ask("c", "d", timeoutNow, request{})
	p.ask("c", "e", installSnapshot, request{Term: 3, LastLogIndex: 4, LastLogTerm: 2})
	p.answer("c", "e", reply{Term: 3, Success: true})
	for _, want := range []string{
		"a asks for a vote, b is asked for a vote", "b grants a vote, a is granted a vote", "a begins to lead, b hears a new leader", "a sends entries, b gets entries",
		"b takes entries, a has its entries taken", "c sends an opposing entry, b gets an opposing entry", "c hands the lead over, d is handed the lead", "c sends a snapshot, e gets a snapshot", "e takes a snapshot, c has its snapshot taken",
	} {
		if !slices.Contains(told, want) {
			t.Errorf("nobody said %q: %q", want, told)
		}
	}
}

// TestHalfArrived: where in a message a connection ends is told by what arrived.
func TestHalfArrived(t *testing.T) {
	hello, answer := len(helloBytes(kindRaft, "a", "b")), len(answerBytes("b"))
	q := request{Term: 2, LastLogIndex: 4, LastLogTerm: 2, ID: []byte("a"), Addr: []byte("a"), ProtocolVersion: 3}
	asked := 1 + len(pack(&q))
	r := reply{Term: 2, Success: true, ID: []byte("b"), Addr: []byte("b"), ProtocolVersion: 3}
	replied := len(pack("")) + len(pack(&r))
	for name, c := range map[string]struct {
		size        int64 // of a snapshot, 0: it is a vote
		there, back int
		want        []string
	}{
		"all":              {0, hello + asked, answer + replied, nil},
		"half a request":   {0, hello + asked - 1, answer, []string{"connection ended within a request"}},
		"its first byte":   {0, hello + 1, answer, []string{"connection ended within a request"}},
		"half a reply":     {0, hello + asked, answer + replied - 1, []string{"connection ended within a reply"}},
		"an error":         {0, hello + asked, answer + len(pack("")), []string{"connection ended within a reply"}},
		"nothing of it":    {0, hello, answer, nil},
		"half a snapshot":  {100, hello + asked + len(pack(int64(100))) - len(pack(int64(0))) + 50, answer, []string{"snapshot stream cut midway"}},
		"no snapshot byte": {100, hello + asked + len(pack(int64(100))) - len(pack(int64(0))), answer, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, nil)
			p.begin()
			delete(p.links, [2]string{"a", "b"})
			n := p.link("a", "b")
			if c.size > 0 {
				q := q
				q.Size = c.size
				p.ask("a", "b", installSnapshot, q)
				p.tap.Sent(n, false, make([]byte, 60), 0)
			} else {
				p.ask("a", "b", requestVote, q)
				p.answer("a", "b", reply{Term: 2, Success: true})
			}
			for range c.there {
				p.tap.Arrived(n, false, []byte{0}, 0)
			}
			p.tap.Arrived(n, true, make([]byte, c.back), 0)
			before := maps.Clone(p.tap.Reach())
			p.tap.Closed(n, 0)
			var got []string
			for _, probe := range []string{"connection ended within a reply", "connection ended within a request", "snapshot stream cut midway"} {
				if p.tap.Reach()[probe] > before[probe] {
					got = append(got, probe)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("reached %q, want %q", got, c.want)
			}
		})
	}
}

// TestVotesOfLostDisks: who was elected leads, whatever becomes of the disks of its voters before it says its first word.
func TestVotesOfLostDisks(t *testing.T) {
	p := newPlay(t, nil)
	p.begin()
	p.elect("b", "c", "d", 3, 4, 2)
	for _, voter := range []string{"c", "d"} {
		p.tap.Forget(0, voter)
	}
	p.send("b", "e", 3, 4, 2, 4)
	if len(p.found) > 0 {
		t.Errorf("found %q", p.found)
	}
}
