// Package peer is the port that the nodes of a cluster open to each other. One port carries three kinds of streams: raft,
// the HTTP API between nodes, and control. Each connection opens with a handshake of two small messages in which both ends
// say who they are and whom they mean: a node of another cluster, a stale address, or a node that came back with another
// disk is refused before it can say a word to raft.
//
//	dialer -> server   hello:  kind, who I am, whom I mean
//	server -> dialer   answer: yes and who I am, or a refusal: reason and what to do
//
// After a yes the connection carries the stream's own protocol, from its first byte. An error of Dial therefore proves that
// nothing of that protocol was sent.
//
// The handshake keeps honest nodes apart; it is no defence against a liar on the network.
package peer
