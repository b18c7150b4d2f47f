package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
)

// benchmarkKeys is the size of the store that most benchmarks run against.
const benchmarkKeys = 100_000

func benchmarkKey(dst []byte, n uint64) []byte {
	n = n * 0x9e3779b97f4a7c15 // scatter
	return fmt.Appendf(dst[:0], "user:%016x", n)
}

func filled(tb testing.TB, keys, valueBytes int) *Machine {
	tb.Helper()
	m := started(tb, identity(LastByte))
	value := bytes.Repeat([]byte{'v'}, valueBytes)
	var commands []Command
	for i := range keys {
		commands = append(commands, Command{Kind: CommandPut, Key: benchmarkKey(nil, uint64(i)), Value: value})
		if len(commands) == 512 || i == keys-1 {
			mustApply(tb, m, Entry{Time: uint64(i), Commands: commands})
			commands = commands[:0]
		}
	}
	return m
}

// BenchmarkApplyPut: one op is one put of a 21-byte key and a 100-byte value into a store of 100,000 keys.
func BenchmarkApplyPut(b *testing.B) {
	for _, size := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("entry=%d", size), func(b *testing.B) { benchmarkPuts(b, size, "") })
	}
	b.Run("keyed=512", func(b *testing.B) { benchmarkPuts(b, 512, "key-of-the-request") })
}

func benchmarkPuts(b *testing.B, size int, idempotencyKey string) {
	m := filled(b, benchmarkKeys, 100)
	value := bytes.Repeat([]byte{'w'}, 100)
	var entries [200][]byte
	prepare := func(round int) {
		commands := make([]Command, size)
		for i := range entries {
			for j := range commands {
				n := (round*len(entries)+i)*size + j
				commands[j] = Command{Kind: CommandPut, Key: benchmarkKey(nil, uint64(n)%benchmarkKeys), Value: value}
				if idempotencyKey != "" {
					commands[j].IdempotencyKey = fmt.Sprint(idempotencyKey, n)
				}
			}
			entries[i] = AppendEntry(entries[i][:0], Entry{Time: uint64(round) * IdempotencyLifetime, Commands: commands})
		}
	}
	prepare(0)
	index := m.View().Index()
	b.ReportAllocs()
	b.ResetTimer()
	for done, i := 0, 0; done < b.N; done, i = done+size, i+1 {
		if i > 0 && i%len(entries) == 0 && idempotencyKey != "" { // each key is new
			b.StopTimer()
			prepare(i / len(entries))
			b.StartTimer()
		}
		index++
		if _, err := m.Apply(index, 1, entries[i%len(entries)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

func BenchmarkGet(b *testing.B) {
	v := filled(b, benchmarkKeys, 100).View()
	var key []byte
	b.ReportAllocs()
	i := uint64(0)
	for b.Loop() {
		i++
		key = benchmarkKey(key, i%benchmarkKeys)
		if _, ok := v.Get(key); !ok {
			b.Fatal("absent")
		}
	}
}

// BenchmarkScan: one op is one page of a listing.
func BenchmarkScan(b *testing.B) {
	v := filled(b, benchmarkKeys, 100).View()
	for _, limit := range []int{1, 1000} {
		b.Run(fmt.Sprintf("rows=%d", limit), func(b *testing.B) {
			b.ReportAllocs()
			i := uint64(0)
			for b.Loop() {
				i++
				n := 0
				v.Scan([]byte("user:"), benchmarkKey(nil, i%1000), func([]byte, Row) bool { n++; return n < limit })
			}
		})
	}
}

// BenchmarkPublish: one op is one put in an entry of its own, with and without a goroutine that reads every view.
func BenchmarkPublish(b *testing.B) {
	b.Run("idle", func(b *testing.B) { benchmarkPuts(b, 1, "") })
	b.Run("read", func(b *testing.B) {
		m := filled(b, benchmarkKeys, 100)
		stop, reads := make(chan struct{}), uint64(0)
		var readers sync.WaitGroup
		readers.Go(func() {
			var key []byte
			for ; ; reads++ {
				select {
				case <-stop:
					return
				default:
				}
				key = benchmarkKey(key, reads%benchmarkKeys)
				m.View().Get(key)
			}
		})
		entry := AppendEntry(nil, Entry{Commands: []Command{{Kind: CommandPut, Key: benchmarkKey(nil, 7), Value: make([]byte, 100)}}})
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			if _, err := m.Apply(1<<32+uint64(i), 1, entry); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		close(stop)
		readers.Wait()
		b.ReportMetric(float64(reads)/b.Elapsed().Seconds(), "reads/s")
	})
}

func BenchmarkWriteSnapshot(b *testing.B) {
	v := filled(b, benchmarkKeys, 100).View()
	var n countingWriter
	if err := v.WriteSnapshot(&n); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if err := v.WriteSnapshot(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(benchmarkKeys*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkRestore(b *testing.B) {
	snapshot := snapshotOf(b, filled(b, benchmarkKeys, 100).View())
	b.SetBytes(int64(len(snapshot)))
	b.ReportAllocs()
	for b.Loop() {
		if err := New().Restore(bytes.NewReader(snapshot)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(benchmarkKeys*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkDecodeEntry(b *testing.B) {
	e := Entry{Time: 1}
	for i := range 512 {
		key := binary.BigEndian.AppendUint64(nil, uint64(i))
		e.Commands = append(e.Commands, Command{Kind: CommandPut, Key: key, Value: make([]byte, 100)})
	}
	encoded := AppendEntry(nil, e)
	b.SetBytes(int64(len(encoded)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeEntry(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

type countingWriter int64

func (n *countingWriter) Write(b []byte) (int, error) {
	*n += countingWriter(len(b))
	return len(b), nil
}

// TestAccounting holds the byte accounting against what the heap really takes.
func TestAccounting(t *testing.T) {
	if testing.Short() {
		t.Skip("measures the heap")
	}
	const rows = 50_000
	for _, kind := range []string{"data", "operations"} {
		t.Run(kind, func(t *testing.T) {
			m := started(t, identity(LastByte))
			before := heap()
			commands := make([]Command, 1)
			var entry []byte
			for i := range uint64(rows) {
				c := &commands[0]
				*c = Command{Kind: CommandPut, Key: benchmarkKey(nil, i), Value: make([]byte, 40)}
				if kind == "operations" {
					// A delete of an absent key leaves its idempotency row only.
					*c = Command{Kind: CommandDelete, Key: c.Key, IdempotencyKey: fmt.Sprintf("request-%d", i)}
				}
				entry = AppendEntry(entry[:0], Entry{Commands: commands})
				if _, err := m.Apply(m.View().Index()+1, 1, entry); err != nil {
					t.Fatal(err)
				}
			}
			used := heap() - before
			ratio := float64(m.View().Bytes()) / float64(used)
			t.Logf("%d rows: %d bytes counted, %d bytes of heap: ratio %.2f", rows, m.View().Bytes(), used, ratio)
			if ratio < 0.8 || ratio > 1.35 {
				t.Errorf("the accounting is off by more than it may: ratio %.2f", ratio)
			}
			runtime.KeepAlive(m)
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
