package faultfs

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// mounted gives a mounted file system, or skips the test with the reason; in CI, where everything must run, it fails.
func mounted(t *testing.T) *Mount {
	t.Helper()
	dir := t.TempDir()
	m, err := New(filepath.Join(dir, "mount"), filepath.Join(dir, "backing"))
	if errors.Is(err, ErrNoFUSE) && os.Getenv("KVORUM_CI") != "1" {
		t.Skip(err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, m.Close()) })
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a file from offset on, and syncs it if asked to.
func write(t *testing.T, path, bytes string, offset int64, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	check(t, err)
	_, err = f.WriteAt([]byte(bytes), offset)
	check(t, err)
	if sync {
		check(t, f.Sync())
	}
	check(t, f.Close())
}

// syncAt syncs a file or folder.
func syncAt(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// cut cuts the power while nothing runs.
func cut(t *testing.T, m *Mount, p Plan, seed uint64) Loss {
	t.Helper()
	loss, err := m.PowerCut(p, seed, func() error { return nil })
	check(t, err)
	return loss
}

// tree reads everything below a folder: path to content, folders end with a slash.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	check(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			found[name+"/"] = ""
			return nil
		}
		text, err := os.ReadFile(path)
		found[name] = string(text)
		return err
	}))
	return found
}

func wantTree(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	if got := tree(t, folder); !maps.Equal(got, want) {
		t.Fatalf("%s has %q, want %q", folder, got, want)
	}
}

// TestPowerCut is what each call leaves after it, if everything that was not synced is lost.
func TestPowerCut(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, at string)
		want map[string]string
		loss Loss
	}{
		{"a write that was synced", func(t *testing.T, at string) {
			write(t, at+"/old", "NEW", 0, true)
		}, map[string]string{"old": "NEWbytes", "dir/": ""}, Loss{}},
		{"a write that was not", func(t *testing.T, at string) {
			write(t, at+"/old", "NEW", 0, false)
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Bytes: 3, Writes: 1}},
		{"only the first of two was", func(t *testing.T, at string) {
			write(t, at+"/old", "NEW", 0, true)
			write(t, at+"/old", "tail", 8, false)
		}, map[string]string{"old": "NEWbytes", "dir/": ""}, Loss{Bytes: 4, Writes: 1}},
		{"a truncation", func(t *testing.T, at string) {
			check(t, os.Truncate(at+"/old", 1))
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Writes: 1}},
		{"a truncation that was synced, and growth that was not", func(t *testing.T, at string) {
			check(t, os.Truncate(at+"/old", 3))
			check(t, syncAt(at+"/old"))
			check(t, os.Truncate(at+"/old", 5))
			if text, err := os.ReadFile(at + "/old"); err != nil || string(text) != "old\x00\x00" {
				t.Errorf("before the cut: %q, %v", text, err)
			}
		}, map[string]string{"old": "old", "dir/": ""}, Loss{Writes: 1}},
		{"a truncation and growth, neither synced", func(t *testing.T, at string) {
			check(t, os.Truncate(at+"/old", 3))
			check(t, os.Truncate(at+"/old", 5))
			if text, err := os.ReadFile(at + "/old"); err != nil || string(text) != "old\x00\x00" {
				t.Errorf("before the cut: %q, %v", text, err)
			}
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Writes: 2}},
		{"a new file, synced, its folder not", func(t *testing.T, at string) {
			write(t, at+"/new", "x", 0, true)
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Names: 1}},
		{"a new file, its folder synced, itself not", func(t *testing.T, at string) {
			write(t, at+"/new", "x", 0, false)
			check(t, syncAt(at))
		}, map[string]string{"old": "oldbytes", "dir/": "", "new": ""}, Loss{Bytes: 1, Writes: 1}},
		{"a new file, both synced", func(t *testing.T, at string) {
			write(t, at+"/new", "x", 0, true)
			check(t, syncAt(at))
		}, map[string]string{"old": "oldbytes", "dir/": "", "new": "x"}, Loss{}},
		{"a rename without its folder's sync", func(t *testing.T, at string) {
			check(t, os.Rename(at+"/old", at+"/moved"))
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Names: 1}},
		{"a rename with it", func(t *testing.T, at string) {
			check(t, os.Rename(at+"/old", at+"/moved"))
			check(t, syncAt(at))
		}, map[string]string{"moved": "oldbytes", "dir/": ""}, Loss{}},
		{"a file replaced aside, without the folder's sync", func(t *testing.T, at string) {
			write(t, at+"/new", "new", 0, true)
			check(t, os.Rename(at+"/new", at+"/old"))
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Names: 2}},
		{"a file replaced aside, with it", func(t *testing.T, at string) {
			write(t, at+"/new", "new", 0, true)
			check(t, os.Rename(at+"/new", at+"/old"))
			check(t, syncAt(at))
		}, map[string]string{"old": "new", "dir/": ""}, Loss{}},
		{"a rename between folders, synced in the new one", func(t *testing.T, at string) {
			check(t, os.Rename(at+"/old", at+"/dir/moved"))
			check(t, syncAt(at+"/dir"))
		}, map[string]string{"dir/": "", "dir/moved": "oldbytes"}, Loss{}},
		{"a new file moved to another folder, synced in both", func(t *testing.T, at string) {
			write(t, at+"/new", "x", 0, true)
			check(t, os.Rename(at+"/new", at+"/dir/moved"))
			check(t, syncAt(at+"/dir"))
			check(t, syncAt(at))
		}, map[string]string{"old": "oldbytes", "dir/": "", "dir/moved": "x"}, Loss{}},
		{"a removal without its folder's sync", func(t *testing.T, at string) {
			check(t, os.Remove(at+"/old"))
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Names: 1}},
		{"a removal with it", func(t *testing.T, at string) {
			check(t, os.Remove(at+"/old"))
			check(t, syncAt(at))
		}, map[string]string{"dir/": ""}, Loss{}},
		{"a file in a new folder, all synced but the folder's own name", func(t *testing.T, at string) {
			check(t, os.Mkdir(at+"/sub", 0o755))
			write(t, at+"/sub/new", "x", 0, true)
			check(t, syncAt(at+"/sub"))
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Names: 1}},
		{"a file in a new folder that was renamed, as snapshots are made", func(t *testing.T, at string) {
			check(t, os.Mkdir(at+"/sub.tmp", 0o755))
			write(t, at+"/sub.tmp/new", "x", 0, true)
			check(t, syncAt(at+"/sub.tmp"))
			check(t, os.Rename(at+"/sub.tmp", at+"/sub"))
			check(t, syncAt(at))
		}, map[string]string{"old": "oldbytes", "dir/": "", "sub/": "", "sub/new": "x"}, Loss{}},
		{"the same without the new folder's sync", func(t *testing.T, at string) {
			check(t, os.Mkdir(at+"/sub.tmp", 0o755))
			write(t, at+"/sub.tmp/new", "x", 0, true)
			check(t, os.Rename(at+"/sub.tmp", at+"/sub"))
			check(t, syncAt(at))
		}, map[string]string{"old": "oldbytes", "dir/": "", "sub/": ""}, Loss{Names: 1}},
		{"a folder removed with its content, only the upper sync", func(t *testing.T, at string) {
			write(t, at+"/dir/new", "x", 0, true)
			check(t, syncAt(at+"/dir"))
			check(t, os.RemoveAll(at+"/dir"))
			check(t, syncAt(at))
		}, map[string]string{"old": "oldbytes"}, Loss{Names: 1}},
		{"a folder made and removed", func(t *testing.T, at string) {
			check(t, os.Mkdir(at+"/sub", 0o755))
			write(t, at+"/sub/new", "x", 0, true)
			check(t, os.RemoveAll(at+"/sub"))
			check(t, syncAt(at))
		}, map[string]string{"old": "oldbytes", "dir/": ""}, Loss{Names: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mounted(t)
			write(t, m.Folder+"/old", "oldbytes", 0, true)
			check(t, os.Mkdir(m.Folder+"/dir", 0o755))
			check(t, syncAt(m.Folder))
			c.do(t, m.Folder)
			loss := cut(t, m, DropAll(), 1)
			c.loss.Cuts = 1
			if loss != c.loss {
				t.Errorf("lost %+v, want %+v", loss, c.loss)
			}
			wantTree(t, m.Folder, c.want)
			wantTree(t, m.Durable(), c.want)
			if counters, err := m.Counters(); err != nil || counters.Lost != loss {
				t.Errorf("the counters say %+v, %v", counters.Lost, err)
			}
		})
	}
}

// TestCloseLosesNothing: an orderly unmount is no power cut, and whoever looks for the files afterwards finds them.
func TestCloseLosesNothing(t *testing.T) {
	m := mounted(t)
	check(t, os.Mkdir(m.Folder+"/dir", 0o755))
	write(t, m.Folder+"/dir/file", "x", 5000, false)
	want := tree(t, m.Folder)
	check(t, m.Close())
	wantTree(t, m.Durable(), want)
	wantTree(t, m.Folder, map[string]string{})
}

// TestModesAreKept over a power cut, and by the program that the kernel asks for.
func TestModesAreKept(t *testing.T) {
	m := mounted(t)
	write(t, m.Folder+"/file", "x", 0, true)
	check(t, os.Mkdir(m.Folder+"/dir", 0o700))
	check(t, syncAt(m.Folder))
	check(t, os.Chmod(m.Folder+"/file", 0o604))
	cut(t, m, DropAll(), 1)
	for name, want := range map[string]fs.FileMode{"file": 0o604, "dir": 0o700} {
		info, err := os.Stat(filepath.Join(m.Folder, name))
		check(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
		}
	}
}

// TestOpenFileWithoutAName is still there for whoever has it open.
func TestOpenFileWithoutAName(t *testing.T) {
	m := mounted(t)
	write(t, m.Folder+"/file", "before", 0, true)
	f, err := os.OpenFile(m.Folder+"/file", os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	check(t, errors.Join(os.Remove(m.Folder+"/file"), syncAt(m.Folder)))
	_, err = f.WriteAt([]byte("behind"), 0)
	check(t, errors.Join(err, f.Sync()))
	got := make([]byte, 6)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "behind" {
		t.Errorf("read %q, %v", got, err)
	}
	wantTree(t, m.Durable(), map[string]string{})
}
