package cluster

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Alarms lists what no node may ever write to its log: that it panicked, or that the race detector found something.
func (c *Cluster) Alarms() (alarms []string, err error) {
	for _, n := range c.Nodes {
		text, readErr := os.ReadFile(n.LogFile)
		if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
			err = errors.Join(err, readErr)
		}
		for _, bad := range []string{"\npanic:", "fatal error:", "WARNING: DATA RACE"} {
			if strings.Contains("\n"+string(text), bad) {
				alarms = append(alarms, fmt.Sprintf("the log of %s holds %q", n.Name, strings.TrimSpace(bad)))
			}
		}
	}
	return alarms, err
}
