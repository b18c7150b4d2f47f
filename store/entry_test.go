package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var genEntry = rapid.Custom(func(t *rapid.T) Entry {
	return Entry{Time: rapid.Uint64().Draw(t, "time"), Commands: rapid.SliceOfN(genCommand, 0, 10).Draw(t, "commands")}
})

// normal is e as it comes out of the codec: empty instead of nil or the other way round makes no difference.
func normal(e Entry) Entry {
	var commands []Command
	for _, c := range e.Commands {
		c.Key, c.Value = append([]byte{}, c.Key...), append([]byte{}, c.Value...)
		c.Members = append([]Member{}, c.Members...)
		commands = append(commands, c)
	}
	return Entry{e.Time, commands}
}

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := genEntry.Draw(t, "entry")
		prefix := []byte("prefix")
		b := AppendEntry(bytes.Clone(prefix), e)
		if !bytes.HasPrefix(b, prefix) {
			t.Fatal("AppendEntry does not append")
		}
		b = b[len(prefix):]
		got, err := DecodeEntry(b)
		if err != nil || !reflect.DeepEqual(normal(got), normal(e)) {
			t.Fatalf("got %+v, %v", got, err)
		}
		if !bytes.Equal(AppendEntry(nil, got), b) {
			t.Fatal("two encodings of one entry")
		}
		bound := 25
		for _, c := range e.Commands {
			bound += c.EncodedSize()
		}
		if len(b) > bound {
			t.Fatalf("%d bytes, EncodedSize says at most %d", len(b), bound)
		}
	})
}

func TestEncodedSizeIsABound(t *testing.T) {
	const most = 1<<64 - 1
	c := Command{
		Kind: CommandPut, Key: make([]byte, 1024), Value: make([]byte, 1<<20), Condition: IfRevision, Revision: most,
		IdempotencyKey: strings.Repeat("i", 255),
	}
	init := Command{Kind: CommandInit, Identity: &Identity{strings.Repeat("c", 300), 1<<32 - 1, 1<<32 - 1, Hash, most}}
	for _, c := range []Command{c, init, {Kind: CommandInit}, {Kind: CommandTermStart, Node: "node"},
		{Kind: CommandRegisterShard, Shard: 1<<32 - 1, Members: make([]Member, 300)}} {
		if got, bound := len(AppendEntry(nil, Entry{Time: most, Commands: []Command{c}})), c.EncodedSize()+25; got > bound {
			t.Errorf("kind %d: %d bytes, bound %d", c.Kind, got, bound)
		}
	}
}

// TestEntryFormat pins the bytes: old logs must stay readable.
func TestEntryFormat(t *testing.T) {
	id := identity(Hash)
	e := Entry{Time: 300, Commands: []Command{
		{Kind: CommandInit, Identity: &id},
		{Kind: CommandTermStart, Node: "n"},
		put("k", "v").when(IfRevision, 200).under("i"),
		del("k").when(IfAbsent, 0),
		{Kind: CommandRegisterShard, Shard: 1, Members: []Member{{"a", "b", "c"}}},
	}}
	const want = "01" + "ac02" + "05" +
		"01" + "0474657374" + "00" + "01" + "02" + "8080808004" +
		"02" + "016e" +
		"10" + "03" + "c801" + "0169" + "016b" + "0176" +
		"11" + "01" + "00" + "016b" +
		"20" + "01" + "01" + "0161" + "0162" + "0163"
	b := AppendEntry(nil, e)
	if got := hex.EncodeToString(b[:len(b)-checksumBytes]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDamagedEntries(t *testing.T) {
	id := identity(Hash)
	e := AppendEntry(nil, Entry{Time: 1, Commands: []Command{{Kind: CommandInit, Identity: &id}, put("key", "value").under("i"), del("key")}})
	damaged := bytes.Clone(e)
	for i := range e {
		if _, err := DecodeEntry(e[:i]); !errors.Is(err, ErrEntry) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		for bit := range 8 {
			damaged[i] ^= 1 << bit
			if _, err := DecodeEntry(damaged); !errors.Is(err, ErrEntry) {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
			damaged[i] ^= 1 << bit
		}
	}
	bodies := map[string]string{
		"newer version":         "02" + "00" + "00",
		"unknown command":       "01" + "00" + "01" + "0500",
		"unknown condition":     "01" + "00" + "01" + "10" + "04" + "00" + "00" + "00",
		"bytes behind":          "01" + "00" + "00" + "00",
		"more than there is":    "01" + "00" + "ffffffff0f",
		"no minimal number":     "01" + "8000" + "00",
		"number too large":      "01" + "ffffffffffffffffff02" + "00",
		"shard too large":       "01" + "00" + "01" + "20" + "8080808010" + "00",
		"members than there is": "01" + "00" + "01" + "20" + "00" + "ffff03",
		"key than there is":     "01" + "00" + "01" + "11" + "00" + "00" + "05" + "61",
		"length overflows":      "01" + "00" + "01" + "11" + "00" + "00" + "ffffffffffffffffff01",
	}
	for name, body := range bodies {
		b, err := hex.DecodeString(body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeEntry(sealEntry(b)); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDecodeEntryIsBounded: what a short entry says cannot make the decoder allocate much.
func TestDecodeEntryIsBounded(t *testing.T) {
	for _, body := range []string{"0100ffffffff0f", "01000120" + "00" + "ffffffff0f", "01000110000000" + "ffffffff0f"} {
		b, err := hex.DecodeString(body)
		if err != nil {
			t.Fatal(err)
		}
		b = sealEntry(append(b, make([]byte, 1000)...))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := DecodeEntry(b); !errors.Is(err, ErrEntry) {
			t.Error(err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(100*len(b)) {
			t.Errorf("%d bytes allocated for %d", got, len(b))
		}
	}
}
