// Package faultfs is a file system whose power can be cut. It is mounted with FUSE where a node has its data and keeps two
// things apart: what programs see, and what a backing folder holds. The backing folder only ever gets what was synced:
// a file's bytes by the file's fsync, a new, renamed or removed name by its folder's fsync. Everything else lives in
// memory, and a power cut throws it away, after letting as much of it arrive as a Plan and a seed say: nothing, a prefix,
// any subset, the last write torn at a sector. Then the folder is mounted anew, so the kernel's cache is gone too.
//
// Besides, while it runs: slow and stalled fsyncs, EIO, a full disk, and a lying fsync, which is beyond what Raft promises
// to survive. Each has a counter, so that whoever asks for a fault can tell whether it struck.
//
// The file system is served by a child process, this program started again (ServeIfAsked). A process that maps a file of a
// file system which it serves itself can stop for good: a page fault holds a thread that Go's collector waits for, and the
// thread that would answer the fault waits for the collector. A child can also be killed, and its pipe is a leash: when
// the parent dies, however it dies, the child unmounts and ends.
//
// What is never synced stays in memory. While a file or folder is being synced the kernel lets nobody else write to it.
// Modes and times are durable at once, hard and symbolic links are refused: no promise of kvorum rests on them.
package faultfs
