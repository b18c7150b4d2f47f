package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scripted makes a cluster of one "node" that is a shell script: the harness must be right about processes by itself.
func scripted(t *testing.T, script string) (context.Context, *Node) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Binary: program, Dir: dir, Shards: 1, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx, c.Nodes[0]
}

func TestSignals(t *testing.T) {
	ctx, n := scripted(t, `trap 'echo got TERM; exit 7' TERM; echo up; while :; do sleep 0.02; done`)
	up := func(times int) {
		t.Helper()
		err := WaitFor(ctx, "the script", func(context.Context) error {
			if text, err := os.ReadFile(n.LogFile); err != nil || strings.Count(string(text), "up\n") != times {
				return errors.Join(errors.New("log: "+string(text)), err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	up(1)
	if err := n.Start(); err == nil {
		t.Error("started twice")
	}
	if err := n.Pause(ctx); err != nil || n.Answers() || !n.Running() {
		t.Errorf("pause: %v", err)
	}
	if err := stopped(n.running.cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	if err := n.Kill(); err != nil || n.Running() { // also while it is paused
		t.Errorf("kill: %v", err)
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	up(2) // the log goes on
	if err := errors.Join(n.Pause(ctx), n.Resume()); err != nil || !n.Answers() {
		t.Errorf("resume: %v", err)
	}
	exit, err := n.Terminate(ctx)
	if err != nil || exit.Code != 7 || n.Running() {
		t.Errorf("terminate: %+v, %v", exit, err)
	}
	if err := n.Kill(); err == nil {
		t.Error("killed what does not run")
	}
}

func TestEndedUnaskedIsNoticed(t *testing.T) {
	ctx, n := scripted(t, "exit 3")
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if err := n.WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "ended unasked: exit status 3") {
		t.Errorf("waiting for it says %v", err)
	}
	if ctx.Err() != nil {
		t.Error("noticed only when the time was up")
	}
	if err := n.close(); err == nil || !strings.Contains(err.Error(), "ended unasked") {
		t.Errorf("close says %v", err)
	}
	code, _, err := n.Run(ctx)
	if code != 3 || err != nil {
		t.Errorf("run: %d, %v", code, err)
	}
}

func TestRunHasATimeLimit(t *testing.T) {
	ctx, n := scripted(t, "exec sleep 60")
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, _, err := n.Run(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestDiskFullAndFrozen(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	d, err := NewDisk(t.TempDir(), 16<<20)
	if errors.Is(err, ErrNoDisk) && os.Getenv("KVORUM_CI") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(d.Mount, "file")
	write := func() error { return os.WriteFile(file, make([]byte, 8192), 0o600) }
	if err := errors.Join(write(), os.Remove(file), d.Fill()); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write to a full disk: %v", err)
	}
	if err := errors.Join(d.Free(), write(), d.Freeze(ctx)); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- write() }()
	select {
	case err := <-written:
		t.Errorf("a frozen disk took a write: %v", err)
	case <-time.After(200 * time.Millisecond): // a write can't be shown to wait for ever
	}
	if err := errors.Join(d.Thaw(ctx), <-written); err != nil {
		t.Error(err)
	}
	if err := errors.Join(d.Freeze(ctx), d.Close()); err != nil { // the guardian thaws
		t.Error(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still mounted: %v", err)
	}
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := freePorts(40)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range ports {
		if seen[p] || p < lowestPort || p >= highestPort {
			t.Errorf("port %d: taken twice or out of range", p)
		}
		seen[p] = true
	}
}
