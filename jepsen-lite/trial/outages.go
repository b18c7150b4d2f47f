package trial

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

// Outages is how long the strikes of one nemesis at victims of one role left their shard without service.
type Outages struct {
	Nemesis string            `json:"nemesis"`
	Role    nemesis.Role      `json:"role,omitempty"`
	Strikes int               `json:"strikes"`
	Ways    map[string]Spread `json:"ways"` // by the way of the clients
}

// Spread of times, in seconds.
type Spread struct {
	Median float64 `json:"median"`
	Worst  float64 `json:"worst"`
}

// TimesWithoutService sums strikes up, also those of several trials. What is not known to have taken effect does not count, nor
// a way on which the time may have been another strike's doing; so HAProxy's figures may be of fewer strikes than the nodes'.
func TimesWithoutService(trials ...[]Struck) []Outages {
	type kind struct {
		nemesis string
		role    nemesis.Role
	}
	counts, times := map[kind]int{}, map[kind]map[string][]float64{}
	for _, strikes := range trials {
		for i, s := range strikes {
			ways := undisturbed(strikes, i)
			if s.NotProved != "" || len(ways) == 0 {
				continue
			}
			k := kind{s.Nemesis, s.Role}
			if counts[k]++; times[k] == nil {
				times[k] = map[string][]float64{}
			}
			for way, seconds := range ways {
				times[k][way] = append(times[k][way], seconds)
			}
		}
	}
	all := []Outages{}
	for k, ways := range times {
		o := Outages{Nemesis: k.nemesis, Role: k.role, Strikes: counts[k], Ways: map[string]Spread{}}
		for way, list := range ways {
			slices.Sort(list)
			middle := (list[(len(list)-1)/2] + list[len(list)/2]) / 2
			o.Ways[way] = Spread{Median: milli(middle), Worst: list[len(list)-1]}
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Outages) int {
		return cmp.Or(strings.Compare(a.Nemesis, b.Nemesis), -strings.Compare(string(a.Role), string(b.Role)))
	})
	return all
}

// undisturbed are the times of a strike, by the way, that are its own doing and no other's. What struck no shard in particular is
// disturbed by any other strike; what struck a shard, by another one at that shard or at all nodes, and on the way through HAProxy
// by one at what stands in front.
func undisturbed(strikes []Struck, i int) map[string]float64 {
	own, s := map[string]float64{}, &strikes[i]
	for way, gap := range s.Without {
		end := max(s.Ended, gap.At+gap.Seconds) // the time without service may outlast the strike
		disturbed := false
		for j, o := range strikes {
			meanwhile := j != i && o.Began <= end && o.Ended >= s.Began
			disturbed = disturbed || meanwhile && (s.Shard < 0 || o.Shard == s.Shard || o.Shard < 0 && (way == ThroughHAProxy || len(o.Victims) > 1))
		}
		if !disturbed {
			own[way] = gap.Seconds
		}
	}
	return own
}

// WriteOutages writes them as a Markdown table, which reads as one in a terminal, too.
func WriteOutages(w io.Writer, all []Outages) error {
	const row = "| %-20s | %-8s | %7v | %9s | %9s | %9s | %9s |\n"
	var text strings.Builder
	fmt.Fprintf(&text, row, "fault", "at", "strikes", "nodes p50", "worst", "HAProxy p50", "worst")
	fmt.Fprintf(&text, "|%s\n", strings.Repeat("---|", 7))
	for _, o := range all {
		cells := []any{o.Nemesis, string(o.Role), o.Strikes}
		for _, way := range []string{ThroughNodes, ThroughHAProxy} {
			s, measured := o.Ways[way]
			if !measured {
				cells = append(cells, "-", "-")
				continue
			}
			cells = append(cells, fmt.Sprintf("%.2f s", s.Median), fmt.Sprintf("%.2f s", s.Worst))
		}
		fmt.Fprintf(&text, row, cells...)
	}
	_, err := io.WriteString(w, text.String())
	return err
}
