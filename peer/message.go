package peer

import (
	"encoding/binary"
	"fmt"
)

// hello is what the dialer says.
type hello struct {
	kind        Kind
	from        Identity
	targetShard uint32
	targetNode  string
}

func (h hello) append(dst []byte) []byte {
	dst = append(dst, byte(h.kind))
	dst = appendIdentity(dst, h.from)
	dst = binary.BigEndian.AppendUint32(dst, h.targetShard)
	return appendText(dst, h.targetNode)
}

func decodeHello(b []byte) (hello, error) {
	d := decoder{rest: b}
	h := hello{kind: Kind(d.byte()), from: d.identity(), targetShard: d.uint32(), targetNode: d.text()}
	return h, d.end()
}

// answer is what the server says: the identity when refusal is nil.
type answer struct {
	refusal *Refusal
	self    Identity
}

func (a answer) append(dst []byte) []byte {
	if a.refusal == nil {
		return appendIdentity(append(dst, 0), a.self)
	}
	detail := a.refusal.Detail
	if len(detail) > maxDetail {
		detail = detail[:maxDetail]
	}
	dst = append(dst, byte(a.refusal.Reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(detail)))
	return append(dst, detail...)
}

func decodeAnswer(b []byte) (answer, error) {
	d := decoder{rest: b}
	reason := d.byte()
	if reason == 0 {
		a := answer{self: d.identity()}
		return a, d.end()
	}
	size := int(d.uint16())
	if size > maxDetail {
		return answer{}, errMalformed
	}
	a := answer{refusal: &Refusal{Reason: Reason(reason), Detail: string(d.take(size))}}
	return a, d.end()
}

// fits refuses texts that the format has no room for.
func fits(texts ...string) error {
	for _, t := range texts {
		if len(t) > maxText {
			return fmt.Errorf("the name %.20q... has %d bytes, %d are allowed", t, len(t), maxText)
		}
	}
	return nil
}

func appendIdentity(dst []byte, id Identity) []byte {
	dst = appendText(dst, id.Cluster)
	dst = binary.BigEndian.AppendUint32(dst, id.Shard)
	dst = appendText(dst, id.Node)
	dst = appendText(dst, id.Disk)
	return appendText(dst, id.Shape)
}

func appendText(dst []byte, s string) []byte { return append(append(dst, byte(len(s))), s...) }

// decoder takes a payload apart. After the first byte that is missing it gives zeros, and end tells.
type decoder struct {
	rest  []byte
	short bool
}

func (d *decoder) take(n int) []byte {
	if d.short || n > len(d.rest) {
		d.short = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) text() string { return string(d.take(int(d.byte()))) }

func (d *decoder) identity() Identity {
	return Identity{Cluster: d.text(), Shard: d.uint32(), Node: d.text(), Disk: d.text(), Shape: d.text()}
}

// end returns an error unless the payload had all fields and nothing after them.
func (d *decoder) end() error {
	if d.short || len(d.rest) > 0 {
		return errMalformed
	}
	return nil
}
