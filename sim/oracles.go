package sim

// Oracle is something that watches a world and says when a promise is broken.
type Oracle struct{ ID, Line string }

// Oracles lists all, with a line for people each.
func Oracles() []Oracle {
	return []Oracle{
		{"exit", "no process ends unless a fault gives it a reason or it was asked to"},
		{"operations end", "every operation of a client ends within its own timeout"},
		{"client", "the client's program itself does not fail"},
		{"history", "clients tell their history in the agreed form"},
		{"convergence", "without new writes, every living replica applies what is committed, and equal indexes have equal digests"},
		{"final reads", "after the faults, every living replica serves every key"},
		{"linearizability", "there is an order of all operations, one after the other, that explains every answer (porcupine)"},
		{"schedule", "the schedule names fault classes that exist"},
	}
}
