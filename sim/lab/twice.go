package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/kvorum/kvorum/sim"
	"github.com/kvorum/kvorum/sim/machine"
	"github.com/kvorum/kvorum/sim/schedule"
)

// Difference between two runs that should have been the same.
type Difference struct {
	Seed  uint64 `json:"seed"`
	What  string `json:"what"`            // trace; memory, when the traces are the same
	First string `json:"first_differing"` // what happened in either run where they part
}

// Twice runs all seeds of a campaign on all processors, and again, by the other lab, on one; each time with other worlds
// beside. Nothing of that may show. It returns where something did, by seed, and what the first runs came to. The other lab has the
// same programs, or is l.
func (l *Lab) Twice(ctx context.Context, c Campaign, other *Lab) ([]Difference, []*sim.Result, error) {
	first := l.Campaign(ctx, c)
	before := runtime.GOMAXPROCS(1)
	second := other.Campaign(ctx, c)
	runtime.GOMAXPROCS(before)
	if err := ctx.Err(); err != nil {
		return nil, first, err
	}
	var list []Difference
	for i, a := range first {
		b := second[i]
		if a.Trace == b.Trace && a.Memory == b.Memory {
			continue
		}
		d := Difference{Seed: a.Seed, What: "memory"}
		var err error
		if a.Trace != b.Trace {
			d.What = "trace"
			d.First, err = explain(ctx, l, other, Draw(a.Seed, c.Defaults))
		}
		if list = append(list, d); err != nil {
			return list, first, err
		}
	}
	return list, first, nil
}

// explain runs a schedule in both labs again and says where the traces part.
func explain(ctx context.Context, a, b *Lab, s *schedule.Schedule) (string, error) {
	kept, err := os.CreateTemp("", "trace")
	if err != nil {
		return "", fmt.Errorf("keep a trace: %w", err)
	}
	defer os.Remove(kept.Name())
	defer kept.Close()
	a.Run(ctx, s, sim.Options{Trace: kept})
	if _, err := kept.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("keep a trace: %w", err)
	}
	part := &parting{kept: bufio.NewReaderSize(kept, 1<<20)}
	b.Run(ctx, s, sim.Options{Trace: part})
	return part.text(), ctx.Err()
}

// parting compares a trace, as it is written, with one that was kept.
type parting struct {
	kept   *bufio.Reader
	record [machine.RecordBytes]byte
	count  int
	found  string
}

// Write takes whole records.
func (p *parting) Write(b []byte) (int, error) {
	n := len(b)
	for ; len(b) >= machine.RecordBytes && p.found == ""; b = b[machine.RecordBytes:] {
		mine := b[:machine.RecordBytes]
		_, err := io.ReadFull(p.kept, p.record[:])
		switch {
		case errors.Is(err, io.EOF):
			p.found = fmt.Sprintf("record %d: one run had ended, the other: %s", p.count, machine.ParseRecord(mine))
		case err != nil:
			p.found = fmt.Sprintf("record %d: the kept trace: %v", p.count, err)
		case !bytes.Equal(mine, p.record[:]):
			p.found = fmt.Sprintf("record %d: %s; or: %s", p.count, machine.ParseRecord(p.record[:]), machine.ParseRecord(mine))
		}
		p.count++
	}
	return n, nil
}

func (p *parting) text() string {
	if p.found != "" {
		return p.found
	}
	if _, err := io.ReadFull(p.kept, p.record[:]); err == nil {
		return fmt.Sprintf("record %d: one run had ended, the other: %s", p.count, machine.ParseRecord(p.record[:]))
	}
	return "run again, they did not differ"
}
