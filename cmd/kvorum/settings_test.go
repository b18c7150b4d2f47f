package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// commandFlag is a flag of one command.
type commandFlag struct {
	command *kong.Node
	flag    *kong.Flag
}

func (f commandFlag) String() string { return f.command.FullPath() + " --" + f.flag.Name }

// server: the flag is one of dev, serve or router.
func (f commandFlag) server() bool {
	return slices.Contains([]string{"dev", "serve", "router"}, f.command.Name)
}

func allFlags(t *testing.T) (all []commandFlag) {
	t.Helper()
	parser, err := newParser(new(cli), &bytes.Buffer{}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	_ = kong.Visit(parser.Model.Node, func(visited kong.Visitable, next kong.Next) error {
		if command, ok := visited.(*kong.Node); ok {
			for _, flag := range command.Flags {
				all = append(all, commandFlag{command, flag})
			}
		}
		return next(nil)
	})
	if len(all) < 100 {
		t.Fatalf("found %d flags only", len(all))
	}
	return all
}

// TestVariablesOfAllFlags: what one command is to do now is never taken from the environment, where it would be meant for
// another command; and a variable means the same to all that read it.
func TestVariablesOfAllFlags(t *testing.T) {
	connection := []string{"endpoint", "timeout", "attempts", "direct"}
	readers := map[string][]commandFlag{}
	for _, f := range allFlags(t) {
		want := ""
		switch {
		case f.flag.Name == "help" || f.flag.Name == "version":
		case f.flag.Name == "config", f.server(), f.command.Name != "health" && slices.Contains(connection, f.flag.Name):
			want = "KVORUM_" + strings.ToUpper(strings.ReplaceAll(f.flag.Name, "-", "_"))
		}
		if got := strings.Join(f.flag.Envs, ","); got != want || strings.Join(f.flag.Tag.Envs, ",") != want {
			t.Errorf("%s is read from %q, want %q", f, got, want)
		}
		for _, variable := range f.flag.Envs {
			readers[variable] = append(readers[variable], f)
		}
	}
	for variable, flags := range readers {
		for _, f := range flags {
			if f.server() != flags[0].server() || f.flag.Target.Type() != flags[0].flag.Target.Type() {
				t.Errorf("%s means different things to %s and %s", variable, f, flags[0])
			}
		}
	}
}

// TestNodesEnvironment: in the environment of a node, a command that looks at the cluster does what it says.
func TestNodesEnvironment(t *testing.T) {
	for variable, value := range map[string]string{"KVORUM_SHARD": "2", "KVORUM_IDEMPOTENCY_KEY": "k", "KVORUM_LIMIT": "1", "KVORUM_PREFIX": "p", "KVORUM_JSON": "true", "KVORUM_IF_ABSENT": "true"} {
		t.Setenv(variable, value)
	}
	file := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(file, []byte("shard: 2\ncluster: prod\ntimeout: 7s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	parse := func(args ...string) *cli {
		c := new(cli)
		parser, err := newParser(c, &bytes.Buffer{}, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(append(args, "--config", file)); err != nil {
			t.Fatal(args, err)
		}
		return c
	}
	if c := parse("cluster", "snapshot").Cluster.Snapshot; c.Shard != nil || c.Timeout != 7*time.Second {
		t.Errorf("a snapshot of shard %v within %s", c.Shard, c.Timeout)
	}
	if c := parse("put", "k", "v").Put; c.IdempotencyKey != "" || c.IfAbsent {
		t.Errorf("%+v", c.writing)
	}
	if c := parse("list").List; c.Limit != 0 || c.Prefix != "" || c.JSON {
		t.Errorf("%+v", c)
	}
	if c := parse("health", "a:1").Health; c.Timeout != 3*time.Second {
		t.Errorf("the health check waits %s", c.Timeout)
	}
}

// TestDurationsOfAllFlags: no duration of any command is taken without its unit, from wherever it comes.
func TestDurationsOfAllFlags(t *testing.T) {
	seen := 0
	for _, f := range allFlags(t) {
		if _, is := f.flag.Target.Interface().(time.Duration); !is {
			continue
		}
		seen++
		args := append(strings.Fields(f.command.Path()), "--"+f.flag.Name+"=5")
		if _, stderr, code := kvorum(t, "", args...); code != exitUsage || !strings.Contains(stderr, f.flag.Name+": 5 has no unit: write 5s") {
			t.Errorf("%s=5: code %d, %s", f, code, stderr)
		}
	}
	if seen < 20 {
		t.Fatalf("found %d durations only", seen)
	}
}
