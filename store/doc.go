// Package store is the deterministic state machine of one shard: slots of ordered rows, revisions, idempotency rows, the
// slot table (shard 0 only), digests and snapshots. Its only input is the log: equal entries make equal machines, byte for
// byte, on every replica and in every run. So nothing here reads a clock, draws a random number, opens a file or a socket,
// starts a goroutine or lets the order of a Go map matter (purity_test.go says so); time is what the entries carry.
//
// One goroutine calls Apply, Advance and Restore. Any goroutine calls View, which gives an immutable picture of the machine
// after some entry: reading takes no lock, waits for nobody and is never disturbed by later writes, because rows are never
// changed in place and the ordered maps of each slot are copied on write: rows in a B-tree of this package (rowTree), each
// row in one allocation without pointers, and idempotency rows in tidwall/btree. Holding a View is therefore also the snapshot, in
// O(1); what it costs is the memory of the rows replaced meanwhile.
//
// Invariants that the code quotes:
//
//	S1  A View never changes after it was published, and it is published only when its entry is applied as a whole.
//	S2  Nothing the machine keeps aliases an entry buffer or the bytes of a snapshot reader.
//	S3  The digest of a slot is the sum of the digests of the rows in it: it depends on the rows, not on their history.
//	S4  A snapshot is canonical: the same state has exactly one encoding.
//	S5  The applied index never goes back; what is at or below it is never applied again.
package store
