// Package tap reads what kvorum's nodes say to each other and holds it against Raft. It decodes the raft streams of the
// simulated network as they are sent, with message types and rules of its own: it shares nothing with the code under test.
//
// A rule is only checked where the order of what was sent proves something. A node's goroutines may send in another order
// than that in which raft decided, so what a node promised is kept as a lower bound: whatever a message that was on its way
// may have taken out of a log counts as taken out.
//
// # Model
//
//   - A reign is a term with its leader. What a follower acknowledges in it may be committed once a majority did, if the entry
//     is of that term. What is so committed never changes.
//   - Promises are what a node must hold durably, because others count on it: the terms it named, the votes it granted, the
//     entries it acknowledged or sent as a leader.
//
// Oracles and probes list what is checked and what is counted.
package tap
