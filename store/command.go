package store

// CommandKind says what a command does. The numbers are format: never reorder or reuse them.
type CommandKind uint8

const (
	CommandInit          CommandKind = 1  // first command of a shard: its identity and slots
	CommandTermStart     CommandKind = 2  // a leader begins its term; moves log time only
	CommandPut           CommandKind = 16 // store or replace a row
	CommandDelete        CommandKind = 17 // remove a row
	CommandRegisterShard CommandKind = 32 // shard 0 only: where a shard's replicas are
)

// Condition under which a put or delete takes effect. The numbers are format.
type Condition uint8

const (
	Always     Condition = 0
	IfAbsent   Condition = 1
	IfPresent  Condition = 2
	IfRevision Condition = 3 // the key is present with exactly Command.Revision; never holds for an absent key
)

// Command is one operation of an entry. Which fields count depends on Kind. Keys and values are not limited here: the
// bounds of the API are kept before a command is proposed.
type Command struct {
	Kind CommandKind

	// Put and delete.
	Key, Value     []byte // Value: put only
	Condition      Condition
	Revision       Revision // with IfRevision
	IdempotencyKey string   // "" = none

	Identity *Identity // init
	Node     string    // term start: who leads

	// Register shard: Members replaces the member list of Shard.
	Shard   Shard
	Members []Member
}

// Entry is what one entry of the replicated log holds.
type Entry struct {
	Time     uint64 // leader's wall clock, ms since 1970; the machine takes max(previous, this)
	Commands []Command
}
