package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/kvorum/kvorum/network"
)

// Usage is what a container has used of the CPUs since its start, what it had to do without, and when that was read.
type Usage struct {
	Used      time.Duration
	Read      time.Time
	Throttled int64         // periods in which it used up its quota
	Waited    time.Duration // for the next period, all threads together
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
			Throttling struct {
				Periods int64  `json:"throttled_periods"`
				Time    uint64 `json:"throttled_time"` // ns
			} `json:"throttling_data"`
		} `json:"cpu_stats"`
	}
	if err := json.NewDecoder(response.Body).Decode(&stats); err != nil {
		return Usage{}, err
	}
	if stats.CPU.Usage.Total == 0 {
		return Usage{}, fmt.Errorf("the engine answers %s without a figure", response.Status)
	}
	throttling := stats.CPU.Throttling
	return Usage{time.Duration(stats.CPU.Usage.Total), stats.Read, throttling.Periods, time.Duration(throttling.Time)}, nil
}
