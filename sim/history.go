package sim

import (
	"bytes"
	"encoding/json"
	"fmt"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/vnet"
)

// history puts together what client machines print with the time at which they did.
type history struct {
	world *World
	open  map[openKey]int // index of operations
	ops   []lin.Operation
}

type openKey struct {
	machine int
	number  uint64
}

func newHistory(w *World) *history { return &history{world: w, open: map[openKey]int{}} }

// client is a machine that runs sim/guest.
type client struct {
	world   *World
	machine *machine.Machine
	line    []byte
	errors  bytes.Buffer
	replies []json.RawMessage
	done    bool
	code    int
}

// startClient starts a client machine on a host of its own.
func (w *World) startClient(host *vnet.Host, endpoints string, args ...string) *client {
	c := &client{world: w}
	w.clients = append(w.clients, c)
	number := w.lives
	c.machine = w.startMachine(machine.Config{
		Program: w.options.Programs.Client, Args: append([]string{"guest", "-endpoints", endpoints}, args...),
		Disk: disk.New(), Host: host, Clock: machine.NewClock(),
		Random: w.stream("random/client", number), Schedule: w.stream("schedule/client", number),
		Output: c.output,
		Exited: func(code int, err error) {
			c.done, c.code = true, code
			if code != 0 {
				fmt.Fprint(&c.errors, err)
			}
		},
	})
	return c
}

func (c *client) output(fd int, b []byte) {
	if fd == 2 {
		c.errors.Write(b)
		return
	}
	c.line = append(c.line, b...)
	for {
		line, rest, found := bytes.Cut(c.line, []byte("\n"))
		if !found {
			return
		}
		c.world.history.event(c, line)
		c.line = rest
	}
}

func (h *history) event(c *client, line []byte) {
	var e struct {
		Event     string
		Number    uint64
		Operation lin.Operation
		Reply     json.RawMessage
	}
	if err := json.Unmarshal(line, &e); err != nil {
		h.world.fail("history", fmt.Sprintf("a client printed %q: %v", line, err))
		return
	}
	now := int64(c.machine.Now())
	k := openKey{c.machine.Number, e.Number}
	switch e.Event {
	case "call":
		o := e.Operation
		o.Call, o.Return, o.Outcome = now, lin.Open, lin.Unknown
		if h.beside(k, &o) {
			h.world.reach("several operations sent in one request")
		}
		h.open[k] = len(h.ops)
		h.ops = append(h.ops, o)
	case "return":
		i := h.open[k]
		delete(h.open, k)
		call := h.ops[i].Call
		h.ops[i] = e.Operation
		h.ops[i].Call, h.ops[i].Return = call, now
		h.world.reachedBy(&h.ops[i])
	default:
		c.replies = append(c.replies, e.Reply)
	}
}

// beside: the client called another operation just before and has no answer yet, so both are of one batch.
func (h *history) beside(k openKey, o *lin.Operation) bool {
	k.number--
	i, open := h.open[k]
	return open && h.ops[i].Client == o.Client
}

// writes counts the acknowledged ones.
func (h *history) writes() (n int) {
	for i := range h.ops {
		if o := &h.ops[i]; o.Outcome == lin.Applied && o.Kind != lin.Get && o.Kind != lin.List {
			n++
		}
	}
	return n
}

// outcomes counts operations.
func (h *history) outcomes() map[lin.Outcome]int {
	n := map[lin.Outcome]int{}
	for i := range h.ops {
		n[h.ops[i].Outcome]++
	}
	return n
}
