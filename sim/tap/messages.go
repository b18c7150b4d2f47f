package tap

// Message is a kind of raft message, as its two ends would tell it.
type Message struct{ Sender, Receiver string }

// The messages that a world may wait for.
var (
	VoteAsked       = Message{"asks for a vote", "is asked for a vote"}
	VoteGranted     = Message{"grants a vote", "is granted a vote"}
	EntriesSent     = Message{"sends entries", "gets entries"}
	EntriesOppose   = Message{"sends an opposing entry", "gets an opposing entry"} // the follower has to drop some
	EntriesTaken    = Message{"takes entries", "has its entries taken"}
	SnapshotSent    = Message{"sends a snapshot", "gets a snapshot"}
	SnapshotTaken   = Message{"takes a snapshot", "has its snapshot taken"}
	LeadHandedOver  = Message{"hands the lead over", "is handed the lead"}
	ReignsFirstWord = Message{"begins to lead", "hears a new leader"}
)

// messageOf names the request; it is asked for once the request is known to the shard and before the receiver is.
func (s *shard) messageOf(q *request) (Message, bool) {
	switch {
	case q.kind == requestVote:
		return VoteAsked, true
	case q.kind == timeoutNow:
		return LeadHandedOver, true
	case q.kind == installSnapshot:
		return SnapshotSent, true
	case q.kind != appendEntries:
		return Message{}, false
	}
	if r := s.reigns[q.Term]; r != nil && !r.heard[q.to] {
		r.heard[q.to] = true
		return ReignsFirstWord, true
	}
	if s.node(q.to).conflict(q) > 0 {
		return EntriesOppose, true
	}
	return EntriesSent, len(q.Entries) > 0
}
