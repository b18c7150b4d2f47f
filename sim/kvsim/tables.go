package kvsim

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/kvorum/kvorum/sim/lab"
)

func killTable(w io.Writer, kills []lab.Kill) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nmutant\tkilled by\tseeds\tCPU s\toracles")
	var cpu []float64
	for _, k := range kills {
		if k.Killed {
			cpu = append(cpu, k.CPU)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.0f\t%v\n", k.Patch, killer(k), k.Seeds, k.CPU, k.Oracles)
	}
	slices.Sort(cpu)
	if len(cpu) > 0 {
		fmt.Fprintf(t, "\n%d of %d killed; CPU seconds until killed: median %.0f, slowest %.0f\n", len(cpu), len(kills), cpu[len(cpu)/2], cpu[len(cpu)-1])
	}
	_ = t.Flush()
}

// The goal of shrinking: what a person can read.
const (
	fewFaults     = 8
	fewOperations = 100
	shrinkTime    = 15 * time.Minute

	mostSmall        = 80 // per cent of the kills have no more than the above, within that time
	medianFaults     = 4
	medianOperations = 30
	smallFile        = 10_000 // bytes, which no schedule reaches
)

// bound is one part of the goal, and whether it is met.
type bound struct {
	what string
	met  bool
}

// judgeShrinking holds the kills to the goal. One that did not fail again is not small, and has no part in the medians.
func judgeShrinking(kills []lab.Kill) []bound {
	var faults, operations []int
	killed, small, largest := 0, 0, 0
	for _, k := range kills {
		if k.Killed {
			killed++
		}
		if k.Small == nil {
			continue
		}
		faults, operations, largest = append(faults, k.Small.Faults), append(operations, k.Small.Operations), max(largest, k.Small.Bytes)
		if k.Small.Faults <= fewFaults && k.Small.Operations <= fewOperations && k.Small.Seconds <= shrinkTime.Seconds() {
			small++
		}
	}
	if killed == 0 {
		return nil
	}
	share := bound{fmt.Sprintf("%d of %d kills shrunk to at most %d faults and %d operations within %s; wanted: %d %%", small, killed, fewFaults, fewOperations, shrinkTime, mostSmall), small*100 >= mostSmall*killed}
	if len(faults) == 0 {
		return []bound{share}
	}
	slices.Sort(faults)
	slices.Sort(operations)
	middle := len(faults) / 2
	return []bound{
		share,
		{fmt.Sprintf("median of faults %d; wanted: at most %d", faults[middle], medianFaults), faults[middle] <= medianFaults},
		{fmt.Sprintf("median of operations %d; wanted: at most %d", operations[middle], medianOperations), operations[middle] <= medianOperations},
		{fmt.Sprintf("largest file %d bytes; wanted: under %d", largest, smallFile), largest < smallFile},
	}
}

func shrinkTable(w io.Writer, kills []lab.Kill) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nshrunk\tfaults\toperations\tbytes\truns\tseconds\toracle")
	for _, k := range kills {
		switch s := k.Small; {
		case s != nil:
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.0f\t%s\n", k.Patch, s.Faults, s.Operations, s.Bytes, s.Runs, s.Seconds, s.Oracle)
		case k.Killed:
			fmt.Fprintf(t, "%s\tdid not fail again\n", k.Patch)
		}
	}
	fmt.Fprintln(t)
	for _, b := range judgeShrinking(kills) {
		word := "met"
		if !b.met {
			word = "MISSED"
		}
		fmt.Fprintf(t, "%s\t%s\n", word, b.what)
	}
	_ = t.Flush()
}
