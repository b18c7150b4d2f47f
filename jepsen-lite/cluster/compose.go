package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kvorum/kvorum/network"
)

// ErrNoDocker: there is no engine, or no compose, that could be asked.
var ErrNoDocker = errors.New("containers can't be run here")

// Compose is the deployment of docker-compose.yml under a project name and ports of its own.
type Compose struct {
	Project              string
	API, Ops, Prometheus string // host:port

	folder  string
	command []string
	env     []string
}

// NewCompose starts nothing. folder holds docker-compose.yml.
func NewCompose(ctx context.Context, folder, project string) (*Compose, error) {
	if out, err := exec.CommandContext(ctx, "docker", "info", "-f", "{{.ServerVersion}}").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: docker info: %w: %s", ErrNoDocker, err, out)
	}
	command := []string{"docker", "compose"}
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() != nil {
		if _, err := exec.LookPath("docker-compose"); err != nil {
			return nil, fmt.Errorf("%w: neither docker compose nor docker-compose", ErrNoDocker)
		}
		command = []string{"docker-compose"}
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c := &Compose{
		Project: project, API: loopback(ports[0]), Ops: loopback(ports[1]), Prometheus: loopback(ports[2]),
		folder: folder, command: append(command, "-p", project, "--profile", "observe"),
	}
	c.env = append(os.Environ(),
		fmt.Sprintf("KVORUM_PORT=%d", ports[0]), fmt.Sprintf("KVORUM_OPS_PORT=%d", ports[1]), fmt.Sprintf("KVORUM_PROMETHEUS_PORT=%d", ports[2]))
	return c, nil
}

// Services of docker-compose.yml that run without a profile.
func (c *Compose) Services() []string {
	services := []string{"haproxy", "router"}
	return append(services, c.Nodes()...)
}

// Nodes are the services that hold replicas.
func (c *Compose) Nodes() []string {
	var nodes []string
	for shard := range 3 {
		for replica := range 3 {
			nodes = append(nodes, fmt.Sprintf("s%dn%d", shard, replica))
		}
	}
	return nodes
}

// Images runs `make images`.
func (c *Compose) Images(ctx context.Context) (string, error) {
	return c.run(ctx, "make", "--no-print-directory", "images")
}

// Do runs a compose command on the project, such as "stop", "s0n0".
func (c *Compose) Do(ctx context.Context, arguments ...string) (string, error) {
	return c.run(ctx, c.command[0], slices.Concat(c.command[1:], arguments)...)
}

// Up starts all that needs no profile.
func (c *Compose) Up(ctx context.Context) error {
	_, err := c.Do(ctx, append([]string{"up", "-d"}, c.Services()...)...)
	return err
}

// Container is the id of a service's container.
func (c *Compose) Container(ctx context.Context, service string) (string, error) {
	// By its labels: the engine answers at once, docker-compose takes the better part of a second. Stopped ones count too.
	out, err := c.Docker(ctx, "ps", "-aq", "--no-trunc", "--filter", "label=com.docker.compose.project="+c.Project,
		"--filter", "label=com.docker.compose.service="+service)
	id := strings.TrimSpace(out)
	if err == nil && (id == "" || strings.ContainsAny(id, " \n")) {
		err = fmt.Errorf("%s has no container, or several: %q", service, id)
	}
	return id, err
}

// Docker runs a docker command.
func (c *Compose) Docker(ctx context.Context, arguments ...string) (string, error) {
	return c.run(ctx, "docker", arguments...)
}

// Remove removes containers, networks and volumes of the project, and nothing else.
func (c *Compose) Remove(ctx context.Context) error {
	_, err := c.Do(ctx, "down", "-v", "--remove-orphans", "-t", "2")
	return err
}

func (c *Compose) run(ctx context.Context, program string, arguments ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Dir, cmd.Env = c.folder, c.env
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(arguments, " "), err, out.Bytes(), failed.Bytes())
	}
	return out.String(), nil
}

// CPU is what the containers of the given services have used so far. What the engine itself uses for them is not in it.
func (c *Compose) CPU(ctx context.Context, services ...string) (time.Duration, error) {
	socket := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	if socket == "" {
		socket = "/var/run/docker.sock"
	}
	engine := &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return network.Dial(ctx, "unix:"+socket) },
		DisableKeepAlives: true,
	}}
	total := time.Duration(0)
	for _, service := range services {
		id, err := c.Container(ctx, service)
		if err != nil {
			return 0, err
		}
		used, err := cpuOf(ctx, engine, id)
		if err != nil {
			return 0, fmt.Errorf("statistics of %s: %w", service, err)
		}
		total += used
	}
	return total, nil
}

func cpuOf(ctx context.Context, engine *http.Client, id string) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/containers/"+id+"/stats?stream=false&one-shot=true", nil)
	if err != nil {
		return 0, err
	}
	response, err := engine.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var stats struct {
		CPU struct {
			Usage struct {
				Total uint64 `json:"total_usage"` // ns
			} `json:"cpu_usage"`
		} `json:"cpu_stats"`
	}
	if err := json.NewDecoder(response.Body).Decode(&stats); err != nil {
		return 0, err
	}
	if stats.CPU.Usage.Total == 0 {
		return 0, fmt.Errorf("the engine answers %s without a figure", response.Status)
	}
	return time.Duration(stats.CPU.Usage.Total), nil
}
