//go:build deploy

package jepsenlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// dashboardIsTrue runs Prometheus of the profile observe: it must reach every target, and each expression of the dashboard
// must give something.
func dashboardIsTrue(ctx context.Context, t *testing.T, d *deployed) {
	_, err := d.Do(ctx, "up", "-d", "prometheus")
	check(t, err)
	// Some series begin with the first event: a request that is forwarded.
	id, err := d.Container(ctx, "s1n0")
	check(t, err)
	for range 3 {
		_, err = d.Docker(ctx, "exec", id, "/kvorum", "put", "--endpoint", "http://router:8080", "demo:a", "kept demo:a")
		check(t, err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	check(t, cluster.WaitFor(ctx, "Prometheus to reach all targets", func(ctx context.Context) error { return d.targetsUp(ctx) }))
	expressions := dashboardExpressions(t)
	for _, expression := range expressions {
		check(t, cluster.WaitFor(ctx, "an answer to "+expression, func(ctx context.Context) error { return d.evaluates(ctx, expression) }))
	}
	t.Logf("Prometheus reaches %d targets, and %d expressions of the dashboard give a result", len(d.Services()), len(expressions))
	_, err = d.Do(ctx, "stop", "prometheus")
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

func (d *deployed) evaluates(ctx context.Context, expression string) error {
	body, err := get(ctx, "http://"+d.Prometheus+"/api/v1/query?query="+url.QueryEscape(expression))
	if err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	var reply struct {
		Status string
		Data   struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return err
	}
	if reply.Status != "success" || len(reply.Data.Result) == 0 {
		return fmt.Errorf("no result: %s", body)
	}
	return nil
}

// dashboardExpressions are those of all panels.
func dashboardExpressions(t *testing.T) (expressions []string) {
	raw, err := os.ReadFile(projectFolder + "/deploy/observe/kvorum.json")
	check(t, err)
	var dashboard struct {
		Panels []struct {
			Type    string
			Targets []struct{ Expr string }
		}
	}
	check(t, json.Unmarshal(raw, &dashboard))
	for _, panel := range dashboard.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Error("a panel without an expression")
		}
		for _, target := range panel.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	if len(expressions) == 0 {
		t.Fatal("the dashboard has no expressions")
	}
	return expressions
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
