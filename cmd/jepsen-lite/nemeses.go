package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/trial"
)

type nemesesCmd struct {
	Target string `enum:"processes,compose" default:"processes" placeholder:"processes|compose" help:"What they would break (default ${default})."`
}

// Run lists them.
func (c *nemesesCmd) Run(p *program) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAMILY\tNAME\tNEEDS\tWHAT")
	place := nemesis.Place{Containers: c.Target == trial.Compose, ThroughProxy: true, Replicas: replicas, Rules: nemesis.RulesAsked()}
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
	fmt.Fprintln(w)
	for _, need := range nemesis.Needs() {
		fmt.Fprintf(w, "%s:\t%s\n", need, need.Means())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout)
	for _, a := range nemesis.Elsewhere() {
		fmt.Fprintf(p.stdout, "%s: %s.\n", a.Family, a.Reason)
	}
	if place.Containers {
		if err := cluster.EnginePossible(p.ctx); err != nil {
			fmt.Fprintf(p.stdout, "None of it here: %v\n", err)
		}
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
