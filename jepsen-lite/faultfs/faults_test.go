package faultfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// delta gives what the counters gained in one step.
func delta(t *testing.T, m *Mount, step func()) Counters {
	t.Helper()
	before, err := m.Counters()
	check(t, err)
	step()
	after, err := m.Counters()
	check(t, err)
	return after.Minus(before)
}

func wantErrno(t *testing.T, what string, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestSlowFsync(t *testing.T) {
	m := mounted(t)
	const late = 150 * time.Millisecond
	check(t, m.Set(Faults{SlowFsync: late}))
	got := delta(t, m, func() {
		start := time.Now()
		write(t, m.Folder+"/file", "x", 0, true)
		if took := time.Since(start); took < late {
			t.Errorf("took %s", took)
		}
		start = time.Now()
		check(t, syncAt(m.Folder))
		if took := time.Since(start); took < late {
			t.Errorf("a folder took %s", took)
		}
	})
	if got != (Counters{Delayed: 2, Fsyncs: 2}) {
		t.Errorf("counted %+v", got)
	}
	wantTree(t, m.Durable(), map[string]string{"file": "x"})
}

// stalledAt waits until so many fsyncs stand still.
func stalledAt(t *testing.T, m *Mount, n int64) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		c, err := m.Counters()
		check(t, err)
		if c.Stalled >= n {
			return
		}
		select {
		case <-limit:
			t.Fatalf("%d fsyncs stand still, want %d", c.Stalled, n)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestStalledFsync(t *testing.T) {
	m := mounted(t)
	check(t, m.Set(Faults{StallFsync: true}))
	const files = 8 // more than there are threads
	synced := make(chan error, files)
	for i := range files {
		file := filepath.Join(m.Folder, strconv.Itoa(i))
		write(t, file, "x", 0, false) // writes go on
		go func() { synced <- syncAt(file) }()
		stalledAt(t, m, int64(i+1))
	}
	check(t, m.Set(Faults{StallFsync: true, SlowFsync: time.Millisecond})) // another fault does not release them
	select {
	case err := <-synced:
		t.Fatalf("an fsync ended: %v", err)
	case <-time.After(100 * time.Millisecond): // that they wait for ever can't be shown
	}
	check(t, m.Set(Faults{}))
	want := map[string]string{}
	for i := range files {
		check(t, <-synced)
		want[strconv.Itoa(i)] = "x"
	}
	wantTree(t, m.Durable(), map[string]string{})
	check(t, syncAt(m.Folder))
	wantTree(t, m.Durable(), want)
}

// TestFsyncIsOfWhatWasThere: what is written or named while an fsync is under way is the next one's. (Through a mount the
// kernel lets nobody write to a file or folder that is being synced.)
func TestFsyncIsOfWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	v, err := openVolume(dir)
	check(t, err)
	n, err := v.create(v.root, "file", false, 0o600, 0, 0)
	check(t, err)
	v.set(Faults{StallFsync: true})
	check(t, v.write(n, []byte("x"), 0))
	check(t, v.fsync(n, func(<-chan time.Time, <-chan struct{}) bool {
		check(t, v.write(n, []byte("y"), 1))
		return true
	}))
	check(t, v.fsync(v.root, func(<-chan time.Time, <-chan struct{}) bool {
		check(t, v.rename(v.root, "file", v.root, "moved", true))
		return true
	}))
	_, err = v.powerCut(DropAll(), 1)
	check(t, err)
	wantTree(t, v.durable, map[string]string{"file": "x"})
}

// TestStalledProcessCanBeKilled: with a real stalled disk it could not; but a run must end.
func TestStalledProcessCanBeKilled(t *testing.T) {
	m := mounted(t)
	check(t, m.Set(Faults{StallFsync: true}))
	dd := exec.Command("dd", "if=/dev/zero", "of="+filepath.Join(m.Folder, "file"), "bs=4096", "count=2", "conv=fsync")
	check(t, dd.Start())
	stalledAt(t, m, 1)
	check(t, dd.Process.Signal(syscall.SIGURG)) // as Go's scheduler sends them: ignored by dd
	ended := make(chan error, 1)
	check(t, dd.Process.Kill())
	go func() { ended <- dd.Wait() }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the process can't be killed")
		check(t, m.Set(Faults{}))
		<-ended
	}
}

// TestPowerCutUnderAWriter: the writer meets no error, only its end; what it had synced is there.
func TestPowerCutUnderAWriter(t *testing.T) {
	m := mounted(t)
	writer := exec.Command("sh", "-c", `i=0; while :; do i=$((i+1)); echo $i > "$1/file"; sync "$1/file" "$1" || exit 7; echo $i; done`, "sh", m.Folder)
	out, err := writer.StdoutPipe()
	check(t, err)
	check(t, writer.Start())
	line := make([]byte, 64)
	_, err = out.Read(line) // it has synced at least once
	check(t, err)
	loss, err := m.PowerCut(DropAll(), 1, func() error {
		if err := syscall.Kill(writer.Process.Pid, 0); err != nil {
			return err
		}
		err := writer.Process.Kill()
		_ = writer.Wait() // says that it was killed
		if s, ok := writer.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGKILL {
			t.Errorf("the writer ended by itself: %v", writer.ProcessState)
		}
		return err
	})
	check(t, err)
	got := strings.TrimSpace(tree(t, m.Folder)["file"])
	t.Logf("lost %+v, file has %q", loss, got)
	if got == "" && loss.Effect() == 0 {
		t.Error("nothing was synced, and nothing lost")
	}
}

func TestErrors(t *testing.T) {
	m := mounted(t)
	file := m.Folder + "/file"
	write(t, file, "before", 0, true)
	check(t, syncAt(m.Folder))
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()

	check(t, m.Set(Faults{FailWrites: true}))
	got := delta(t, m, func() {
		_, err := f.WriteAt([]byte("x"), 0)
		wantErrno(t, "write", err, syscall.EIO)
		wantErrno(t, "truncate", f.Truncate(1), syscall.EIO)
		wantErrno(t, "create", os.WriteFile(m.Folder+"/new", nil, 0o600), syscall.EIO)
		wantErrno(t, "rename", os.Rename(file, file+"2"), syscall.EIO)
		wantErrno(t, "remove", os.Remove(file), syscall.EIO)
		check(t, f.Sync())
	})
	if got.WriteErrors != 5 || got.Effect() != 5 {
		t.Errorf("counted %+v", got)
	}

	wantTree(t, m.Folder, map[string]string{"file": "before"}) // now the kernel has it in its cache
	check(t, m.Set(Faults{FailReads: true}))
	got = delta(t, m, func() {
		_, err := f.ReadAt(make([]byte, 1), 0)
		wantErrno(t, "read of what the kernel had in its cache", err, syscall.EIO)
	})
	if got.ReadErrors == 0 || got.Effect() != got.ReadErrors {
		t.Errorf("counted %+v", got)
	}

	check(t, m.Set(Faults{FailFsyncs: true}))
	got = delta(t, m, func() {
		_, err := f.WriteAt([]byte("after!"), 0)
		check(t, err)
		wantErrno(t, "fsync", f.Sync(), syscall.EIO)
		wantErrno(t, "fsync of a folder", syncAt(m.Folder), syscall.EIO)
	})
	if got != (Counters{FsyncErrors: 2}) {
		t.Errorf("counted %+v", got)
	}
	check(t, m.Set(Faults{}))
	check(t, f.Sync()) // now it arrives
	check(t, f.Close())
	cut(t, m, DropAll(), 1)
	wantTree(t, m.Folder, map[string]string{"file": "after!"})
}

// TestForgetOnEIO: programs go on seeing what they wrote, the next fsync says that all is well, and the data are lost.
func TestForgetOnEIO(t *testing.T) {
	m := mounted(t)
	file := m.Folder + "/file"
	write(t, file, "one", 0, true)
	check(t, syncAt(m.Folder))
	check(t, m.Set(Faults{FailFsyncs: true, ForgetOnEIO: true}))
	write(t, file, "two", 3, false)
	got := delta(t, m, func() { wantErrno(t, "fsync", syncAt(file), syscall.EIO) })
	if got.Forgotten != 1 || got.FsyncErrors != 1 {
		t.Errorf("counted %+v", got)
	}
	check(t, m.Set(Faults{}))
	write(t, file, "three", 6, true)
	wantTree(t, m.Folder, map[string]string{"file": "onetwothree"})
	cut(t, m, DropAll(), 1)
	wantTree(t, m.Folder, map[string]string{"file": "one\x00\x00\x00three"})
}

func TestFull(t *testing.T) {
	m := mounted(t)
	write(t, m.Folder+"/reserve", strings.Repeat("r", 8192), 0, true)
	write(t, m.Folder+"/file", "12345678", 0, true)
	check(t, m.Set(Faults{Full: true}))
	got := delta(t, m, func() {
		write(t, m.Folder+"/file", "87654321", 0, true) // what is there can be overwritten
		wantErrno(t, "growth", os.WriteFile(m.Folder+"/more", []byte("x"), 0o600), syscall.ENOSPC)
		wantErrno(t, "growth by size", os.Truncate(m.Folder+"/file", 9), syscall.ENOSPC)
	})
	if got.NoSpace != 2 || got.Effect() != 2 {
		t.Errorf("counted %+v", got)
	}
	if free := free(t, m.Folder); free != 0 {
		t.Errorf("statfs says that %d bytes are free", free)
	}
	check(t, os.Remove(m.Folder+"/reserve")) // makes room
	write(t, m.Folder+"/more", strings.Repeat("x", 8192), 0, true)
	wantErrno(t, "more than was freed", os.WriteFile(m.Folder+"/file", []byte("123456789"), 0o600), syscall.ENOSPC)
	check(t, m.Set(Faults{}))
	write(t, m.Folder+"/file", "123456789", 0, true)
	if free := free(t, m.Folder); free == 0 {
		t.Error("statfs says that nothing is free")
	}
}

// TestFullCopyOnWrite: not even what is there can be written over, until something is removed.
func TestFullCopyOnWrite(t *testing.T) {
	m := mounted(t)
	write(t, m.Folder+"/reserve", strings.Repeat("r", 8192), 0, true)
	write(t, m.Folder+"/file", "12345678", 0, true)
	check(t, m.Set(Faults{Full: true, CopyOnWrite: true}))
	over := func() error {
		f, err := os.OpenFile(m.Folder+"/file", os.O_WRONLY, 0)
		check(t, err)
		defer f.Close()
		_, err = f.WriteAt([]byte("87654321"), 0)
		return err
	}
	got := delta(t, m, func() { wantErrno(t, "writing over", over(), syscall.ENOSPC) })
	if got.NoSpace != 1 {
		t.Errorf("counted %+v", got)
	}
	check(t, os.Remove(m.Folder+"/reserve"))
	check(t, over())
}

func free(t *testing.T, folder string) int64 {
	t.Helper()
	var s syscall.Statfs_t
	check(t, syscall.Statfs(folder, &s))
	return int64(s.Bavail) * int64(s.Bsize) // of other types on other systems
}

func TestLyingFsync(t *testing.T) {
	m := mounted(t)
	write(t, m.Folder+"/file", "true", 0, true)
	check(t, syncAt(m.Folder))
	check(t, m.Set(Faults{LyingFsync: true}))
	got := delta(t, m, func() {
		write(t, m.Folder+"/file", "lie!", 0, true)
		write(t, m.Folder+"/new", "lie!", 0, true)
		check(t, syncAt(m.Folder))
		check(t, syncAt(m.Folder+"/file")) // nothing is due but what the first left undone
	})
	if got != (Counters{Lied: 4}) {
		t.Errorf("counted %+v", got)
	}
	loss := cut(t, m, DropAll(), 1)
	if loss != (Loss{Cuts: 1, Bytes: 8, Writes: 2, Names: 1}) {
		t.Errorf("lost %+v", loss)
	}
	wantTree(t, m.Folder, map[string]string{"file": "true"})
	write(t, m.Folder+"/file", "lie!", 0, true) // the fault is in force after the restart, too
	cut(t, m, DropAll(), 1)
	wantTree(t, m.Folder, map[string]string{"file": "true"})
}

// TestServerThatIsKilledLeavesNoMount behind, once its Mount is closed.
func TestServerThatIsKilledLeavesNoMount(t *testing.T) {
	m := mounted(t)
	check(t, m.child.cmd.Process.Kill())
	if _, err := m.Counters(); err == nil {
		t.Error("a dead server answers")
	}
	if err := m.Close(); err == nil {
		t.Error("a dead server is closed without a word")
	}
	wantTree(t, m.Folder, map[string]string{})
}

// TestLeash: the server unmounts when its parent is gone, also while the mount is in use.
func TestLeash(t *testing.T) {
	m := mounted(t)
	f, err := os.Create(m.Folder + "/file") // in use
	check(t, err)
	defer f.Close()
	check(t, m.child.in.Close()) // as when this process dies
	_ = m.child.cmd.Wait()
	wantTree(t, m.Folder, map[string]string{})
	m.child = nil
}
