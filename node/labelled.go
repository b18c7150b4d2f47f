package node

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// labelled adds one label to all that g gathers and that lacks it: so the metrics of several nodes can stand on one page.
func labelled(g prometheus.Gatherer, name, value string) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		for _, family := range families {
			for _, metric := range family.Metric {
				if slices.ContainsFunc(metric.Label, func(l *dto.LabelPair) bool { return l.GetName() == name }) {
					continue
				}
				metric.Label = append(metric.Label, &dto.LabelPair{Name: &name, Value: &value})
				slices.SortFunc(metric.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
			}
		}
		return families, err
	})
}
