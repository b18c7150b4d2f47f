package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

type nemesesCmd struct{}

// Run lists them.
func (nemesesCmd) Run(p *program) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAMILY\tNAME\tNEEDS\tWHAT")
	place := nemesis.Place{ThroughProxy: true, Replicas: replicas}
	for _, family := range nemesis.Families() {
		for _, n := range nemesis.List() {
			if n.Family != family {
				continue
			}
			what := n.Does
			if reason := place.MissingFor(n); reason != "" {
				what += " (not here: it " + reason + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Family, n.Name, needs(n), what)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, a := range nemesis.Elsewhere() {
		fmt.Fprintf(p.stdout, "%s: %s.\n", a.Family, a.Reason)
	}
	return nil
}

func needs(n nemesis.Nemesis) string {
	if len(n.Needs) == 0 {
		return "-"
	}
	var words []string
	for _, need := range n.Needs {
		words = append(words, string(need))
	}
	return strings.Join(words, ",")
}
