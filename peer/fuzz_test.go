package peer

import (
	"bytes"
	"testing"
)

func FuzzHello(f *testing.F) {
	f.Add(hello{kind: Raft, from: beta, targetShard: 2, targetNode: "s2n0"}.append(nil))
	f.Add(hello{kind: API, from: Identity{Cluster: "c1", Node: "router-1"}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHello(b)
		if err != nil {
			return
		}
		if again := h.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, h, again)
		}
		if fits(h.from.Cluster, h.from.Node, h.from.Disk, h.from.Shape, h.targetNode) != nil || len(b) > maxPayload {
			t.Fatalf("decoded more than the format holds: %d bytes", len(b))
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(answer{self: alpha}.append(nil))
	f.Add(answer{refusal: &Refusal{NotMember, "ask an administrator"}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err != nil {
			return
		}
		if again := a.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, a, again)
		}
		if len(b) > maxPayload {
			t.Fatalf("decoded more than the format holds: %d bytes", len(b))
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, typeHello, []byte("payload")), []byte("rest"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte{})
	f.Fuzz(func(t *testing.T, b, rest []byte) {
		r := bytes.NewReader(append(b[:len(b):len(b)], rest...))
		payload, err := readFrame(r, typeHello)
		if err != nil {
			return
		}
		if used := int(r.Size()) - r.Len(); used != headerSize+len(payload) || len(payload) > maxPayload {
			t.Fatalf("read %d bytes for a payload of %d", used, len(payload))
		}
	})
}

func TestDetailIsCutToFit(t *testing.T) {
	b := answer{refusal: &Refusal{NotMember, string(make([]byte, 5000))}}.append(nil)
	a, err := decodeAnswer(b)
	if err != nil || len(a.refusal.Detail) != maxDetail {
		t.Fatalf("got %v, %v", a, err)
	}
}
