package sim

import (
	"slices"

	"github.com/kvorum/kvorum/sim/tap"
)

// Probe is something that must have happened in a campaign, or the campaign did not look where the bugs are.
type Probe struct {
	ID, Line string
	Rare     bool // it takes a fault that must be detected, or five replicas, which few seeds have
}

// Probes that campaigns are judged by.
const (
	ProbeLeader  = "another leader"
	ProbeInstall = "InstallSnapshot sent"
	ProbeLoss    = "unsynced data lost"
)

func rareOnTheWire() []string {
	return []string{"handshake refused", "vote granted to another than the term's leader"}
}

// Probes lists all, with a line for people each.
func Probes() []Probe {
	list := []Probe{
		{ID: ProbeLeader, Line: "the leadership of a shard went to another node"},
		{ID: ProbeLoss, Line: "a node lost its power, and with it data that was not synced"},
		{ID: "write torn", Line: "a power cut tore a write at a sector"},
		{ID: "a node stays broken for good", Line: "deaf, mute, stopped, or with a full disk: the others had to agree without it, and it still ran"},
		{ID: "crash in recovery", Line: "a node lost its power while it read its disk after the last time"},
		{ID: "damage refused", Line: "a node found its disk damaged and refused to serve", Rare: true},
		{ID: "foreign disk refused", Line: "a node found another's disk and refused to serve", Rare: true},
		{ID: "exit for want of a disk", Line: "a node ended by itself because its disk failed"},
		{ID: "log compacted past a follower", Line: "it needs a snapshot from then on"},
		{ID: "stopped in good order", Line: "a node was asked to end, and did"},
		{ID: "read at a deposed leader", Line: "answered by a node that had not heard that another led"},
		{ID: "linearizable read at a follower", Line: "answered by a replica that asked the leader for its commit index"},
		{ID: "bounded read answered", Line: "by a replica that took itself for new enough"},
		{ID: "write repeated under its idempotency key", Line: "executed once, answered again"},
		{ID: "retry under a key after failover", Line: "the same, and another leader had been elected meanwhile"},
		{ID: "write of unknown outcome executed", Line: "its client was told neither yes nor no, and it was done"},
		{ID: "write of unknown outcome not executed", Line: "the same, and it was not"},
		{ID: "several operations sent in one request", Line: "a client sent a batch"},
		{ID: "write refused for certain", Line: "no replica executed it, and its client was told so"},
		{ID: "write whose condition failed", Line: "the key had another revision, was there, or was not"},
	}
	for _, p := range tap.Probes() {
		list = append(list, Probe{ID: p.Name, Line: p.About, Rare: slices.Contains(rareOnTheWire(), p.Name)})
	}
	return list
}
