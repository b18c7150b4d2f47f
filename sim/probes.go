package sim

// Probe is something that must have happened in a campaign, or the campaign did not look where the bugs are.
type Probe struct{ ID, Line string }

// Probes that campaigns are judged by.
const (
	ProbeLeader  = "another leader"
	ProbeInstall = "snapshot installed"
	ProbeLoss    = "unsynced data lost"
)

// Probes lists all, with a line for people each.
func Probes() []Probe {
	return []Probe{
		{ProbeLeader, "the leadership of a shard went to another node"},
		{ProbeLoss, "a node lost its power with data that was not synced, and came back without it"},
	}
}
