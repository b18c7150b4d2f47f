// Command benchfloor measures the two speed floors: kvorum's puts beside a bare hashicorp/raft, and its linearizable GETs
// beside a bare HTTP server. The two sides run in turn, each in a process of its own, and what counts is the median of the
// ratios of the pairs: what else the machine does meanwhile then meets both. Run it from the repository's root.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// floor is a benchmark with two sub-benchmarks, and the least ratio of their speeds that is meant to hold.
type floor struct {
	name, pkg, benchmark string
	ours, bare           string
	goal                 float64
	operations           int // in one run, unless -n says otherwise
}

func floors() []floor {
	return []floor{
		{"puts", "./replica/controller", "BenchmarkFloorPuts", "kvorum", "bare-raft", 0.70, 500_000},
		{"gets", "./node", "BenchmarkFloorGet", "kvorum", "bare-mux", 0.70, 200_000},
	}
}

func main() {
	pairs := flag.Int("pairs", 5, "pairs of runs for each floor")
	operations := flag.Int("n", 0, "operations in a run (0: 500,000 puts, 200,000 GETs)")
	only := flag.String("floor", "", "puts or gets (default: both)")
	flag.Parse()
	for _, f := range floors() {
		if *only != "" && *only != f.name {
			continue
		}
		if *operations > 0 {
			f.operations = *operations
		}
		if err := f.measure(*pairs); err != nil {
			fmt.Fprintln(os.Stderr, "benchfloor:", err)
			os.Exit(1)
		}
	}
}

// measure prints each pair and the median of their ratios. A floor that is missed is no error: a noisy machine misses any.
func (f floor) measure(pairs int) error {
	if pairs < 1 {
		return fmt.Errorf("%d pairs are too few", pairs)
	}
	folder, err := os.MkdirTemp("", "benchfloor")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "benchmark")
	if out, err := exec.Command("go", "test", "-c", "-o", program, f.pkg).CombinedOutput(); err != nil {
		return fmt.Errorf("go test -c %s: %w\n%s", f.pkg, err, out)
	}
	var ratios []float64
	for i := range pairs {
		speeds, err := f.pair(program, i%2 == 1)
		if err != nil {
			return err
		}
		ratios = append(ratios, speeds[0]/speeds[1])
		fmt.Printf("%s: pair %d of %d: %s %.0f/s, %s %.0f/s: %.1f %%\n", f.name, i+1, pairs, f.ours, speeds[0], f.bare, speeds[1], 100*ratios[i])
	}
	slices.Sort(ratios)
	fmt.Printf("%s: median %.1f %% (%.1f to %.1f), goal %.0f %%\n", f.name, 100*median(ratios), 100*ratios[0], 100*ratios[pairs-1], 100*f.goal)
	return nil
}

// pair runs both sides, ours second if asked to, and gives their speeds, ours first.
func (f floor) pair(program string, oursSecond bool) (speeds [2]float64, err error) {
	sides := []string{f.ours, f.bare}
	order := []int{0, 1}
	if oursSecond {
		slices.Reverse(order)
	}
	for _, side := range order {
		if speeds[side], err = f.run(program, sides[side]); err != nil {
			return speeds, err
		}
	}
	return speeds, nil
}

// run gives operations a second.
func (f floor) run(program, side string) (float64, error) {
	command := exec.Command(program, "-test.run", "^$", "-test.bench", "^"+f.benchmark+"$/^"+side+"$", "-test.benchtime", strconv.Itoa(f.operations)+"x")
	command.Dir = f.pkg
	out, err := command.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s/%s: %w\n%s", f.benchmark, side, err, out)
	}
	speed, err := speedIn(string(out), f.benchmark+"/"+side)
	if err != nil {
		return 0, fmt.Errorf("%w in:\n%s", err, out)
	}
	return speed, nil
}

// speedIn finds a benchmark's ns/op in the output of a test program and gives operations a second.
func speedIn(output, benchmark string) (float64, error) {
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(benchmark) + `(?:-\d+)?\s+\d+\s+([\d.]+) ns/op`)
	found := line.FindStringSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("no result of %s", benchmark)
	}
	nanoseconds, err := strconv.ParseFloat(found[1], 64)
	if err != nil || nanoseconds <= 0 {
		return 0, fmt.Errorf("%s took %q ns/op", benchmark, found[1])
	}
	return 1e9 / nanoseconds, nil
}

// median of a sorted list that is not empty.
func median(sorted []float64) float64 {
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
