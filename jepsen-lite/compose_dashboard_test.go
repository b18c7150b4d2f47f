//go:build deploy

package jepsenlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// query is an expression of the dashboard, and the labels that the text beside it names.
type query struct {
	expression string
	labels     []string
}

// dashboardIsTrue runs Prometheus of the profile observe: it must reach every target, and each expression of the dashboard,
// those of annotations and variables too, must give something that has the labels which the dashboard writes beside it.
func dashboardIsTrue(ctx context.Context, t *testing.T, d *deployed) {
	_, err := d.Observe(ctx, "up", "-d", "prometheus")
	check(t, err)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	check(t, cluster.WaitFor(ctx, "Prometheus to reach all targets", func(ctx context.Context) error { return d.targetsUp(ctx) }))
	// Some series begin with the first event: a request that is forwarded, a new leader.
	id, err := d.Container(ctx, "s1n0")
	check(t, err)
	for range 3 {
		_, err = d.Docker(ctx, "exec", id, "/kvorum", "put", "--endpoint", "http://router:8080", "demo:a", "kept demo:a")
		check(t, err)
	}
	_, err = d.kv.TransferLeader(ctx, 0, "")
	check(t, err)
	queries := dashboardQueries(t)
	for _, q := range queries {
		check(t, cluster.WaitFor(ctx, "an answer to "+q.expression, func(ctx context.Context) error { return d.evaluates(ctx, q) }))
	}
	t.Logf("Prometheus reaches %d targets, and %d expressions of the dashboard give a result", len(d.Services()), len(queries))
	_, err = d.Observe(ctx, "rm", "-s", "-f", "prometheus")
	check(t, err)
}

func (d *deployed) targetsUp(ctx context.Context) error {
	body, err := get(ctx, "http://"+d.Prometheus+"/api/v1/targets?state=active")
	if err != nil {
		return err
	}
	var reply struct {
		Data struct {
			ActiveTargets []struct {
				Health, LastError string
				Labels            map[string]string
			}
		}
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return err
	}
	missing := d.Services()
	for _, target := range reply.Data.ActiveTargets {
		if target.Health != "up" {
			return fmt.Errorf("%s is %s: %s", target.Labels["instance"], target.Health, target.LastError)
		}
		missing = slices.DeleteFunc(missing, func(s string) bool { return s == target.Labels["instance"] })
	}
	if len(missing) > 0 {
		return fmt.Errorf("no target for %v", missing)
	}
	return nil
}

func (d *deployed) evaluates(ctx context.Context, q query) error {
	body, err := get(ctx, "http://"+d.Prometheus+"/api/v1/query?query="+url.QueryEscape(q.expression))
	if err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	var reply struct {
		Status string
		Data   struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return err
	}
	if reply.Status != "success" || len(reply.Data.Result) == 0 {
		return fmt.Errorf("no result: %s", body)
	}
	for _, label := range q.labels {
		if reply.Data.Result[0].Metric[label] == "" {
			return fmt.Errorf("the dashboard writes {{%s}}, and no such label is in %v", label, reply.Data.Result[0].Metric)
		}
	}
	return nil
}

// dashboardQueries are all that the dashboard asks Prometheus, wherever they stand in its file: panels, annotations,
// variables. Those of annotations come first, as they show events, and those are soon over.
func dashboardQueries(t *testing.T) (queries []query) {
	raw, err := os.ReadFile(projectFolder + "/deploy/observe/kvorum.json")
	check(t, err)
	dashboard := map[string]any{}
	check(t, json.Unmarshal(raw, &dashboard))
	queries = queriesIn(dashboard["annotations"])
	if len(queries) == 0 {
		t.Error("no annotation asks for anything")
	}
	delete(dashboard, "annotations")
	panels, _ := dashboard["panels"].([]any)
	for _, panel := range panels {
		if of, _ := panel.(map[string]any); of["type"] != "row" && len(queriesIn(panel)) == 0 {
			t.Errorf("a panel without an expression: %v", of["title"])
		}
	}
	if len(panels) == 0 {
		t.Error("the dashboard has no panels")
	}
	return append(queries, queriesIn(dashboard)...)
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.+), *\w+\)$`) // of a variable: Grafana's, not Prometheus's
	writtenName = regexp.MustCompile(`{{ *(\w+) *}}`)
)

func queriesIn(part any) (queries []query) {
	switch part := part.(type) {
	case []any:
		for _, element := range part {
			queries = append(queries, queriesIn(element)...)
		}
	case map[string]any:
		var labels []string
		for _, beside := range []string{"legendFormat", "titleFormat", "textFormat"} {
			text, _ := part[beside].(string)
			for _, found := range writtenName.FindAllStringSubmatch(text, -1) {
				labels = append(labels, found[1])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(part)) {
			text, is := part[name].(string)
			if is && slices.Contains([]string{"expr", "query", "definition"}, name) {
				if of := labelValues.FindStringSubmatch(text); of != nil {
					text = of[1]
				}
				queries = append(queries, query{text, labels})
			}
			queries = append(queries, queriesIn(part[name])...)
		}
	}
	return queries
}

func get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return body, err
}
