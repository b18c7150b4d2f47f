package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFolderMayBeNamedFromHere: the socket of HAProxy, and the nodes' data, have whole paths all the same.
func TestFolderMayBeNamedFromHere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HAPROXY", "true") // which is never started
	c, err := New(Options{Dir: "here"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.NewHAProxy(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if h.Socket != filepath.Join(dir, "here", "haproxy", "admin.sock") || !filepath.IsAbs(c.Nodes[0].Data) {
		t.Errorf("socket %s, data %s", h.Socket, c.Nodes[0].Data)
	}
}

// TestFindsProgramsOutsideThePath: PATH first, then the folders in turn; a file that can't be run is not the program.
func TestFindsProgramsOutsideThePath(t *testing.T) {
	dir := t.TempDir()
	at := func(folder string, mode os.FileMode) string {
		t.Helper()
		program := filepath.Join(dir, folder, "server")
		if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
		return program
	}
	want := func(program string) {
		t.Helper()
		if got := findProgram("server", filepath.Join(dir, "sbin"), filepath.Join(dir, "local")); got != program {
			t.Errorf("found %q, want %q", got, program)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin"))
	want("")
	at("sbin", 0o644)
	want("")
	want(at("local", 0o755))
	if err := os.Chmod(filepath.Join(dir, "sbin", "server"), 0o755); err != nil {
		t.Fatal(err)
	}
	want(filepath.Join(dir, "sbin", "server"))
	want(at("bin", 0o755))
}
