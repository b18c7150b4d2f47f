package vnet

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvorum/kvorum/sim/timeline"
	"pgregory.net/rapid"
)

// connection is one between two hosts, with what was written and read on either side.
type connection struct {
	line        *timeline.Timeline
	network     *Network
	a, b        *Host
	near, far   *End
	sent, got   [2][]byte // from near to far, from far to near
	next        byte
	nearE, farE Errno
}

func connect(t interface{ Fatalf(string, ...any) }) *connection {
	c := &connection{line: &timeline.Timeline{}}
	c.network = New(c.line, 1)
	c.a, c.b = c.network.AddHost("a"), c.network.AddHost("b")
	l, _ := c.b.Listen(80)
	d, errno := c.a.Dial("b:80", 0)
	if errno != 0 {
		t.Fatalf("dial: %d", errno)
	}
	c.run(time.Second)
	c.far, _ = l.Accept()
	if c.near, errno = d.Done(); errno != 0 || c.far == nil {
		t.Fatalf("dial: %d", errno)
	}
	return c
}

func (c *connection) run(d time.Duration) {
	for end := c.line.Now().Add(d); c.line.Next(end); {
	}
}

func (c *connection) write(side, n int) {
	b := make([]byte, n)
	for i := range b {
		c.next++
		b[i] = c.next
	}
	wrote, _ := [2]*End{c.near, c.far}[side].Write(b, c.line.Now())
	c.sent[side] = append(c.sent[side], b[:wrote]...)
}

func (c *connection) read(side, n int) {
	b := make([]byte, n)
	got, errno := [2]*End{c.far, c.near}[side].Read(b)
	c.got[side] = append(c.got[side], b[:got]...)
	if errno != 0 && errno != EAGAIN {
		*[2]*Errno{&c.farE, &c.nearE}[side] = errno
	}
}

// TestStreams lets rapid write and read on both sides while links lose, delay, cut and clog: what is read is always a prefix of
// what was written; and once the links are whole again everything arrives, unless the connection failed and said so.
func TestStreams(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := connect(rt)
		side := func(rt *rapid.T) int { return rapid.IntRange(0, 1).Draw(rt, "side") }
		links := [2]*Link{c.network.Link(c.a, c.b), c.network.Link(c.b, c.a)}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) { c.write(side(rt), rapid.IntRange(1, 100_000).Draw(rt, "bytes")) },
			"read":  func(rt *rapid.T) { c.read(side(rt), rapid.IntRange(1, 100_000).Draw(rt, "bytes")) },
			"run":   func(rt *rapid.T) { c.run(time.Duration(rapid.IntRange(1, 8000).Draw(rt, "ms")) * time.Millisecond) },
			"links": func(rt *rapid.T) {
				links[side(rt)].Set(Conditions{
					Delay: time.Duration(rapid.IntRange(0, 300).Draw(rt, "delay")) * time.Millisecond, Jitter: time.Duration(rapid.IntRange(0, 300).Draw(rt, "jitter")) * time.Millisecond,
					Loss: rapid.SampledFrom([]float64{0, 0.3, 0.9}).Draw(rt, "loss"), Cut: rapid.IntRange(0, 3).Draw(rt, "cut") == 0,
					Clogged: rapid.IntRange(0, 3).Draw(rt, "clogged") == 0, Bandwidth: rapid.SampledFrom([]int64{0, 10_000}).Draw(rt, "bandwidth"),
				})
			},
			"reset": func(rt *rapid.T) {
				if rapid.IntRange(0, 20).Draw(rt, "rarely") == 0 {
					c.network.Reset(c.a, c.b)
				}
			},
			"": func(rt *rapid.T) {
				for i := range 2 {
					if !bytes.HasPrefix(c.sent[i], c.got[i]) {
						rt.Fatalf("stream %d: other bytes arrived than were sent, or in another order", i)
					}
				}
			},
		})
		for _, l := range links {
			l.Set(Conditions{Delay: time.Millisecond})
		}
		for range 30 { // a window is 256 KiB, so nobody has sent more than 300 kB that were not read
			c.run(10 * time.Second)
			c.read(0, 300_000)
			c.read(1, 300_000)
		}
		whole := bytes.Equal(c.sent[0], c.got[0]) && bytes.Equal(c.sent[1], c.got[1])
		if !whole && c.nearE == 0 && c.farE == 0 {
			rt.Fatalf("%d of %d and %d of %d bytes arrived, and nobody was told", len(c.got[0]), len(c.sent[0]), len(c.got[1]), len(c.sent[1]))
		}
	})
}

func TestConnectionsEnd(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(c *connection)
		want Errno
		in   time.Duration
	}{
		"reset":           {func(c *connection) { c.network.Reset(c.a, c.b) }, ECONNRESET, time.Second},
		"peer was killed": {func(c *connection) { c.b.Crash(false) }, ECONNRESET, time.Second},
		"peer lost power": {func(c *connection) { c.b.Crash(true) }, ETIMEDOUT, time.Minute},
		"peer came back":  {func(c *connection) { c.b.Crash(true); c.b.Start() }, ECONNRESET, time.Second},
		"cut":             {func(c *connection) { c.network.Link(c.a, c.b).Set(Conditions{Cut: true}) }, ETIMEDOUT, time.Minute},
		"forgotten":       {func(c *connection) { c.network.Forget(c.a, c.b, 1, rand.New(rand.NewPCG(1, 1))) }, 0, time.Hour},
		"peer of a forgotten one was killed": {func(c *connection) {
			c.network.Forget(c.a, c.b, 1, rand.New(rand.NewPCG(1, 1)))
			c.b.Crash(false)
		}, 0, time.Hour},
		"lost reset":       {lostReset, ECONNRESET, 10 * time.Second},
		"cut after a byte": {func(c *connection) { c.network.Link(c.a, c.b).CutAfter(1, nil) }, ECONNRESET, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t)
			c.write(0, 10)
			c.run(time.Second)
			c.read(0, 10)
			end.by(c)
			c.write(0, 10)
			c.run(end.in)
			c.read(0, 10)
			c.read(1, 10)
			if c.nearE != end.want {
				t.Errorf("the sender hears %d, want %d", c.nearE, end.want)
			}
			if name == "cut after a byte" && len(c.got[0]) != 11 {
				t.Errorf("%d bytes arrived, want 11", len(c.got[0]))
			}
		})
	}
}

// lostReset: the other side's kernel forgot the connection, and its answer is lost at first.
func lostReset(c *connection) {
	c.b.Crash(true)
	c.b.Start()
	back := c.network.Link(c.b, c.a)
	back.Set(Conditions{Cut: true})
	c.line.After(3*time.Second, func() { back.Set(Conditions{}) })
}

// TestHeld: what a held connection carries arrives late, newer connections overtake it, and also what its sender has given up.
func TestHeld(t *testing.T) {
	for _, givenUp := range []bool{false, true} {
		c := connect(t)
		hold := func() *Held {
			list := c.network.Hold(c.a, c.b, 1, rand.New(rand.NewPCG(1, 1)))
			if len(list) != 1 {
				t.Fatalf("%d connections are held", len(list))
			}
			return list[0]
		}
		one, another := hold(), hold() // by two faults
		c.write(0, 10)
		if givenUp {
			c.near.Close(c.line.Now())
		}
		if d, _ := c.a.Dial("b:80", c.line.Now()); true {
			c.run(3 * time.Second)
			if end, errno := d.Done(); end == nil || errno != 0 {
				t.Errorf("a new connection is held too: %d", errno)
			}
		}
		c.read(0, 10)
		waited := one.LetGo()
		c.run(time.Second)
		c.read(0, 10)
		if len(c.got[0]) != 0 || waited != 0 {
			t.Errorf("%d bytes arrived while the connection was held", len(c.got[0]))
		}
		if again := one.LetGo(); again != 0 {
			t.Error("it was let go twice")
		}
		if waited := another.LetGo(); waited == 0 {
			t.Error("nothing waited")
		}
		c.run(time.Second)
		c.read(0, 10)
		if len(c.got[0]) != 10 {
			t.Errorf("given up %t: %d bytes arrived in the end, want 10", givenUp, len(c.got[0]))
		}
	}
}

func TestRefuse(t *testing.T) {
	c := connect(t)
	for _, refuse := range []bool{true, false} {
		c.b.Refuse = refuse
		back := c.network.Link(c.b, c.a)
		back.Set(Conditions{Cut: true}) // the first answer is lost
		d, _ := c.a.Dial("b:80", c.line.Now())
		c.run(time.Second)
		back.Set(Conditions{})
		c.run(5 * time.Second)
		_, errno := d.Done()
		if want := map[bool]Errno{true: ECONNREFUSED, false: 0}[refuse]; errno != want {
			t.Errorf("refuse %t: %d, want %d", refuse, errno, want)
		}
	}
	if c.b.Refused != 1 {
		t.Errorf("%d refused, want 1", c.b.Refused)
	}
	d, _ := c.a.Dial("b:80", c.line.Now())
	c.a.Crash(false)
	c.run(time.Second)
	if _, errno := d.Done(); errno != ECONNRESET || len(c.a.ends) != 0 {
		t.Errorf("a connection outlives the program that asked for it: %d, %d ends", errno, len(c.a.ends))
	}
}
