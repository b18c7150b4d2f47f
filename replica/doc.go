// Package replica is one replica of one shard as the others see it: the request handler in front of the replication
// controller. It reads a request (request.go, conditions.go, query.go), carries it out against this replica and no other
// (execute.go, batch.go, rows.go), and writes the reply with its receipt (reply.go).
//
// The handler is strict: what this replica does not own, or may not write because it does not lead, it refuses with 421
// and proves by that that nothing was applied. Finding the right replica is the shard router's work.
package replica
