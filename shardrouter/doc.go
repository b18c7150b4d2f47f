// Package shardrouter makes any node answer for any key. It keeps a hint of the slot table (hint.go, refresh.go), knows or
// finds each shard's leader (leader.go), and carries a request out at the replica that can answer it: in this process when
// that is the local one, else over the peer port (link.go, key.go). It also answers what concerns several shards:
// listings (listing.go), batches (batch.go), operations (operations.go) and the cluster (cluster.go).
//
// The hint decides only where to ask first. What a shard owns, its own machine knows: a stale hint costs a hop.
//
// One rule governs repetition (route.go). A write is sent again only after proof that it had no effect: no connection was
// made, or the replica's refusal says not-applied. Anything else that goes wrong after the first byte is an unknown
// outcome. A read may be asked anywhere, as often as time allows.
package shardrouter
