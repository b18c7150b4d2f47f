package controller

import (
	"errors"
	"fmt"
	"time"
)

// Tuning holds every knob of Raft and of ours. The struct tags are the flags of `kvorum serve`: name, default and help
// stand here once. DefaultTuning gives the same defaults to programs that don't parse flags (a test compares them).
type Tuning struct {
	HeartbeatTimeout   time.Duration `name:"heartbeat-timeout" default:"1s" group:"raft" help:"A follower that hears nothing from a leader for this long starts an election."`
	ElectionTimeout    time.Duration `name:"election-timeout" default:"1s" group:"raft" help:"A candidate that wins nothing for this long starts anew."`
	LeaderLeaseTimeout time.Duration `name:"leader-lease-timeout" default:"1s" group:"raft" help:"A leader that reaches no majority for this long steps down. At most heartbeat-timeout. Reads never rely on it."`
	CommitTimeout      time.Duration `name:"commit-timeout" default:"10ms" group:"raft" help:"How soon an idle leader tells followers the newest commit index. Follower reads wait for it."`
	RPCTimeout         time.Duration `name:"rpc-timeout" default:"5s" group:"raft" help:"I/O deadline of one Raft message; snapshots get more by their size."`
	MaxAppendEntries   int           `name:"max-append-entries" default:"64" group:"raft" help:"Log entries in one Raft message (1-1024)."`
	MaxRPCsInFlight    int           `name:"max-rpcs-in-flight" default:"2" group:"raft" help:"Raft messages on the way to one follower. More was measured to be slower."`

	SnapshotInterval  time.Duration `name:"snapshot-interval" default:"30s" group:"raft" help:"How often to look whether a snapshot is due (one to two times this, at random)."`
	SnapshotThreshold uint64        `name:"snapshot-threshold" default:"8192" group:"raft" help:"A snapshot is due after this many new log entries."`
	SnapshotBytes     uint64        `name:"snapshot-bytes" default:"134217728" group:"raft" help:"A snapshot is due after this many new log bytes, whatever their number."`
	SnapshotRetain    int           `name:"snapshot-retain" default:"2" group:"raft" help:"Snapshots to keep."`
	TrailingLogs      uint64        `name:"trailing-logs" default:"10240" group:"raft" help:"Log entries to keep behind a snapshot, so that a follower that fell a little behind needs no snapshot."`
	TrailingBytes     uint64        `name:"trailing-bytes" default:"67108864" group:"raft" help:"Bytes of log to keep behind a snapshot at most: lowers trailing-logs when entries are large."`
	LogCacheBytes     uint64        `name:"log-cache-bytes" default:"33554432" group:"raft" help:"Memory for the newest log entries on their way to followers."`

	BatchOperations int           `name:"batch-operations" default:"512" group:"batch" help:"Operations in one log entry."`
	BatchBytes      int           `name:"batch-bytes" default:"262144" group:"batch" help:"Bytes of operations in one log entry (a larger single operation goes alone)."`
	BatchesInFlight int           `name:"batches-in-flight" default:"4" group:"batch" help:"Log entries proposed and not yet applied."`
	QueueOperations int           `name:"queue-operations" default:"16384" group:"batch" help:"Writes waiting to be proposed; more are refused with 429."`
	QueueBytes      int           `name:"queue-bytes" default:"67108864" group:"batch" help:"Bytes of writes waiting to be proposed; more are refused with 429."`
	ProposalTimeout time.Duration `name:"proposal-timeout" default:"10s" group:"batch" help:"A proposed entry that is not applied by then is reported as unknown."`

	ReadRoundsInFlight int           `name:"read-rounds-in-flight" default:"1" group:"reads" help:"ReadIndex rounds under way at once; later readers share the next. More shorten the wait where the network is slow, and cost messages."`
	ConfirmTimeout     time.Duration `name:"confirm-timeout" default:"1s" group:"reads" help:"How long a ReadIndex round waits for a majority of voters."`

	DiskStallTimeout  time.Duration `name:"disk-stall-timeout" default:"2s" group:"disk" help:"A log write that takes half of it makes a leader call another one up; one that takes longer makes the node silent until it ends."`
	DiskProbeInterval time.Duration `name:"disk-probe-interval" default:"500ms" group:"disk" help:"How often a full disk is tried again."`
	DiskReserveBytes  int64         `name:"disk-reserve-bytes" default:"4194304" group:"disk" help:"Kept in a file and freed when the disk is full, so that votes and terms can still be stored."`
}

// DefaultTuning is what the flags default to.
func DefaultTuning() Tuning {
	return Tuning{
		HeartbeatTimeout: time.Second, ElectionTimeout: time.Second, LeaderLeaseTimeout: time.Second,
		CommitTimeout: 10 * time.Millisecond, RPCTimeout: 5 * time.Second, MaxAppendEntries: 64, MaxRPCsInFlight: 2,
		SnapshotInterval: 30 * time.Second, SnapshotThreshold: 8192, SnapshotBytes: 128 << 20, SnapshotRetain: 2,
		TrailingLogs: 10240, TrailingBytes: 64 << 20, LogCacheBytes: 32 << 20,
		BatchOperations: 512, BatchBytes: 256 << 10, BatchesInFlight: 4, QueueOperations: 16384, QueueBytes: 64 << 20,
		ProposalTimeout: 10 * time.Second, ReadRoundsInFlight: 1, ConfirmTimeout: time.Second,
		DiskStallTimeout: 2 * time.Second, DiskProbeInterval: 500 * time.Millisecond, DiskReserveBytes: 4 << 20,
	}
}

// Validate says in one error everything that is wrong.
func (t Tuning) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	refuse(t.HeartbeatTimeout < 5*time.Millisecond, "heartbeat-timeout %v is below 5ms", t.HeartbeatTimeout)
	refuse(t.ElectionTimeout < t.HeartbeatTimeout, "election-timeout %v is below heartbeat-timeout %v", t.ElectionTimeout, t.HeartbeatTimeout)
	refuse(t.LeaderLeaseTimeout < 5*time.Millisecond || t.LeaderLeaseTimeout > t.HeartbeatTimeout, "leader-lease-timeout %v is not between 5ms and heartbeat-timeout %v", t.LeaderLeaseTimeout, t.HeartbeatTimeout)
	refuse(t.CommitTimeout < time.Millisecond, "commit-timeout %v is below 1ms", t.CommitTimeout)
	refuse(t.RPCTimeout <= 0, "rpc-timeout %v is not positive", t.RPCTimeout)
	refuse(t.MaxAppendEntries < 1 || t.MaxAppendEntries > 1024, "max-append-entries %d is not between 1 and 1024", t.MaxAppendEntries)
	refuse(t.MaxRPCsInFlight < 1, "max-rpcs-in-flight %d is below 1", t.MaxRPCsInFlight)
	refuse(t.SnapshotInterval < 5*time.Millisecond, "snapshot-interval %v is below 5ms", t.SnapshotInterval)
	refuse(t.SnapshotThreshold < 1, "snapshot-threshold is 0")
	refuse(t.SnapshotBytes < 1<<16, "snapshot-bytes %d is below 65536", t.SnapshotBytes)
	refuse(t.SnapshotRetain < 1, "snapshot-retain %d is below 1", t.SnapshotRetain)
	refuse(t.TrailingLogs < 1, "trailing-logs is 0: a follower could never catch up without a snapshot")
	refuse(t.BatchOperations < 1 || t.BatchBytes < 1 || t.BatchesInFlight < 1, "batch-operations, batch-bytes and batches-in-flight must be at least 1")
	refuse(t.QueueOperations < 1 || t.QueueBytes < 1, "queue-operations and queue-bytes must be at least 1")
	refuse(t.ProposalTimeout <= 0 || t.ConfirmTimeout <= 0, "proposal-timeout and confirm-timeout must be positive")
	refuse(t.ReadRoundsInFlight < 1, "read-rounds-in-flight %d is below 1", t.ReadRoundsInFlight)
	refuse(t.DiskStallTimeout <= 0 || t.DiskProbeInterval <= 0 || t.DiskReserveBytes < 0, "disk-stall-timeout and disk-probe-interval must be positive, disk-reserve-bytes not negative")
	return errors.Join(errs...)
}
