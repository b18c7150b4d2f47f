package machine

import (
	"context"
	"errors"
	"hash"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/timeline"
	"github.com/kvorum/kvorum/sim/vnet"
)

// Config of a machine's life: from power-on to crash or exit.
type Config struct {
	Number   int // of the machine, for the trace
	Program  Program
	Args     []string // the first is the program's name
	Env      []string // NAME=value
	Disk     *disk.Disk
	Host     *vnet.Host
	Timeline *timeline.Timeline
	Clock    *Clock
	Trace    *Trace

	Random    *rand.Rand  // what random_get gives
	Schedule  *rand.Rand  // picks the goroutine to run next; nil: the runtime's own order
	Scheduled hash.Hash64 // if set, gets every pick

	// Output gets what the program writes to standard output (1) and standard error (2).
	Output func(fd int, p []byte)
	// Exited is called when the program ends by itself; err is nil for exit code 0.
	Exited func(code int, err error)
	// DiskDelay says how long a sync, read or write of a file takes; the goroutine parks meanwhile. nil: no time.
	DiskDelay func(kind disk.Kind, path string, bytes int) time.Duration
	// Called, if set, is asked at each host call; true: crash here.
	Called func(function string) bool
	// Remains, if set, gets every byte of the memory when the program ends by itself.
	Remains hash.Hash
}

// Machine is one life of a computer.
type Machine struct {
	Config
	trace     *Trace
	functions []function
	memory    Memory // as of the latest host call
	fds       descriptors

	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool

	started  timeline.Time // of the present slice
	ran      time.Duration // CPU time in it
	slowness float64       // CPU time per nominal CPU time
	late     func() time.Duration
	wakeAt   int64 // reading of the monotonic clock at which timer goes off

	newest     bool // see Unfair
	unfairness float64
	mood       mood
	preferred  uint64

	waiting  []subscription  // what the parked machine waits for; nil: it runs, or has used up its slice
	timer    *timeline.Event // that ends the wait
	due      *timeline.Event // the coming slice
	dueAt    timeline.Time
	parked   bool
	paused   bool
	ended    bool
	killed   bool
	exitCode int
	detail   uint64 // of the present call, for the trace
	slices   uint64
	halt     bool
	signal   uint32 // sent and not yet taken
}

// Why a coroutine unwinds.
var (
	errKilled = errors.New("machine: killed")
	errExit   = errors.New("machine: exit")
)

// slice is the CPU time after which a machine that does not wait lets the world go on.
const slice = time.Millisecond

// Start powers the machine on. It runs when the timeline gets there.
func Start(ctx context.Context, c Config) *Machine {
	m := &Machine{Config: c, trace: c.Trace, functions: hostFunctions(), slowness: 1}
	m.fds.init()
	c.Host.Wake = m.Wake
	m.resume, m.stop = iter.Pull(func(yield func(struct{}) bool) {
		m.yield = yield
		m.finish(c.Program.Run(ctx, m))
	})
	m.parked = true
	m.schedule(c.Timeline.Now())
	return m
}

func (m *Machine) finish(err error) {
	m.ended, m.memory = true, nil
	m.Timeline.Cancel(m.timer)
	m.Timeline.Cancel(m.due)
	if m.killed || m.Exited == nil {
		return
	}
	if errors.Is(err, errExit) || err == nil {
		err = nil
	} else if m.exitCode == 0 {
		m.exitCode = 2
	}
	code := m.exitCode
	m.Timeline.After(0, func() { m.Exited(code, err) })
}

// now is the machine's place on the timeline: the slice's start plus what it has worked since.
func (m *Machine) now() timeline.Time { return m.started.Add(m.ran) }

// Now is the instant at which the machine is: while it runs, ahead of the timeline by what it has worked.
func (m *Machine) Now() timeline.Time { return m.now() }

// enter charges a host call.
func (m *Machine) enter(number uint32, cost time.Duration) {
	m.ran += time.Duration(float64(cost) * m.slowness)
	if m.Called != nil && m.Called(m.functions[number].name) {
		m.killed = true
	}
	if m.halt && !m.parked {
		m.halt = false
		m.waiting = m.waiting[:0]
		m.schedule(m.now())
		m.park()
	}
	if m.killed {
		panic(errKilled)
	}
}

// schedule lets the machine run at the instant, or when its CPU is free.
func (m *Machine) schedule(at timeline.Time) {
	at = max(at, m.now())
	if m.due != nil {
		if m.dueAt <= at {
			return
		}
		m.Timeline.Cancel(m.due)
	}
	m.dueAt = at
	m.due = m.Timeline.At(at, m.run)
}

// run is one slice.
func (m *Machine) run() {
	m.due = nil
	if m.ended || m.paused || !m.parked {
		return
	}
	m.Timeline.Cancel(m.timer)
	m.timer = nil
	m.started, m.ran, m.parked = m.Timeline.Now(), 0, false
	m.slices++
	m.resume()
}

// park gives the CPU up until run.
func (m *Machine) park() {
	m.parked = true
	if !m.yield(struct{}{}) {
		m.killed = true
		panic(errKilled)
	}
}

// Wake tells a machine that waits to look again.
func (m *Machine) Wake() {
	if m.ended || m.paused || !m.parked || m.due != nil || !m.anyReady() {
		return
	}
	m.schedule(m.Timeline.Now())
}

// Kill ends the machine at once, wherever it is. Disk and network are the caller's to crash.
func (m *Machine) Kill() {
	if m.ended {
		return
	}
	m.killed = true
	m.stop()
	if !m.ended { // it never ran
		m.finish(nil)
	}
}

// Pause stops the machine as SIGSTOP does: its clocks go on, its kernel still takes packets in.
func (m *Machine) Pause() { m.paused = true }

// Resume ends a pause.
func (m *Machine) Resume() {
	if !m.paused {
		return
	}
	m.paused = false
	if m.parked && !m.ended {
		m.Timeline.Cancel(m.due)
		m.due = nil
		m.schedule(m.Timeline.Now())
	}
}

// Halt makes a machine that is in a host call give the CPU up after the next one, so that the world can act before it goes on.
func (m *Machine) Halt() { m.halt = true }

// SetSlowness makes host calls cost this many times their usual CPU time.
func (m *Machine) SetSlowness(factor float64) { m.slowness = factor }

// SetLateness makes timers go off later than asked for, by what late draws each time; nil ends it.
func (m *Machine) SetLateness(late func() time.Duration) { m.late = late }

// Paused reports whether the machine is stopped by Pause.
func (m *Machine) Paused() bool { return m.paused }

// Running reports whether the program has neither ended nor been killed.
func (m *Machine) Running() bool { return !m.ended }

// HashMemory writes every byte of the machine's memory to h. Only for a machine that runs.
func (m *Machine) HashMemory(h hash.Hash) {
	if m.memory == nil || m.ended {
		return
	}
	h.Write(m.memory)
}

// MemoryBytes is the size of the machine's memory.
func (m *Machine) MemoryBytes() uint64 {
	if m.memory == nil || m.ended {
		return 0
	}
	return uint64(len(m.memory))
}

// Slices is how often the machine was given the CPU.
func (m *Machine) Slices() uint64 { return m.slices }
