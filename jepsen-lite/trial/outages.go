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
// what struck no shard in particular while another strike was under way, whose doing it may have been.
func TimesWithoutService(trials ...[]Struck) []Outages {
	type kind struct {
		nemesis string
		role    nemesis.Role
	}
	counts, times := map[kind]int{}, map[kind]map[string][]float64{}
	for _, strikes := range trials {
		for i, s := range strikes {
			if s.NotProved != "" || s.Shard < 0 && !undisturbed(strikes, i) {
				continue
			}
			k := kind{s.Nemesis, s.Role}
			if counts[k]++; times[k] == nil {
				times[k] = map[string][]float64{}
			}
			for way, gap := range s.Without {
				times[k][way] = append(times[k][way], gap.Seconds)
			}
		}
	}
	all := []Outages{}
	for k, ways := range times {
		o := Outages{Nemesis: k.nemesis, Role: k.role, Strikes: counts[k], Ways: map[string]Spread{}}
		for way, list := range ways {
			slices.Sort(list)
			o.Ways[way] = Spread{Median: list[len(list)/2], Worst: list[len(list)-1]}
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Outages) int {
		return cmp.Or(strings.Compare(a.Nemesis, b.Nemesis), -strings.Compare(string(a.Role), string(b.Role)))
	})
	return all
}

// undisturbed says that no other strike was under way during one.
func undisturbed(strikes []Struck, i int) bool {
	for j, o := range strikes {
		if j != i && o.Began <= strikes[i].Ended && o.Ended >= strikes[i].Began {
			return false
		}
	}
	return true
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
