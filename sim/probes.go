package sim

import "github.com/kvorum/kvorum/sim/tap"

// Probe is something that must have happened in a campaign, or the campaign did not look where the bugs are.
type Probe struct{ ID, Line string }

// Probes that campaigns are judged by.
const (
	ProbeLeader  = "another leader"
	ProbeInstall = "InstallSnapshot sent"
	ProbeLoss    = "unsynced data lost"
)

// Probes lists all, with a line for people each.
func Probes() []Probe {
	list := []Probe{
		{ProbeLeader, "the leadership of a shard went to another node"},
		{ProbeLoss, "a node lost its power with data that was not synced, and came back without it"},
		{"write torn", "a power cut tore a write at a sector"},
		{"a node stays deaf, mute or stopped for good", "the others had to agree without it, and it still ran"},
		{"crash in recovery", "a node lost its power while it read its disk after the last time"},
		{"damage refused", "a node found its disk damaged and refused to serve"},
		{"foreign disk refused", "a node found another's disk and refused to serve"},
		{"exit for want of a disk", "a node ended by itself because its disk failed"},
		{"log compacted past a follower", "it needs a snapshot from then on"},
		{"stopped in good order", "a node was asked to end, and did"},
		{"read at a deposed leader", "answered by a node that had not heard that another led"},
		{"linearizable read at a follower", "answered by a replica that asked the leader for its commit index"},
		{"bounded read answered", "by a replica that took itself for new enough"},
		{"write repeated under its idempotency key", "executed once, answered again"},
		{"retry under a key after failover", "the same, and another leader had been elected meanwhile"},
		{"write of unknown outcome executed", "its client was told neither yes nor no, and it was done"},
		{"write of unknown outcome not executed", "the same, and it was not"},
		{"write refused for certain", "no replica executed it, and its client was told so"},
		{"write whose condition failed", "the key had another revision, was there, or was not"},
	}
	for _, p := range tap.Probes() {
		list = append(list, Probe{p.Name, p.About})
	}
	return list
}
