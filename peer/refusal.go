package peer

import "fmt"

// Reason is why a connection was refused. Numbers are format: never reorder.
type Reason byte

const (
	WrongCluster Reason = 1 // the two ends are of different clusters
	WrongShard   Reason = 2 // the address leads to another shard, or a raft stream comes from one
	WrongNode    Reason = 3 // the address leads to another node
	DiskChanged  Reason = 4 // the node is known with another data folder
	NotMember    Reason = 5 // the node is no member of the group
	BadVersion   Reason = 6 // the ends speak different versions
	Closing      Reason = 7 // the node is on its way down
	Busy         Reason = 8 // too many connections wait to be taken up: try again
	WrongShape   Reason = 9 // the two ends were started with other shard counts or slot functions
)

func (r Reason) String() string {
	switch r {
	case WrongCluster:
		return "wrong cluster"
	case WrongShard:
		return "wrong shard"
	case WrongNode:
		return "wrong node"
	case DiskChanged:
		return "disk changed"
	case NotMember:
		return "not a member"
	case BadVersion:
		return "bad version"
	case Closing:
		return "closing"
	case Busy:
		return "busy"
	case WrongShape:
		return "wrong shape"
	}
	return fmt.Sprintf("reason %d", byte(r))
}

// Refusal is the error of a handshake that was answered with no. It is definite: nothing was sent after the handshake.
type Refusal struct {
	Reason Reason
	Detail string // what to do about it; cut at 1024 bytes on the wire
}

func (r *Refusal) Error() string { return "refused, " + r.Reason.String() + ": " + r.Detail }
