// Package controller is a replica's replication controller: it runs hashicorp/raft on a durable log, packs writes into few
// log entries, confirms reads by its own ReadIndex, and guards against the library's open defects. It is the only package
// that imports hashicorp/raft.
//
// The guards, by the numbers that code, tests and ARCHITECTURE.md use:
//
//	G1  heartbeats never take the transport's fast path                                transport.go
//	G2  raft's VerifyLeader is not used for reads                                      readindex.go
//	G3  vote and term are persisted as one record                                      votestore.go
//	G4  the applied index is the machine's, published with the data as one view        fsm.go, store
//	G5  a late InstallSnapshot can't roll the machine back                             transport.go, store
//	G6  Restore builds aside, then swaps                                               store
//	G7  a full or stalled disk makes the node silent, and ends by itself               disk.go, transport.go
//	G8  a stuck leadership transfer and a snapshot livelock are noticed and repaired   repair.go
//	G10 every future is awaited with a deadline                                        proposer.go
//	G11 a node with a wiped disk may not come back under its old id                    datadir.go, formation.go
//	G12 a refused message ends raft's pipeline instead of hanging it                   pipeline.go
package controller
