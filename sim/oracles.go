package sim

import (
	"github.com/kvorum/kvorum/sim/audit"
	"github.com/kvorum/kvorum/sim/tap"
)

// Oracle is something that watches a world and says when a promise is broken.
type Oracle struct{ ID, Line string }

// Oracles lists all, with a line for people each.
func Oracles() []Oracle {
	list := []Oracle{
		{"exit", "no process ends unless a fault gives it a reason or it was asked to, and none panics, not even in a request's handler"},
		{"graceful stop", "a node that is asked to stop does so with code 0 within its grace"},
		{"operations end", "every operation of a client ends within 12 s, the longest timeout of one and some slack"},
		{"client", "the client's program itself does not fail, and none of its requests, all well formed, is refused as malformed or by an internal error"},
		{"history", "clients tell their history in the agreed form"},
		{"convergence", "within 30 s of the last fault, without new writes, every living replica applies what is committed, and equal indexes have equal digests"},
		{"final reads", "after the faults, every living replica serves every key within 30 s"},
		{"final writes", "after the faults, every key can be written again within 30 s"},
		{"step down", "a leader that a majority cannot hear, or be heard by, stops leading within 4 s"},
		{"linearizability", "there is an order of all operations, one after the other, that explains every answer"},
		{"porcupine", "the same, by search alone"},
		{"replay", "the same, by replay of the order that the machines agreed on: nothing acknowledged is missing, nothing is done twice, real time holds"},
		{"methods agree", "search and replay do not contradict each other"},
		{"commit log", "an unmodified store can execute the log that the machines agreed on"},
		{"digest", "each node's state at an index, asked for every ten seconds and at the end, and each snapshot that was sent or lay on a disk that lost its power, is what an unmodified store makes of the log up to it"},
		{"stale reads", "a stale read shows something that was once true"},
		{"bounded reads", "a bounded read shows nothing that was overwritten before its bound"},
		{"applied index", "a replica that told a reader up to which entry it had executed tells no later one of a lower, while it lives (I3)"},
		{"session reads", "a read of a client with a session shows nothing older than what the client was told before"},
		{"disk-readable", "after a power cut the log file and the identity can be read"},
		{"schedule", "the schedule names fault classes that exist"},
	}
	for _, o := range tap.Oracles() {
		list = append(list, Oracle{o.Name, o.About})
	}
	for _, o := range audit.Oracles() {
		list = append(list, Oracle{o[0], o[1]})
	}
	return list
}

// OraclesLeftOut lists known kinds of oracles that no world has, each with the reason.
func OraclesLeftOut() []Oracle {
	return []Oracle{
		{"goroutines that wait for ever, or leak", "a deadlock that matters ends in operations end, convergence or graceful stop; leaks are for the native tests and the goroutine count of the metrics"},
		{"one lease at a time", "the node has no leases: each linearizable read is confirmed by a majority"},
		{"a key belongs to one shard in each epoch", "slots do not move yet; that a shard answers for its own slots only is part of linearizability"},
		{"bounded memory of sessions", "idempotency rows are bounded by bytes in the store, which its property tests hold it to; a minute of a world does not fill them"},
		{"a leader within some election timeouts", "part of convergence, whose 30 s are looser; jepsen-lite's outages measure the time"},
		{"bounded unavailability of a single fault", "a world has many faults at once; jepsen-lite measures it for each"},
		{"no progress only where no majority could", "a campaign's worlds must acknowledge 500 writes each and converge at the end; what happens in between is not told from what the faults excuse"},
		{"temperature of liveness", "convergence, final reads and final writes have bounds in time instead"},
		{"every corruption is refused", "a flip in a page that nothing uses harms nobody: what counts is that a node which runs on tells the truth (digest, linearizability), or refuses (damage refused)"},
	}
}
