package machine

import (
	"math"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
)

// A call on the disk takes time, in which only the goroutine that made it stands still. So the host cannot simply be slow: it
// tells the program how long to sleep, and the overlay of sim/build sleeps and then makes the call.

// syncBegin begins a sync: (fd) -> nanoseconds of the machine's clock to wait before fd_sync ends it.
func (m *Machine) syncBegin(_ Memory, a []uint64) uint64 {
	d := m.fds.get(u32(a[0]))
	if d == nil || d.file == nil {
		return 0
	}
	d.file.BeginSync()
	return uint64(m.diskDelay(d.file, disk.Sync, 0))
}

// diskDelay is how long the call takes by the machine's own clock.
func (m *Machine) diskDelay(f *disk.File, kind disk.Kind, bytes int) time.Duration {
	if m.DiskDelay == nil {
		return 0
	}
	wait := m.DiskDelay(kind, f.Path(), bytes)
	if wait <= 0 {
		return 0
	}
	return time.Duration(float64(wait) * m.Clock.Rate())
}

// waited marks the descriptor of a read or write that has waited as long as it was told to.
const waited = 1 << 30

// busy is the answer to a read or write of a file that takes time and has not waited yet: the microseconds that it has to wait
// come in place of the number of bytes. Nothing else is ever answered by EBUSY.
const busy = 10

// descriptor takes apart what a read or write names as its descriptor.
func (m *Machine) descriptor(a uint64) (d *descriptor, hasWaited bool) {
	return m.fds.get(u32(a) &^ waited), u32(a)&waited != 0
}

// mustWait tells the program to wait first, if a read or write of the file takes time. Its waiting is put where the count goes.
func (m *Machine) mustWait(mem Memory, count uint64, f *disk.File, kind disk.Kind, bytes int) bool {
	wait := m.diskDelay(f, kind, bytes)
	if wait <= 0 {
		return false
	}
	mem.WriteUint32(u32(count), uint32(min((wait+time.Microsecond-1)/time.Microsecond, math.MaxUint32)))
	m.detail = uint64(wait)
	return true
}
