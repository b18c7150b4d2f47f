package faultfs

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// patience holds a call of a program up: until the time is over (nil: never), or the channel is closed, unless the program
// is being killed meanwhile. It returns false then.
type patience func(time <-chan time.Time, until <-chan struct{}) bool

// fsync makes durable what a file or folder had unsynced when it began.
func (v *volume) fsync(n *inode, hold patience) error {
	v.mu.Lock()
	changes, names, f, released := n.file.settled+int64(len(n.file.pending)), v.lastName, v.faults, v.released
	if f.StallFsync {
		v.counters.Stalled++
	}
	v.mu.Unlock()
	if f.StallFsync && !hold(nil, released) {
		return syscall.EINTR
	}
	if f.SlowFsync > 0 {
		if !hold(time.After(f.SlowFsync), nil) {
			return syscall.EINTR
		}
		v.mu.Lock()
		v.counters.Delayed++
		v.mu.Unlock()
	}
	bytes, err := v.verdict(n, changes)
	if err != nil || bytes < 0 {
		return err
	}
	err = v.takeTime(bytes)
	if !v.powered() { // since the call began
		hold(nil, nil)
		return syscall.EINTR
	}
	if err != nil {
		return err
	}
	return v.arrive(n, changes, names)
}

// verdict says how many bytes the fsync must move, less than 0 if it lies, or which error it ends with.
func (v *volume) verdict(n *inode, changes int64) (bytes int64, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	due := n.file.due(changes)
	switch {
	case v.faults.FailFsyncs:
		v.counters.FsyncErrors++
		if v.faults.ForgetOnEIO && due > 0 {
			v.counters.Forgotten += int64(due)
			n.file.settle(due)
			n.file.forgot = true
		}
		return 0, syscall.EIO
	case v.faults.LyingFsync:
		if due > 0 || n.folder && v.unsettled(n) {
			v.counters.Lied++
		}
		return -1, nil
	}
	for _, c := range n.file.pending[:due] {
		bytes += int64(len(c.bytes))
	}
	if bytes > 0 && v.strike > 0 && v.powered() {
		if v.strike--; v.strike == 0 {
			close(v.off)
		}
	}
	return bytes, nil
}

// takeTime spends the time that a real disk needs for so many bytes, before any of them arrives: a power cut in the middle of
// an fsync must find them on their way. What has arrived need not be synced again, this machine keeps its power.
func (v *volume) takeTime(bytes int64) error {
	f, err := os.CreateTemp(v.limbo, "time-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, min(max(bytes, sectorBytes), 16<<20)))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// arrive moves what is due to the backing.
func (v *volume) arrive(n *inode, changes int64, names uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.counters.Fsyncs++
	if n.folder {
		return v.settleFolder(n, names)
	}
	return v.flush(n, n.file.due(changes))
}

// due counts the pending changes up to the one with a number, counted since the file was made.
func (c *content) due(changes int64) int { return int(max(0, changes-c.settled)) }

// unsettled: has the folder names that are not durable.
func (v *volume) unsettled(folder *inode) bool {
	for _, c := range v.naming {
		if c.oldDir == folder || c.newDir == folder {
			return true
		}
	}
	return false
}

func (v *volume) powered() bool {
	select {
	case <-v.off:
		return false
	default:
		return true
	}
}
