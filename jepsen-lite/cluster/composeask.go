package cluster

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvorum/kvorum/network"
)

// Metric is the one value of a metric of a service. Nothing but HAProxy's ports is published, so it is asked for from inside,
// with the wget that HAProxy's health check uses.
func (c *Compose) Metric(ctx context.Context, service, name string) (float64, error) {
	haproxy, err := c.Container(ctx, "haproxy")
	if err != nil {
		return 0, err
	}
	text, err := c.Docker(ctx, "exec", haproxy, "wget", "-q", "-O", "-", "http://"+service+":8080/metrics") // a static busybox crashes with -T
	if err != nil {
		return 0, err
	}
	return metricIn(text, name)
}

// metricIn finds the one sample of a metric in Prometheus's text format.
func metricIn(text, name string) (float64, error) {
	var values []string
	for line := range strings.Lines(text) {
		if series, value, found := strings.Cut(strings.TrimSpace(line), " "); found && (series == name || strings.HasPrefix(series, name+"{")) {
			values = append(values, value)
		}
	}
	if len(values) != 1 {
		return 0, fmt.Errorf("%s has %d series", name, len(values))
	}
	return strconv.ParseFloat(values[0], 64)
}

// Writers are the servers that HAProxy's statistics show as up in a shard's write backend, but for the backup servers "-any":
// the leader, if all is in step.
func (c *Compose) Writers(ctx context.Context, shard uint32) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Ops+"/stats;csv", nil)
	if err != nil {
		return nil, err
	}
	request.Close = true // the next question comes with a client of its own
	response, err := newHTTPClient().Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return upIn(response.Body, fmt.Sprintf("kv_s%d_w", shard))
}

func upIn(statistics io.Reader, backend string) (up []string, err error) {
	rows, err := csv.NewReader(statistics).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("HAProxy's statistics: %w", err)
	}
	if len(rows) == 0 {
		return nil, errors.New("HAProxy's statistics are empty")
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[strings.TrimPrefix(name, "# ")] = i
	}
	seen := 0
	for _, row := range rows[1:] {
		server := row[column["svname"]]
		if row[column["pxname"]] != backend || server == "FRONTEND" || server == "BACKEND" || strings.HasSuffix(server, "-any") {
			continue
		}
		seen++
		if strings.HasPrefix(row[column["status"]], "UP") {
			up = append(up, server)
		}
	}
	if seen == 0 {
		return nil, fmt.Errorf("HAProxy's statistics name no server of %s", backend)
	}
	return up, nil
}

// States are the containers of the project, each as "service state", sorted: such as "router running".
func (c *Compose) States(ctx context.Context) ([]string, error) {
	out, err := c.Docker(ctx, "ps", "-a", "--filter", "label=com.docker.compose.project="+c.Project, "--format", `{{.Label "com.docker.compose.service"}} {{.State}}`)
	states := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(states)
	return states, err
}

// Usage is what a container has used of the CPUs since its start, and when that was read.
type Usage struct {
	Used time.Duration
	Read time.Time
}

// CPU is what the containers of the given services have used so far, by their cgroups. What the engine itself uses for them
// is not in it.
func (c *Compose) CPU(ctx context.Context, services ...string) (map[string]Usage, error) {
	socket := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	if socket == "" {
		socket = "/var/run/docker.sock"
	}
	engine := &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return network.Dial(ctx, "unix:"+socket) },
		DisableKeepAlives: true,
	}}
	usage := map[string]Usage{}
	for _, service := range services {
		id, err := c.Container(ctx, service)
		if err != nil {
			return nil, err
		}
		if usage[service], err = cpuOf(ctx, engine, id); err != nil {
			return nil, fmt.Errorf("statistics of %s: %w", service, err)
		}
	}
	return usage, nil
}

func cpuOf(ctx context.Context, engine *http.Client, id string) (Usage, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/containers/"+id+"/stats?stream=false&one-shot=true", nil)
	if err != nil {
		return Usage{}, err
	}
	response, err := engine.Do(request)
	if err != nil {
		return Usage{}, err
	}
	defer response.Body.Close()
	var stats struct {
		Read time.Time
		CPU  struct {
			Usage struct {
				Total uint64 `json:"total_usage"` // ns
			} `json:"cpu_usage"`
		} `json:"cpu_stats"`
	}
	if err := json.NewDecoder(response.Body).Decode(&stats); err != nil {
		return Usage{}, err
	}
	if stats.CPU.Usage.Total == 0 {
		return Usage{}, fmt.Errorf("the engine answers %s without a figure", response.Status)
	}
	return Usage{time.Duration(stats.CPU.Usage.Total), stats.Read}, nil
}
