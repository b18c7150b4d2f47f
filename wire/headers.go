package wire

// Header names of requests and replies. The receipt (Node to Session) is on every reply that one replica executed. Listings
// and batches span shards: of these headers they carry Outcome and Session only.
const (
	HeaderOutcome        = "Kvorum-Outcome"     // applied, not-applied or unknown
	HeaderNode           = "Kvorum-Node"        // id of the replica that executed the operation
	HeaderShard          = "Kvorum-Shard"       // bare decimal
	HeaderEpoch          = "Kvorum-Epoch"       // slot table epoch that the replica went by, decimal
	HeaderTerm           = "Kvorum-Term"        // Raft term, decimal
	HeaderIndex          = "Kvorum-Index"       // for a write the log index it was applied at, for a read the applied index it was served at, decimal
	HeaderConsistency    = "Kvorum-Consistency" // "linearizable; leader", "linearizable; follower", "bounded; follower", "stale; leader", ...
	HeaderSession        = "Kvorum-Session"     // read-your-writes token: send back what the last reply carried
	HeaderIdempotencyKey = "Idempotency-Key"    // 1-255 visible ASCII characters, unquoted
	HeaderReplayed       = "Kvorum-Replayed"    // "true": first reply given again for a repeated Idempotency-Key
	HeaderRequestID      = "X-Request-Id"       // taken over when given, made otherwise, echoed in the reply and the logs

	// HeaderHops counts the forwards so far (decimal). It is honoured only between nodes (peer port), removed from
	// client requests. At most MaxHops.
	HeaderHops = "Kvorum-Hops"
	// HeaderLeader names, on a reply 421 between nodes, the node that the sender takes for the leader. May be absent.
	HeaderLeader = "Kvorum-Leader"
)

// MaxHops bounds how often one request is forwarded.
const MaxHops = 3

// Limits of the API. MaxValueBytes is the default of a flag, the others are fixed.
const (
	MaxKeyBytes            = 1024
	MaxValueBytes          = 1 << 20
	MaxIdempotencyKeyBytes = 255
	MaxBatchOperations     = 10_000
	MaxBatchBytes          = 16 << 20
	MaxListLimit           = 100_000
	DefaultListLimit       = 1_000
)

// Consistency of a read, in the query parameter consistency.
type Consistency string

const (
	Linearizable Consistency = "linearizable" // the default
	Bounded      Consistency = "bounded"      // needs max_stale, a duration such as 500ms
	Stale        Consistency = "stale"        // what this replica has applied
)
