package tap

// appendProbes counts what a message with entries or a commit index shows.
func (s *shard) appendProbes(r *reign, q *request) {
	to := s.node(q.to)
	switch {
	case len(q.Entries) == 0:
		s.tap.reach("commit index told without entries")
	case len(q.Entries) == 1:
		s.tap.reach("one entry sent")
	default:
		s.tap.reach("several entries sent at once")
	}
	if len(q.Entries) >= 64 {
		s.tap.reach("64 entries or more in one message")
	}
	if len(q.Entries) > 1 && s.commit > q.PrevLogEntry+100 {
		s.tap.reach("several entries sent to a node that is a hundred behind")
	}
	if r.deposed && len(q.Entries) > 0 {
		s.tap.reach("entries sent by a deposed leader")
	}
	if len(q.Entries) > 0 && q.Entries[0].Index <= r.match[q.to] {
		s.tap.reach("entries sent again that were acknowledged in the reign")
	}
	if to.conflict(q) > 0 {
		s.tap.reach("follower has to drop a suffix")
		if to.last() > q.PrevLogEntry+uint64(len(q.Entries)) {
			s.tap.reach("follower has to drop more than it gets")
		}
	}
	if q.LeaderCommitIndex > 0 && q.LeaderCommitIndex < s.commit && r.term == s.highest {
		s.tap.reach("leader does not know yet what is committed")
	}
	if len(q.Entries) > 0 && to.lives > 1 && q.Entries[0].Index <= to.last() {
		s.tap.reach("entries sent again to a node that restarted")
	}
}

// lagProbes counts how far followers are behind, after an acknowledgement.
func (s *shard) lagProbes(r *reign) {
	for _, v := range s.voters {
		if v == r.leader {
			continue
		}
		switch behind := s.commit - min(s.commit, s.node(v).last()); {
		case behind == 0:
		case behind == 1:
			s.tap.reach("follower behind the commit index by one entry")
		case behind >= 1000:
			s.tap.reach("follower behind the commit index by a thousand entries or more")
		case behind >= 100:
			s.tap.reach("follower behind the commit index by a hundred entries or more")
		}
	}
}

// refused counts why a follower said no.
func (s *shard) refused(q *request, a *reply) {
	switch {
	case a.Term > q.Term:
		s.tap.reach("leader learns from a reply that it is deposed")
	case q.kind == installSnapshot:
		s.tap.reach("InstallSnapshot refused")
	case a.NoRetryBackoff:
		s.tap.reach("entries refused: the follower's log does not fit")
	default:
		s.tap.reach("entries refused: the follower could not store them")
	}
}

// Doc is an oracle or a probe with a line about it.
type Doc struct{ Name, About string }

// Oracles lists what is checked.
func Oracles() []Doc {
	return []Doc{
		{"raft-protocol", "every byte on a raft connection can be decoded, and each node speaks for itself (wire)"},
		{"raft-one-leader", "one node at most sends entries, heartbeats or snapshots in a term (A1, A2)"},
		{"raft-election", "who leads was granted the votes of a majority before (A1)"},
		{"raft-append-only", "a leader's log only grows in its term (A3)"},
		{"raft-log-matching", "at one index and term there is one entry, with the same entry before it, whoever sends it; entries are contiguous and their terms never go back (A4)"},
		{"raft-committed-changed", "an entry that a majority has in its leader's term is at its index in every later leader's log; nothing else is ever committed there (A5, A6)"},
		{"raft-commit", "a leader's commit index is at most what it was told, or what a majority acknowledged to it with an entry of its own term on top; it never goes back (A7)"},
		{"raft-term-back", "terms in what a node sends are never below those it sent before a restart, nor, in replies, below earlier ones of the connection or sent before the request was (A7)"},
		{"raft-vote-twice", "one vote per node and term, candidates' votes for themselves included (A8)"},
		{"raft-vote-stale", "a vote goes only to a candidate whose log is as up to date as what the voter acknowledged (A8)"},
		{"raft-forgot", "a candidate's log is as up to date as what it acknowledged (A9)"},
		{"raft-reply", "a success or a vote names the term of its request (A9)"},
		{"raft-snapshot", "a snapshot on the wire ends at a committed entry, with its term, and can be restored (C3)"},
		{"raft-outcast", "a node whose disk was wiped or changed for another's neither is answered by the others nor answers them (C4)"},
		{"durable-promise", "terms named, votes granted and entries acknowledged are on the durable disk image, at drawn acknowledgements and after crashes (A9, B3)"},
	}
}

// Probes lists what is counted: it happened that ...
func Probes() []Doc {
	return []Doc{
		{"acknowledgement compared with the disk", "the durable image was read when something was acknowledged"},
		{"candidate lost a vote to a stale log", "its log ended before the voter's"},
		{"candidate of an old term denied", "the voter was in a later term"},
		{"candidate restarted", "a node's life ended between its asking for votes and an end of the election"},
		{"commit index told without entries", "the message that moves followers on when nothing is written"},
		{"committed by a leader that was deposed already", "the last acknowledgement came after a later leader spoke"},
		{"connection ended with bytes under way", "some bytes were lost with a raft connection"},
		{"connection ended within a reply", "half a reply arrived"},
		{"connection ended within a request", "half a request arrived"},
		{"disk has a term that the node has not named yet", "it was stored and not yet sent"},
		{"election lost and tried again", "a candidate without a leader in its term stood again in the next"},
		{"entries refused: the follower could not store them", "its disk failed"},
		{"entries refused: the follower's log does not fit", "the entry before them is another or missing"},
		{"entries sent again that were acknowledged in the reign", "a lost acknowledgement"},
		{"entries sent again to a node that restarted", "which it holds already"},
		{"entries sent and never acknowledged", "the connection ended first"},
		{"entries sent by a deposed leader", "a later leader had spoken"},
		{"entry of a former term committed", "by one of the present term on top of it"},
		{"follower behind the commit index by a hundred entries or more", "100 to 999"},
		{"follower behind the commit index by a thousand entries or more", "1000 and more"},
		{"follower behind the commit index by one entry", "exactly one"},
		{"follower has to drop a suffix", "entries it acknowledged contradict the leader's"},
		{"follower has to drop more than it gets", "its log becomes shorter"},
		{"64 entries or more in one message", "catching up in large batches"},
		{"handshake refused", "a node turned another away, whose disk or shape is not what it knows"},
		{"heartbeat", "a message with nothing but the term"},
		{"heartbeat of a deposed leader", "it does not know yet"},
		{"index used again in another term", "two leaders put different entries at one index"},
		{"InstallSnapshot refused", "it was too late or could not be stored"},
		{"InstallSnapshot sent", "a follower was behind the leader's log"},
		{"late InstallSnapshot: the follower has more", "guard G5's case"},
		{"leader deposed", "a later leader spoke"},
		{"leader deposed before it committed anything", "in its term"},
		{"leader deposed with entries that are not committed", "they may go or stay"},
		{"leader does not know yet what is committed", "a majority acknowledged more than it says"},
		{"leader elected", "a leader spoke for the first time"},
		{"leader elected again", "after itself"},
		{"leader learns from a reply that it is deposed", "the follower is in a later term"},
		{"leader restarted", "the leader of the highest term"},
		{"leadership transfer asked for (TimeoutNow)", "by the leader"},
		{"majority has entries of former terms only, not committed", "the case of figure 8 of the Raft paper"},
		{"message older than its entries", "a replicator read the log while its leader was deposed"},
		{"node restarted", "it began a second life or a later one"},
		{"one entry sent", "in a message"},
		{"pipelined request", "sent before the one before it was answered"},
		{"pre-vote asked for", "by a node that hears no leader"},
		{"pre-vote denied", "for whatever reason"},
		{"pre-vote denied to a stale log", "the log of who asked ended before the voter's"},
		{"pre-vote granted", "a real election may follow"},
		{"request answered by an error", "instead of, or with, a reply"},
		{"request never answered", "the connection ended first"},
		{"several entries committed at once", "by one acknowledgement"},
		{"several entries sent at once", "in a message"},
		{"snapshot sent as a whole", "to its last byte"},
		{"snapshot stream cut midway", "some of it arrived"},
		{"term jumped by more than 3", "between two messages of a node"},
		{"term without a leader", "an election that nobody won lies between two leaders"},
		{"vote asked for", "by a candidate"},
		{"vote asked for in a leadership transfer", "although there is a leader"},
		{"vote denied", "for whatever reason"},
		{"vote denied because it was given to another", "in the same term"},
		{"vote denied for a leader that is known", "the voter stayed in its lower term"},
		{"vote granted", "to a candidate"},
		{"vote granted after the election was won", "by more than a majority"},
		{"vote granted to another than the term's leader", "a candidate that lost, or had not heard yet"},
		{"vote request never answered", "the connection ended first"},
		{"vote split: several candidates in one term", "each has its own vote"},
		{"several entries sent to a node that is a hundred behind", "it catches up from the log and needs no snapshot"},
	}
}
