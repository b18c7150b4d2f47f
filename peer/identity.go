package peer

import "fmt"

// Kind is the protocol that a connection carries after the handshake. Numbers are format: never reorder.
type Kind byte

const (
	Raft    Kind = 1
	API     Kind = 2 // HTTP/1.1 between nodes
	Control Kind = 3
)

// kinds are all kinds that this version serves.
func kinds() []Kind { return []Kind{Raft, API, Control} }

func (k Kind) String() string {
	switch k {
	case Raft:
		return "raft"
	case API:
		return "api"
	case Control:
		return "control"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// Identity says who a node is. Each text has at most 255 bytes.
type Identity struct {
	Cluster string
	Shard   uint32
	Node    string // unique in the cluster; a standalone router is "router-..."
	Disk    string // random id of the data folder, made once; "" for a router, which has none
	Shape   string // what the node's shard is made with, like "3 shards, last-byte"; "" for a router, which makes none
}

func (id Identity) String() string {
	return fmt.Sprintf("node %q (cluster %q, shard %d)", id.Node, id.Cluster, id.Shard)
}

// fits returns why id and other cannot be nodes of one cluster, or nil. Nothing may be learnt of a node that does not fit:
// it has flags to correct, and must be free to come back with others.
func (id Identity) fits(other Identity) *Refusal {
	if id.Shape == "" || other.Shape == "" || id.Shape == other.Shape {
		return nil
	}
	return &Refusal{WrongShape, fmt.Sprintf("%s is there, started for %s, but %s was started for %s: correct --shard-count or --slot-function of the one that is wrong", id, id.Shape, other, other.Shape)}
}

// Target is whom a dialer means to reach. With Node "" anyone of the cluster will do, of any shard: so a seed address can
// be asked who is there.
type Target struct {
	Address string // host:port; the host is resolved at each dial
	Shard   uint32 // looked at only when Node is given
	Node    string
}

// meets returns why id is not the node that was meant, or nil.
func (t Target) meets(cluster string, id Identity) *Refusal {
	switch {
	case id.Cluster != cluster:
		return &Refusal{WrongCluster, fmt.Sprintf("%s is there, cluster %q was meant: check --cluster and the peer addresses of both", id, cluster)}
	case t.Node == "":
		return nil
	case id.Shard != t.Shard:
		return &Refusal{WrongShard, fmt.Sprintf("%s is there, node %q of shard %d was meant: check the peer addresses in --members and --seeds", id, t.Node, t.Shard)}
	case id.Node != t.Node:
		return &Refusal{WrongNode, fmt.Sprintf("%s is there, node %q was meant: check the peer addresses in --members and --seeds", id, t.Node)}
	}
	return nil
}
