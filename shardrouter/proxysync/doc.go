// Package proxysync keeps a running HAProxy in step with the cluster, through its admin socket: the slot map (one row
// "slot shard:epoch" for each slot, swapped as a whole) and which server of each shard's write backend is up. It also writes
// the map file that HAProxy reads at its next start or reload.
//
// All of it is an optimisation. HAProxy checks the nodes by itself, and a node forwards what is not its own; so HAProxy goes
// on serving while nobody runs this, and a map that is wrong costs a hop and never a wrong answer.
package proxysync
