package tap

import (
	"errors"
	"fmt"
)

// connection is one stream between nodes, both directions.
type connection struct {
	tap      *Tap
	greeting hello
	shard    *shard    // nil until the hello
	ignored  bool      // not raft, refused, or not decodable
	there    direction // from the dialer
	back     direction
	pending  []*request // sent and not replied to, oldest first
	replied  uint64     // highest term replied here
	snapshot *incoming
	commit   struct{ term, index uint64 } // last told here
}

// direction is the bytes of one side that are not decoded yet.
type direction struct {
	buf     []byte
	scan    scanner
	greeted bool
	kind    int    // there: of the request that follows, -1 before its first byte
	err     string // back: the error before the reply
	hasErr  bool
	skip    int64 // there: bytes of a snapshot to come

	sent, arrived int64
	parts         []part // sent, and not arrived as a whole
	whole         int64  // arrived bytes that are whole parts
}

// part is a message, or the snapshot behind one.
type part struct {
	end      int64 // bytes of its direction up to its end
	snapshot bool
}

// came: so many bytes have arrived.
func (d *direction) came(n int) {
	d.arrived += int64(n)
	for len(d.parts) > 0 && d.parts[0].end <= d.arrived {
		d.whole, d.parts = d.parts[0].end, d.parts[1:]
	}
}

// broken: the last bytes that arrived are the beginning of a part. It says whether that is a snapshot.
func (d *direction) broken() (within, snapshot bool) {
	within = d.arrived > d.whole
	return within, within && (len(d.parts) > 0 && d.parts[0].snapshot || len(d.parts) == 0 && d.skip > 0)
}

// incoming is a snapshot on its way.
type incoming struct {
	q    *request
	data []byte
}

func newConnection(t *Tap) *connection {
	return &connection{tap: t, there: direction{kind: -1}, back: direction{kind: -1}}
}

// feed takes bytes of one direction.
func (c *connection) feed(back bool, b []byte) {
	d := &c.there
	if back {
		d = &c.back
	}
	d.sent += int64(len(b))
	if c.ignored {
		return
	}
	d.buf = append(d.buf, b...)
	step := c.dialer
	if back {
		step = c.listener
	}
	for len(d.buf) > 0 && !c.ignored {
		snapshot := d.skip > 0
		n, err := step(d)
		if err != nil {
			c.tap.fail("raft-protocol", fmt.Sprintf("what %s sends on connection of %s to %s cannot be decoded: %v", side(back), c.greeting.from, c.greeting.to, err))
			c.ignore()
			return
		}
		if n == 0 || c.ignored {
			return
		}
		d.buf = d.buf[n:]
		if d.kind < 0 && !d.hasErr && (d.skip == 0 || !snapshot) {
			d.parts = append(d.parts, part{d.sent - int64(len(d.buf)), snapshot})
		}
	}
	if len(d.buf) == 0 {
		d.buf = nil
	}
}

func side(back bool) string {
	if back {
		return "the listener"
	}
	return "the dialer"
}

func (c *connection) ignore() {
	c.ignored = true
	c.there.buf, c.back.buf = nil, nil
}

// dialer decodes one thing that the dialer sent and returns its length, 0 if it is not complete.
func (c *connection) dialer(d *direction) (int, error) {
	switch {
	case !d.greeted:
		payload, n, ok, err := frame(d.buf, typeHello)
		if !ok || err != nil {
			return 0, err
		}
		d.greeted = true
		if c.greeting, err = decodeHello(payload); err != nil {
			return 0, err
		}
		if c.greeting.kind != kindRaft {
			return n, nil
		}
		c.shard = c.tap.shard(c.greeting.shard)
		return n, nil
	case c.greeting.kind != kindRaft: // of these only the answer is looked at
		return len(d.buf), nil
	case d.skip > 0:
		n := int(min(d.skip, int64(len(d.buf))))
		d.skip -= int64(n)
		c.snapshot.data = append(c.snapshot.data, d.buf[:n]...)
		if d.skip == 0 {
			c.shard.snapshotSent(c.snapshot)
			c.snapshot = nil
		}
		return n, nil
	case d.kind < 0:
		if d.buf[0] > requestPreVote {
			return 0, fmt.Errorf("no request has the number %d", d.buf[0])
		}
		d.kind = int(d.buf[0])
		return 1, nil
	}
	n, err := d.scan.next(d.buf)
	if n == 0 || err != nil {
		return 0, err
	}
	q, err := c.tap.decoder.request(byte(d.kind), d.buf[:n])
	if err != nil {
		return 0, err
	}
	d.kind = -1
	return n, c.requested(q)
}

func (c *connection) requested(q *request) error {
	q.from, q.to = c.greeting.from, c.greeting.to
	if string(q.ID) != q.from || string(q.Addr) != q.from {
		return fmt.Errorf("%s speaks for %q at %q", q.from, q.ID, q.Addr)
	}
	if q.kind == installSnapshot && q.Size > 0 {
		c.there.skip = q.Size
		c.snapshot = &incoming{q: q}
	}
	if len(c.pending) > 0 {
		c.tap.reach("pipelined request")
	}
	c.pending = append(c.pending, q)
	c.shard.requested(c, q)
	return nil
}

// listener decodes one thing that the listener sent.
func (c *connection) listener(d *direction) (int, error) {
	if !d.greeted {
		payload, n, ok, err := frame(d.buf, typeAnswer)
		if !ok || err != nil {
			return 0, err
		}
		d.greeted = true
		node, yes, err := decodeAnswer(payload)
		switch {
		case err != nil:
			return 0, err
		case !yes:
			c.tap.reach("handshake refused")
			c.ignore()
		case c.greeting.kind != kindRaft:
			c.ignore()
		case c.shard == nil || node != c.greeting.to:
			return 0, fmt.Errorf("%q let a connection to %q in", node, c.greeting.to)
		}
		return n, nil
	}
	n, err := d.scan.next(d.buf)
	if n == 0 || err != nil {
		return 0, err
	}
	if !d.hasErr {
		d.err, err = c.tap.decoder.text(d.buf[:n])
		d.hasErr = true
		return n, err
	}
	d.hasErr = false
	r, err := c.tap.decoder.reply(d.buf[:n])
	if err != nil {
		return 0, err
	}
	if len(c.pending) == 0 {
		return 0, errors.New("a reply that nobody asked for")
	}
	q := c.pending[0]
	c.pending = c.pending[1:]
	if r != nil && len(r.ID) > 0 && string(r.ID) != q.to { // raft answers InstallSnapshot without a name
		return 0, fmt.Errorf("%s speaks for %q", q.to, r.ID)
	}
	c.shard.replied(c, q, r, d.err)
	return n, nil
}

// closed: nothing more is sent. What was asked may still be done, and nobody will hear of it.
func (c *connection) closed() {
	if c.shard == nil {
		return
	}
	if c.there.sent > c.there.arrived || c.back.sent > c.back.arrived {
		c.tap.reach("connection ended with bytes under way")
	}
	if c.ignored {
		return
	}
	switch within, snapshot := c.there.broken(); {
	case snapshot:
		c.tap.reach("snapshot stream cut midway")
	case within:
		c.tap.reach("connection ended within a request")
	}
	if within, _ := c.back.broken(); within {
		c.tap.reach("connection ended within a reply")
	}
	for _, q := range c.pending {
		c.tap.reach("request never answered")
		if q.kind == requestVote {
			c.tap.reach("vote request never answered")
		}
		if len(q.Entries) > 0 {
			c.tap.reach("entries sent and never acknowledged")
		}
	}
	c.shard.orphaned(c.pending)
	c.pending = nil
	c.ignore()
}
