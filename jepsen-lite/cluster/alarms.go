package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// busError is how Go reports SIGBUS: a page of a mapped file could not be read.
const busError = "fatal error: fault\n[signal SIGBUS"

// Bury says whether the node has ended unasked by SIGBUS, which a disk that can't be read does to whoever maps a file of it. It
// can be started again then, and that end is no alarm.
func (n *Node) Bury() (ended bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.running
	if p == nil {
		return false, nil
	}
	select {
	case <-p.ended:
	default:
		return false, nil
	}
	text, err := os.ReadFile(n.LogFile)
	if err != nil {
		return false, err
	}
	if bytes.Count(text, []byte(busError)) != n.buried+1 {
		return false, fmt.Errorf("%s ended unasked, and not by SIGBUS: %v, see %s", n.Name, p.err, n.LogFile)
	}
	n.buried++
	n.running, n.paused = nil, false
	n.http.CloseIdleConnections()
	return true, nil
}

// Alarms lists what no node may ever write to its log: that it panicked, be it in a request's handler, where net/http goes on, or that the race detector found something.
func (c *Cluster) Alarms() (alarms []string, err error) {
	for _, n := range c.Nodes {
		found, reading := alarmsIn(n.Name, n.LogFile, n.buried)
		alarms, err = append(alarms, found...), errors.Join(err, reading)
	}
	return alarms, err
}

// AlarmsIn is the same for logs named by their nodes in a folder.
func AlarmsIn(folder string, nodes []string) (alarms []string, err error) {
	for _, name := range nodes {
		found, reading := alarmsIn(name, filepath.Join(folder, name+".log"), 0)
		alarms, err = append(alarms, found...), errors.Join(err, reading)
	}
	return alarms, err
}

func alarmsIn(name, logFile string, busErrors int) (alarms []string, err error) {
	text, err := os.ReadFile(logFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, bad := range []string{"\npanic:", "fatal error:", "WARNING: DATA RACE", "the handler of a request panicked"} {
		if strings.Contains("\n"+strings.Replace(string(text), busError, "", busErrors), bad) {
			alarms = append(alarms, fmt.Sprintf("the log of %s holds %q", name, strings.TrimSpace(bad)))
		}
	}
	return alarms, err
}
