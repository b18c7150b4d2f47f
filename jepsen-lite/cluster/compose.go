package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Compose is the deployment of docker-compose.yml under a project name and ports of its own.
type Compose struct {
	Project              string
	API, Ops, Prometheus string // host:port

	folder  string
	command []string
	env     []string // what a user gives: the two ports, and nothing else that docker-compose.yml reads
	observe []string // the port of Prometheus besides
}

// NewCompose starts nothing. folder holds docker-compose.yml.
func NewCompose(ctx context.Context, folder, project string) (*Compose, error) {
	command, err := findCompose(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c := &Compose{
		Project: project, API: loopback(ports[0]), Ops: loopback(ports[1]), Prometheus: loopback(ports[2]),
		folder: folder, command: append(command, "-p", project),
	}
	c.env = append(withoutSettings(os.Environ()), fmt.Sprintf("KVORUM_PORT=%d", ports[0]), fmt.Sprintf("KVORUM_OPS_PORT=%d", ports[1]))
	c.observe = append(slices.Clone(c.env), fmt.Sprintf("KVORUM_PROMETHEUS_PORT=%d", ports[2]))
	return c, nil
}

// withoutSettings takes away what docker-compose.yml or compose itself would read: a test must not pass because of a setting
// that its caller happens to have.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return strings.HasPrefix(name, "KVORUM_") || strings.HasPrefix(name, "COMPOSE_") || strings.HasSuffix(name, "_IMAGE")
	})
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
	return c.run(ctx, c.env, "make", "--no-print-directory", "images")
}

// Do runs a compose command on the project, such as "stop", "s0n0".
func (c *Compose) Do(ctx context.Context, arguments ...string) (string, error) {
	return c.run(ctx, c.env, c.command[0], slices.Concat(c.command[1:], arguments)...)
}

// Observe runs a compose command with the profile observe.
func (c *Compose) Observe(ctx context.Context, arguments ...string) (string, error) {
	return c.run(ctx, c.observe, c.command[0], slices.Concat(c.command[1:], []string{"--profile", "observe"}, arguments)...)
}

// Up is what a user types, and nothing more: no service is named.
func (c *Compose) Up(ctx context.Context) error {
	_, err := c.Do(ctx, "up", "-d")
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
	return c.run(ctx, c.env, "docker", arguments...)
}

// Pipe runs a docker command with some input.
func (c *Compose) Pipe(ctx context.Context, input string, arguments ...string) (string, error) {
	return c.feed(ctx, c.env, input, "docker", arguments...)
}

// Remove removes containers, networks and volumes of the project, and nothing else.
func (c *Compose) Remove(ctx context.Context) error {
	_, err := c.Observe(ctx, "down", "-v", "--remove-orphans", "-t", "2")
	return err
}

func (c *Compose) run(ctx context.Context, env []string, program string, arguments ...string) (string, error) {
	return c.feed(ctx, env, "", program, arguments...)
}

func (c *Compose) feed(ctx context.Context, env []string, input, program string, arguments ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Dir, cmd.Env, cmd.Stdin = c.folder, env, strings.NewReader(input)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(arguments, " "), err, out.Bytes(), failed.Bytes())
	}
	return out.String(), nil
}
