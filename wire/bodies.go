package wire

import "time"

// Entry is one line of a listing and of an import file (NDJSON). Keys and values are any bytes: those that are valid UTF-8
// stand in key and value, the others in base64 in key_base64 and value_base64. See bytes.go.
type Entry struct {
	Key      []byte
	Value    []byte
	Revision uint64 // 0 in import files
}

// End is the last line of every NDJSON reply. A stream without it was cut.
type End struct {
	Complete bool     `json:"complete"`
	Count    int      `json:"count"`
	Cursor   string   `json:"cursor,omitempty"`  // listing: pass it on to go on after the limit
	Problem  *Problem `json:"problem,omitempty"` // why the stream is not complete
}

// BatchOperation is one line of POST /v1/batch. Op is put, get or delete.
type BatchOperation struct {
	Op             string
	Key            []byte
	Value          []byte
	IfAbsent       bool   // If-None-Match: *
	IfPresent      bool   // If-Match: *
	IfRevision     uint64 // If-Match: "rev", 0 = none
	IdempotencyKey string
}

// BatchResult is one line of the reply to POST /v1/batch, in the order of the operations.
type BatchResult struct {
	Index    int // position in the request, from 0
	Status   int // as the single request would have been answered: 200, 201, 204, 404, 412, ...
	Outcome  Outcome
	Revision uint64
	Value    []byte // get only
	HasValue bool
	Problem  *Problem
}

// Operation is the reply of GET /v1/operations/{idempotency-key}: what the first request under the key came to.
type Operation struct {
	Key            string    `json:"-"`
	IdempotencyKey string    `json:"idempotency_key"`
	Outcome        Outcome   `json:"outcome"`
	Status         int       `json:"status"`
	Revision       uint64    `json:"revision"`
	Shard          uint32    `json:"shard"`
	Slot           uint8     `json:"slot"`
	Time           time.Time `json:"time"` // log time at which it was applied
}

// Member is one replica of a shard. PeerAddress and APIAddress are host:port, resolved at each dial.
type Member struct {
	ID          string `json:"id"`
	PeerAddress string `json:"peer_address"`
	APIAddress  string `json:"api_address"`
}

// Table is the slot table: the reply of GET /v1/cluster/table. Epoch counts changes of ownership, Version every change.
type Table struct {
	Cluster      string              `json:"cluster"`
	Epoch        uint64              `json:"epoch"`
	Version      uint64              `json:"version"`
	SlotFunction string              `json:"slot_function"` // last-byte or hash
	ShardCount   uint32              `json:"shard_count"`   // at creation
	Slots        []uint32            `json:"slots"`         // 256 shard ids, by slot
	Shards       map[uint32][]Member `json:"shards"`
}

// NodeStatus is what one replica says of itself.
type NodeStatus struct {
	Node          string    `json:"node"`
	Cluster       string    `json:"cluster"`
	Shard         uint32    `json:"shard"`
	Role          string    `json:"role"` // leader, follower, candidate, stopped
	Leader        string    `json:"leader,omitempty"`
	Term          uint64    `json:"term"`
	CommitIndex   uint64    `json:"commit_index"`
	AppliedIndex  uint64    `json:"applied_index"`
	LastLogIndex  uint64    `json:"last_log_index"`
	SnapshotIndex uint64    `json:"snapshot_index"`
	Epoch         uint64    `json:"epoch"`
	Keys          uint64    `json:"keys"`
	Bytes         uint64    `json:"bytes"`
	Quota         uint64    `json:"quota_bytes"`
	Digest        string    `json:"digest"` // of the whole machine, hex; equal at equal applied index
	Ready         bool      `json:"ready"`
	NotReady      []string  `json:"not_ready,omitempty"` // reasons
	Disk          string    `json:"disk"`                // ok, full, stalled
	Version       string    `json:"version"`
	Started       time.Time `json:"started"`
	Members       []Member  `json:"members"`
	APIAddress    string    `json:"api_address"`
}

// ClusterStatus is the reply of GET /v1/cluster.
type ClusterStatus struct {
	Table  Table         `json:"table"`
	Shards []ShardStatus `json:"shards"`
}

// ShardStatus is one shard as the answering node sees it.
type ShardStatus struct {
	Shard    uint32          `json:"shard"`
	Slots    int             `json:"slots"`
	Leader   string          `json:"leader,omitempty"`
	Replicas []ReplicaStatus `json:"replicas"`
}

// ReplicaStatus is a member with what it says of itself, or why it could not be asked.
type ReplicaStatus struct {
	Member
	Status *NodeStatus `json:"status,omitempty"`
	Error  string      `json:"error,omitempty"`
}

// TransferRequest is the body of POST /v1/cluster/shards/{shard}/transfer-leader. To may be empty: any voter that is up.
type TransferRequest struct {
	To string `json:"to,omitempty"`
}

// UnmarshalJSON refuses unknown fields, other spellings and doubled fields by name.
func (t *TransferRequest) UnmarshalJSON(b []byte) error {
	type plain TransferRequest
	return readObject(b, (*plain)(t), []string{"to"})
}

// TransferReply says who leads now.
type TransferReply struct {
	Shard  uint32 `json:"shard"`
	From   string `json:"from"`
	Leader string `json:"leader"`
}

// SnapshotReply is the reply of POST /v1/cluster/shards/{shard}/snapshot: the index each replica's snapshot stands at.
type SnapshotReply struct {
	Shard    uint32            `json:"shard"`
	Replicas map[string]uint64 `json:"replicas"`
	Errors   map[string]string `json:"errors,omitempty"`
}

// Health is the reply of GET /v1/health/{check} when the check passes; when it does not, the reply is a Problem.
type Health struct {
	Status string `json:"status"` // live, ready or leader
	Node   string `json:"node"`
}
