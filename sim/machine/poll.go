package machine

import (
	"encoding/binary"
	"time"

	"github.com/kvorum/kvorum/sim/timeline"
)

// subscription is one thing that poll_oneoff waits for.
type subscription struct {
	user uint64
	kind byte
	fd   uint32
}

// Kinds of subscriptions and events.
const (
	pollClock byte = iota
	pollRead
	pollWrite
)

const (
	subscriptionBytes = 48
	eventBytes        = 32
	badDescriptor     = 8  // EBADF
	fault             = 21 // EFAULT
	invalid           = 28 // EINVAL
)

// poll waits until a descriptor is ready or the time is over: (subscriptions, events, count, result).
func (m *Machine) poll(mem Memory, a []uint64) uint64 {
	in, ok := mem.Read(u32(a[0]), u32(a[2])*subscriptionBytes)
	if !ok {
		return fault
	}
	if len(in) == 0 {
		return invalid
	}
	timeout, clockUser := m.subscribe(in)
	switch {
	case m.anyReady():
	case timeout != 0:
		m.wait(timeout)
	case m.ran > slice:
		m.schedule(m.now())
		m.park()
	}
	out, ok := mem.Read(u32(a[1]), u32(a[2])*eventBytes)
	if !ok {
		return fault
	}
	mem.WriteUint32(u32(a[3]), m.events(out, clockUser))
	m.waiting = m.waiting[:0]
	return 0
}

// subscribe reads the subscriptions into m.waiting. timeout < 0: none.
func (m *Machine) subscribe(in []byte) (timeout time.Duration, clockUser uint64) {
	timeout = -1
	m.waiting = m.waiting[:0]
	for ; len(in) > 0; in = in[subscriptionBytes:] {
		s := subscription{user: binary.LittleEndian.Uint64(in), kind: in[8]}
		if s.kind != pollClock {
			s.fd = binary.LittleEndian.Uint32(in[16:])
			m.waiting = append(m.waiting, s)
			continue
		}
		const monotonic, absolute = 1, 1
		t := int64(binary.LittleEndian.Uint64(in[24:]))
		if binary.LittleEndian.Uint16(in[40:])&absolute != 0 {
			reading := m.Clock.Monotonic(m.now())
			if binary.LittleEndian.Uint32(in[16:]) != monotonic {
				reading = m.Clock.Wall(m.now())
			}
			t = max(0, t-reading)
		}
		timeout, clockUser = time.Duration(t), s.user
	}
	return timeout, clockUser
}

func (m *Machine) wait(timeout time.Duration) {
	if timeout > 0 {
		if m.late != nil {
			timeout += m.late()
		}
		m.wakeAt = m.Clock.exact(m.now()) + int64(timeout)
		m.setTimer(m.now().Add(m.Clock.real(timeout)))
	}
	m.park()
}

func (m *Machine) setTimer(at timeline.Time) {
	m.timer = m.Timeline.At(at, func() {
		m.timer = nil
		if !m.paused {
			m.schedule(m.Timeline.Now())
		}
	})
}

// ClockChanged tells a machine that its clock now runs at another rate: what waits for an instant of it waits anew.
func (m *Machine) ClockChanged() {
	if m.timer == nil {
		return
	}
	m.Timeline.Cancel(m.timer)
	now := m.Timeline.Now()
	m.setTimer(now.Add(m.Clock.real(time.Duration(max(0, m.wakeAt-m.Clock.exact(now))))))
}

func (m *Machine) anyReady() bool {
	for _, s := range m.waiting {
		if m.ready(s) {
			return true
		}
	}
	return false
}

func (m *Machine) ready(s subscription) bool {
	d := m.fds.get(s.fd)
	return d == nil || s.kind == pollRead && d.readable() || s.kind == pollWrite && d.writable()
}

// events writes what is ready to out; the clock's if nothing else is.
func (m *Machine) events(out []byte, clockUser uint64) (n uint32) {
	put := func(user uint64, kind byte, errno uint16) {
		b := out[n*eventBytes:]
		clear(b[:eventBytes])
		binary.LittleEndian.PutUint64(b, user)
		binary.LittleEndian.PutUint16(b[8:], errno)
		b[10] = kind
		n++
	}
	for _, s := range m.waiting {
		if !m.ready(s) {
			continue
		}
		errno := uint16(0)
		if m.fds.get(s.fd) == nil {
			errno = badDescriptor
		}
		put(s.user, s.kind, errno)
		m.detail += uint64(s.fd)<<8 + uint64(s.kind)
	}
	if n == 0 && len(out) > 0 {
		put(clockUser, pollClock, 0)
	}
	return n
}
