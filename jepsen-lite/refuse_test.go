package jepsenlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// refusal is a start that must end by itself with an error.
type refusal struct {
	name    string
	node    *cluster.Node
	flags   []string                        // added to the node's own
	prepare func(t *testing.T, data string) // on a copy of the node's data folder; nil: as it is
	want    []string                        // in the output
}

// TestRefusedStarts starts nodes with data, flags and addresses that are not theirs: each ends with an error that says what
// to do and leaves the folder byte for byte as it was.
func TestRefusedStarts(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	c := startCluster(t, 2, 1)
	for i := range 50 {
		check(t, putUntilAcked(ctx, c.Nodes[i%2], fmt.Sprint("key", i), "value"))
	}
	for _, n := range c.Nodes {
		reply, err := n.Do(ctx, "POST", fmt.Sprintf("/v1/cluster/shards/%d/snapshot", n.Shard), nil)
		check(t, err)
		if reply.Status != 200 {
			t.Fatal(reply)
		}
	}
	s0, s1 := c.Nodes[0], c.Nodes[1]
	_, err := s0.Terminate(ctx)
	check(t, err)
	stranger := filepath.Join(runFolder(t), "stranger")
	check(t, errors.Join(os.Mkdir(stranger, 0o755), os.WriteFile(filepath.Join(stranger, "thesis.txt"), []byte("years of work"), 0o644)))
	file := filepath.Join(runFolder(t), "file")
	check(t, os.WriteFile(file, []byte("a file"), 0o644))

	for _, r := range []refusal{
		{name: "another cluster's data", node: s0, flags: []string{"--cluster=other"}, want: []string{"--cluster=test", "--cluster=other"}},
		{name: "another shard's data", node: s0, flags: []string{"--shard=1"}, want: []string{"--shard=0", "--shard=1"}},
		{name: "another node's data", node: s0, flags: []string{"--node=s0n7", "--members=s0n7=" + s0.Peer + "/" + s0.API}, want: []string{"--node=s0n0", "--node=s0n7"}},
		{name: "other shard count", node: s0, flags: []string{"--shard-count=5"}, want: []string{"--shard-count=2", "--shard-count=5"}},
		{name: "other slot function", node: s0, flags: []string{"--slot-function=hash"}, want: []string{"last-byte", "hash"}},
		{name: "not a member", node: s0, flags: []string{"--members=s0n9=" + s0.Peer + "/" + s0.API}, want: []string{"s0n0", "members"}},
		{name: "API port in use", node: s0, flags: []string{"--listen=" + s1.API}, want: []string{s1.API, "in use"}},
		{name: "peer port in use", node: s0, flags: []string{"--peer-listen=" + s1.Peer}, want: []string{s1.Peer, "in use"}},
		{name: "peer address not ours", node: s0, flags: []string{"--peer-listen=192.0.2.1:7080"}, want: []string{"192.0.2.1:7080"}},
		{name: "peer address malformed", node: s0, flags: []string{"--members=s0n0=nonsense/" + s0.API}, want: []string{"nonsense"}},
		{name: "foreign folder", node: s0, flags: []string{"--data=" + stranger}, want: []string{stranger, "thesis.txt"}},
		{name: "a file for a folder", node: s0, flags: []string{"--data=" + file}, want: []string{file}},
		{name: "identity gone", node: s0, prepare: removeFile("identity.json"), want: []string{"identity"}},
		{name: "identity garbled", node: s0, prepare: overwrite("identity.json", 0, []byte("garbage")), want: []string{"identity.json", "corrupt"}},
		{name: "log garbled", node: s0, prepare: garbleAll("*.db"), want: []string{"corrupt"}},
		{name: "log truncated", node: s0, prepare: truncateAll("*.db"), want: []string{"truncated", "new id"}},
		{name: "log gone", node: s0, prepare: removeAll("*.db"), want: []string{"raft.db is gone", "new id"}},
		{name: "snapshots garbled", node: s0, prepare: garbleAll("state.bin"), want: []string{"snapshot"}},
	} {
		t.Run(r.name, func(t *testing.T) { r.run(ctx, t) })
	}
	if os.Geteuid() == 0 {
		t.Run("unreadable folder", func(t *testing.T) { unreadable(ctx, t, s0) })
	}
	check(t, c.Start(ctx)) // after all that, it is still itself
	reply, err := s0.Get(ctx, "key1")
	check(t, err)
	if string(reply.Body) != "value" {
		t.Errorf("read %s", reply)
	}
}

func (r refusal) run(ctx context.Context, t *testing.T) {
	data := r.node.Data
	flags := r.flags
	if r.prepare != nil {
		data = filepath.Join(runFolder(t), "copy")
		check(t, os.CopyFS(data, os.DirFS(r.node.Data)))
		r.prepare(t, data)
		flags = append([]string{"--data=" + data}, flags...)
	}
	for _, f := range r.flags {
		if other, ok := strings.CutPrefix(f, "--data="); ok {
			data = other
		}
	}
	before := hashTree(t, data)
	limited, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	code, output, err := r.node.Run(limited, flags...)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	last := lastLine(output)
	if code == 0 || code == 2 && strings.Contains(output, "goroutine ") || strings.Contains(output, "panic:") {
		t.Errorf("exit code %d:\n%s", code, output)
	}
	for _, want := range r.want {
		if !strings.Contains(last, want) {
			t.Errorf("the last line lacks %q: %s", want, last)
		}
	}
	if after := hashTree(t, data); after != before {
		t.Errorf("the folder has changed:\n%s\nbefore:\n%s", after, before)
	}
	t.Logf("exit code %d: %s", code, last)
}

func lastLine(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return lines[len(lines)-1]
}

// hashTree lists every file with mode, size and hash.
func hashTree(t *testing.T, path string) string {
	t.Helper()
	var b strings.Builder
	check(t, filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			fmt.Fprintf(&b, "%s %s\n", strings.TrimPrefix(name, path), info.Mode())
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s %d %x\n", strings.TrimPrefix(name, path), info.Mode(), info.Size(), sha256.Sum256(content))
		return nil
	}))
	return b.String()
}

func removeFile(name string) func(*testing.T, string) {
	return func(t *testing.T, data string) { check(t, os.Remove(filepath.Join(data, name))) }
}

func overwrite(name string, offset int64, content []byte) func(*testing.T, string) {
	return func(t *testing.T, data string) { overwriteFile(t, filepath.Join(data, name), offset, content) }
}

func overwriteFile(t *testing.T, path string, offset int64, content []byte) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteAt(content, offset)
	check(t, errors.Join(err, f.Close()))
}

// matches finds the files of a name pattern anywhere in the folder; there must be one.
func matches(t *testing.T, data, pattern string) []string {
	t.Helper()
	var found []string
	check(t, filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if ok, _ := filepath.Match(pattern, filepath.Base(path)); ok && entry.Type().IsRegular() {
			found = append(found, path)
		}
		return err
	}))
	if len(found) == 0 {
		t.Fatalf("no file %s in\n%s", pattern, hashTree(t, data))
	}
	return found
}

// garbleAll overwrites the beginning and the end of every file of the pattern.
func garbleAll(pattern string) func(*testing.T, string) {
	return func(t *testing.T, data string) {
		for _, path := range matches(t, data, pattern) {
			info, err := os.Stat(path)
			check(t, err)
			junk := bytes.Repeat([]byte{0xA5}, int(min(info.Size(), 64<<10))/2)
			overwriteFile(t, path, 0, junk)
			overwriteFile(t, path, info.Size()-int64(len(junk)), junk)
		}
	}
}

func truncateAll(pattern string) func(*testing.T, string) {
	return func(t *testing.T, data string) {
		for _, path := range matches(t, data, pattern) {
			info, err := os.Stat(path)
			check(t, err)
			check(t, os.Truncate(path, info.Size()/2+1))
		}
	}
}

func removeAll(pattern string) func(*testing.T, string) {
	return func(t *testing.T, data string) {
		for _, path := range matches(t, data, pattern) {
			check(t, os.Remove(path))
		}
	}
}
