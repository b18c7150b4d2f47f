// Package trial runs one trial of a real cluster: it starts a fresh one, lets a crowd of clients loose on it, breaks it by a
// schedule, mends it, reads everything, judges all that the clients saw, and leaves a folder with all of that.
package trial

import (
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

// Config of a trial.
type Config struct {
	Target    string // Processes or Compose
	Seed      uint64
	Time      time.Duration
	Rate      int // operations a second that the clients together aim at
	Clients   int
	Through   string   // ThroughHAProxy or ThroughNodes
	Program   string   // kvorum
	Flags     []string // of kvorum serve, beyond those that every node needs
	Out       string   // folder, there already
	HAProxy   string   // folder of HAProxy's configuration
	Checkout  string   // folder of docker-compose.yml
	Nemeses   []nemesis.Nemesis
	LeftOut   map[string]string // nemeses that can't be had here, and why
	Schedule  nemesis.Schedule
	NoRoom    []string // nemeses for which the time was too short
	Shards    int
	Replicas  int
	Say       func(format string, args ...any) // progress
	GiveUp    time.Duration                    // what a heal or the recovery at the end may take; default 60 s
	CheckTime time.Duration                    // what the judgement may take; default 5 min
}

// Ways to the cluster.
const (
	ThroughHAProxy = "haproxy"
	ThroughNodes   = "nodes"
)

// Files of the folder.
const (
	Mark         = ".jepsen-lite" // says that the folder is ours to replace
	ScheduleFile = "schedule.json"
	ResultFile   = "result.json"
	HistoryFile  = "history.jsonl"
	CommitsFile  = "commits.jsonl" // the order in which the shards executed the writes, if it is known
	ReportFolder = "report"        // index.html to begin with
	logFolder    = "logs"          // of each node, and of HAProxy and the router
	dataFolder   = "data"          // kept unless all is well
)
