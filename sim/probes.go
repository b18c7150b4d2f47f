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
	}
	for _, p := range tap.Probes() {
		list = append(list, Probe{p.Name, p.About})
	}
	return list
}
