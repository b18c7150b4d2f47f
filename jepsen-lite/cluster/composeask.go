package cluster

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	table, err := c.statistics(ctx, "/stats;csv")
	if err != nil {
		return nil, err
	}
	return upIn(bytes.NewReader(table), fmt.Sprintf("kv_s%d_w", shard))
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

// pidOnPage is where HAProxy's statistics page names the process that made it.
var pidOnPage = regexp.MustCompile(`pid = *</b> *(\d+)`)

// Worker is the process id, within its container, of the HAProxy process that serves new connections.
func (c *Compose) Worker(ctx context.Context) (string, error) {
	page, err := c.statistics(ctx, "/stats")
	if err != nil {
		return "", err
	}
	found := pidOnPage.FindSubmatch(page)
	if found == nil {
		return "", errors.New("HAProxy's statistics page names no process")
	}
	return string(found[1]), nil
}

// statistics gets something from HAProxy's port for operations.
func (c *Compose) statistics(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Ops+path, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true // the next question comes with a client of its own
	response, err := newHTTPClient().Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}
