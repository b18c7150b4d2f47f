package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
)

// sealEntry puts the right checksum behind the body of an entry, so that a fuzzer gets past it.
func sealEntry(body []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(body), checksum(body))
}

// FuzzDecodeEntry: whatever is decoded without error has exactly the bytes that its encoding has, and a machine survives
// it; the rest is ErrEntry.
func FuzzDecodeEntry(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, encoded := range [][]byte{b, sealEntry(b)} {
			e, err := DecodeEntry(encoded)
			if err != nil {
				if !errors.Is(err, ErrEntry) {
					t.Fatalf("not an ErrEntry: %v", err)
				}
				continue
			}
			if again := AppendEntry(nil, e); !bytes.Equal(again, encoded) {
				t.Fatalf("decoded and encoded again:\n%x\n%x", encoded, again)
			}
			m := started(t, identity(LastByte))
			results, err := m.Apply(2, 1, encoded)
			if err != nil || len(results) != len(e.Commands) {
				t.Fatalf("%d results for %d commands, %v", len(results), len(e.Commands), err)
			}
			snapshot := snapshotOf(t, m.View())
			if !bytes.Equal(snapshotOf(t, restored(t, snapshot).View()), snapshot) {
				t.Fatal("the snapshot does not come back")
			}
		}
	})
}

// resealed gives a snapshot right checksums, frame by frame as far as frames can be made out.
func resealed(b []byte) []byte {
	if len(b) < len(snapshotMagic) {
		return b
	}
	out := bytes.Clone(b[:len(snapshotMagic)])
	copy(out, snapshotMagic)
	for b = b[len(snapshotMagic):]; len(b) >= frameHead+checksumBytes; {
		n := frameHead + min(int(binary.BigEndian.Uint32(b[1:])), len(b)-frameHead-checksumBytes)
		frame := append([]byte{b[0]}, b[1:n]...)
		if frame[0] == frameEnd {
			all := sha256.Sum256(out)
			frame = append(frame[:frameHead], all[:]...)
		}
		binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-frameHead))
		out = append(out, binary.BigEndian.AppendUint32(frame, checksum(frame))...)
		b = b[n+checksumBytes:]
	}
	return out
}

// FuzzRestore: whatever is restored writes exactly the bytes it came from (S4); the rest is ErrSnapshot and changes nothing.
func FuzzRestore(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, snapshot := range [][]byte{b, resealed(b)} {
			m := New()
			before := m.View()
			err := m.Restore(bytes.NewReader(snapshot))
			switch {
			case err == nil && !bytes.Equal(snapshotOf(t, m.View()), snapshot):
				t.Fatal("restored from one encoding, wrote another")
			case err == nil:
				do(t, m, 1<<40, put("a", "1").under("i"), del("b"))
			case !errors.Is(err, ErrSnapshot):
				t.Fatalf("not an ErrSnapshot: %v", err)
			case m.View() != before:
				t.Fatal("the machine has changed")
			}
		}
	})
}

// TestResealedIsFaithful: resealing an undamaged snapshot changes nothing, so that the fuzzer does reach the inside.
func TestResealedIsFaithful(t *testing.T) {
	snapshot := snapshotOf(t, varied(t, true).View())
	if !bytes.Equal(resealed(snapshot), snapshot) {
		t.Error("resealed differs")
	}
	damaged := bytes.Clone(snapshot)
	damaged[len(damaged)-1] ^= 1
	if !bytes.Equal(resealed(damaged), snapshot) {
		t.Error("resealed does not repair a checksum")
	}
}
