package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/kvorum/kvorum/network"
)

// HAProxy is a real HAProxy with the project's configuration, in front of a cluster.
type HAProxy struct {
	Side
	Front  *Node  // for requests through it: Do, Put, Get
	Ops    string // host:port
	Socket string // admin socket
	Folder string // copy of haproxy/
}

// ErrNoHAProxy: there is no haproxy on this machine.
var ErrNoHAProxy = errors.New("haproxy is not installed (Debian package haproxy)")

// FindHAProxy is the path of this machine's haproxy, or of the one that HAPROXY in the environment names.
func FindHAProxy() (string, error) {
	if named := os.Getenv("HAPROXY"); named != "" {
		if program, err := exec.LookPath(named); err == nil {
			return program, nil
		}
		return "", fmt.Errorf("%w: %s, which HAPROXY names, is no program", ErrNoHAProxy, named)
	}
	if program := findProgram("haproxy", "/usr/sbin", "/usr/local/sbin"); program != "" {
		return program, nil
	}
	return "", ErrNoHAProxy
}

// findProgram looks in PATH, then in folders: Debian puts servers into /usr/sbin, which an ordinary user's PATH does not name.
func findProgram(name string, folders ...string) string {
	candidates := []string{name}
	for _, folder := range folders {
		candidates = append(candidates, filepath.Join(folder, name))
	}
	for _, candidate := range candidates {
		if program, err := exec.LookPath(candidate); err == nil {
			return program
		}
	}
	return ""
}

// NewHAProxy copies the configuration from folder into the cluster's and chooses ports. It starts nothing.
func (c *Cluster) NewHAProxy(folder string) (*HAProxy, error) {
	program, err := FindHAProxy()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.opt.Dir, "haproxy")
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		return nil, err
	}
	h := &HAProxy{
		Front: &Node{Name: "haproxy", API: loopback(ports[0]), http: newHTTPClient()},
		Ops:   loopback(ports[1]), Socket: filepath.Join(dir, "admin.sock"), Folder: dir,
	}
	h.Side = Side{Name: "haproxy", LogFile: filepath.Join(c.opt.Dir, "haproxy.log"), program: program, arguments: []string{"-W", "-db", "-f", h.ConfigFile()}}
	h.env = []string{"KVORUM_LB_API=" + h.Front.API, "KVORUM_LB_OPS=" + h.Ops, "KVORUM_LB_SOCKET=" + h.Socket, "KVORUM_LB_MAP=" + h.MapFile()}
	for _, n := range c.Nodes {
		h.env = append(h.env, "KVORUM_LB_"+strings.ToUpper(n.Name)+"="+n.API)
	}
	return h, nil
}

// ConfigFile is the copy of haproxy.cfg that it runs with.
func (h *HAProxy) ConfigFile() string { return filepath.Join(h.Folder, "haproxy.cfg") }

// MapFile is the slot map that it reads at its start.
func (h *HAProxy) MapFile() string { return filepath.Join(h.Folder, "slots.map") }

// SetEnv adds variables of the configuration for the next start, as NAME=value.
func (h *HAProxy) SetEnv(variables ...string) { h.env = append(h.env, variables...) }

// Replace changes the configuration: what is replaced must be there.
func (h *HAProxy) Replace(old, new string) error {
	text, err := os.ReadFile(h.ConfigFile())
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), old) {
		return fmt.Errorf("%s does not hold %q", h.ConfigFile(), old)
	}
	return os.WriteFile(h.ConfigFile(), []byte(strings.ReplaceAll(string(text), old, new)), 0o644)
}

// Check is haproxy -c -dW: every warning is an error.
func (h *HAProxy) Check(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, h.program, "-c", "-dW", "-f", h.ConfigFile())
	cmd.Env = append(os.Environ(), h.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("haproxy -c -dW: %w\n%s", err, out)
	}
	return nil
}

// Command sends one line to the admin socket, with a payload unless it is empty.
func (h *HAProxy) Command(ctx context.Context, line, payload string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := network.Dial(ctx, "unix:"+h.Socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if payload != "" {
		line += " <<\n" + strings.TrimSuffix(payload, "\n") + "\n" // ended by an empty line
	}
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(conn)
	return string(reply), err
}

// Pid is the process id of the worker that serves now.
func (h *HAProxy) Pid(ctx context.Context) (string, error) {
	info, err := h.Command(ctx, "show info", "")
	_, after, found := strings.Cut(info, "\nPid: ")
	pid, _, _ := strings.Cut(after, "\n")
	if err == nil && !found {
		err = errors.New("show info names no process id")
	}
	return pid, err
}

// WaitUp waits until HAProxy has seen n servers up in each shard's read backend and one, the leader, in each write backend.
func (h *HAProxy) WaitUp(ctx context.Context, shards uint32, n int) error {
	return WaitFor(ctx, "HAProxy to see all nodes", func(ctx context.Context) error {
		if err := h.Alive(); err != nil {
			return err
		}
		for s := range shards {
			for backend, want := range map[string]int{fmt.Sprintf("kv_s%d_r", s): n, fmt.Sprintf("kv_s%d_w", s): 1} {
				up, err := h.up(ctx, backend)
				if err != nil || len(up) != want {
					return errors.Join(err, fmt.Errorf("up in %s: %v", backend, up))
				}
			}
		}
		return nil
	})
}

// Leader is the server that HAProxy sends a shard's writes to, "" if it is not exactly one.
func (h *HAProxy) Leader(ctx context.Context, shard uint32) (string, error) {
	up, err := h.up(ctx, fmt.Sprintf("kv_s%d_w", shard))
	if err == nil && len(up) == 1 {
		return up[0], nil
	}
	return "", err
}

// up lists the servers of a backend that are up, but for the backup servers "-any".
func (h *HAProxy) up(ctx context.Context, backend string) ([]string, error) {
	text, err := h.Command(ctx, "show servers state "+backend, "")
	if err != nil {
		return nil, err
	}
	var up []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line) // be_id be_name srv_id srv_name srv_addr srv_op_state ...
		if len(fields) > 6 && fields[1] == backend && fields[5] == "2" && !strings.HasSuffix(fields[3], "-any") {
			up = append(up, fields[3])
		}
	}
	return up, nil
}

// Sessions is how many requests HAProxy has at a server now.
func (h *HAProxy) Sessions(ctx context.Context, backend, server string) (int, error) {
	text, err := h.Command(ctx, "show stat", "")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		fields := strings.Split(line, ",") // pxname,svname,qcur,qmax,scur,...
		if len(fields) > 4 && fields[0] == backend && fields[1] == server {
			return strconv.Atoi(fields[4])
		}
	}
	return 0, fmt.Errorf("show stat does not list %s/%s", backend, server)
}

// Reload makes the master start a new worker, as after a change of the configuration, and waits until it serves.
func (h *HAProxy) Reload(ctx context.Context) error {
	before, err := h.Pid(ctx)
	if err != nil {
		return err
	}
	if err := h.Signal(syscall.SIGUSR2); err != nil {
		return err
	}
	return WaitFor(ctx, "HAProxy's new worker", func(ctx context.Context) error {
		if err := h.Alive(); err != nil {
			return err
		}
		if now, err := h.Pid(ctx); err != nil || now == before {
			return errors.Join(errors.New("worker "+now), err)
		}
		return nil
	})
}

// Access is one line of HAProxy's log. A request that HAProxy got twice has two.
type Access struct {
	Request string `json:"request"`
	Method  string `json:"method"`
	Path    string `json:"path"`
	Status  int    `json:"status"`
	Outcome string `json:"outcome"`
	Slot    string `json:"slot"`
	Shard   string `json:"shard"`
	Backend string `json:"backend"`
	Server  string `json:"server"`
	Node    string `json:"node"`
	Retries string `json:"retries"`
	Ended   string `json:"ended"`
}

// Log reads the access log, by request id. A line that looks like one of it and is no JSON is an error.
func (h *HAProxy) Log() (map[string][]Access, error) {
	f, err := os.Open(h.LogFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	seen := map[string][]Access{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, text, found := strings.Cut(lines.Text(), `{"time":`)
		if !found {
			continue
		}
		var a Access
		if err := json.Unmarshal([]byte(`{"time":`+text), &a); err != nil {
			return nil, fmt.Errorf("%w in the log line %s", err, lines.Text())
		}
		seen[a.Request] = append(seen[a.Request], a)
	}
	return seen, lines.Err()
}

// Router is a standalone router of a cluster.
type Router struct {
	Side
	Front *Node // for requests to it
}

// NewRouter chooses a port. With h it keeps that HAProxy in step. It starts nothing.
func (c *Cluster) NewRouter(h *HAProxy) (*Router, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	r := &Router{Front: &Node{Name: "router", API: loopback(ports[0]), http: newHTTPClient()}}
	arguments := []string{"router", "--cluster=" + c.opt.Name, "--seeds=" + c.seeds(), "--listen=" + r.Front.API}
	if h != nil {
		arguments = append(arguments, "--haproxy-socket="+h.Socket, "--haproxy-map="+h.MapFile())
	}
	r.Side = Side{Name: "router", LogFile: filepath.Join(c.opt.Dir, "router.log"), program: c.opt.Binary, arguments: arguments}
	return r, nil
}
