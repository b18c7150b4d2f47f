package tap

// Message is a kind of raft message that a world may wait for.
type Message int

// The messages.
const (
	VoteAsked Message = iota + 1
	VoteGranted
	EntriesSent
	EntriesOppose // the follower has to drop some
	EntriesTaken
	SnapshotSent
	SnapshotTaken
	LeadHandedOver
	ReignsFirstWord
)

// words are what its sender would say of the message, and its receiver.
func (m Message) words() (sender, receiver string) {
	switch m {
	case VoteAsked:
		return "asks for a vote", "is asked for a vote"
	case VoteGranted:
		return "grants a vote", "is granted a vote"
	case EntriesSent:
		return "sends entries", "gets entries"
	case EntriesOppose:
		return "sends an opposing entry", "gets an opposing entry"
	case EntriesTaken:
		return "takes entries", "has its entries taken"
	case SnapshotSent:
		return "sends a snapshot", "gets a snapshot"
	case SnapshotTaken:
		return "takes a snapshot", "has its snapshot taken"
	case LeadHandedOver:
		return "hands the lead over", "is handed the lead"
	case ReignsFirstWord:
		return "begins to lead", "hears a new leader"
	}
	return "", ""
}

// Sender is what the one who sends the message does.
func (m Message) Sender() string {
	sender, _ := m.words()
	return sender
}

// Receiver is what happens to the one it is sent to.
func (m Message) Receiver() string {
	_, receiver := m.words()
	return receiver
}

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
		return 0, false
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
