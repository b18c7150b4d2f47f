package controller

import (
	"bytes"
	"testing"
)

// FuzzControlFrame: what decodes encodes to the same bytes; nothing else is accepted.
func FuzzControlFrame(f *testing.F) {
	f.Add(controlFrame{kind: controlConfirm, id: 1, a: 2, b: 3, c: 4}.append(nil))
	f.Add(controlFrame{kind: controlStatus | controlReply, id: 1 << 63}.append(nil))
	f.Add([]byte{})
	f.Add(make([]byte, controlFrameBytes))
	f.Add(bytes.Repeat([]byte{0xff}, controlFrameBytes+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := decodeControlFrame(b)
		if err != nil {
			return
		}
		switch frame.kind &^ controlReply {
		case controlConfirm, controlReadIndex, controlStatus:
		default:
			t.Fatalf("kind %d accepted", frame.kind)
		}
		if back := frame.append(nil); !bytes.Equal(back, b) {
			t.Fatalf("%x became %x", b, back)
		}
		var buffer [controlFrameBytes]byte
		if again, err := readControlFrame(bytes.NewReader(b), &buffer); err != nil || again != frame {
			t.Fatalf("%v, %v", again, err)
		}
	})
}
