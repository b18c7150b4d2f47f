package main

import (
	"fmt"

	"github.com/kvorum/kvorum/linearizability"
)

// advice says with which flags what is undecided may be decided.
func (c *cli) advice(r linearizability.Report) []string {
	lacked := map[linearizability.Lack]bool{}
	for _, k := range r.Keys {
		if k.Verdict == linearizability.Undecided {
			lacked[k.Lacked] = true
		}
	}
	if len(lacked) == 0 {
		return nil
	}
	lines := []string{"What may decide the rest:"}
	if lacked[linearizability.LackOfMemory] {
		lines = append(lines, fmt.Sprintf("  --memory %d: more memory (MiB; the process may take twice that)", 4*c.Memory))
		if c.Workers != 1 {
			lines = append(lines, "  --workers 1: all the memory for one key at a time")
		}
	}
	if lacked[linearizability.LackOfTime] {
		lines = append(lines, fmt.Sprintf("  --timeout %s: more time; 0 is no bound", 4*c.Timeout))
	}
	if lacked[linearizability.Interrupted] {
		lines = append(lines, "  not to interrupt it")
	}
	if c.Commits == "" {
		return append(lines, "  --commits FILE: the machines' commit log; the replay of it needs little of either, whatever the concurrency")
	}
	return append(lines, "  values that are written once, or idempotency keys, by which the replay can tell writes apart")
}
