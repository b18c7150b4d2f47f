package faultfs

import (
	"math/rand/v2"
	"os"
	"time"
)

// powerOff is the moment of the power cut: from now on no call of a program changes anything. It waits for that moment as
// the plan says.
func (v *volume) powerOff(p Plan, seed uint64) {
	if p.MidFsync > 0 {
		v.mu.Lock()
		v.strike = 1 + rand.New(rand.NewPCG(seed, 1)).IntN(4) // bbolt syncs twice for a commit: either may be hit
		v.mu.Unlock()
		select {
		case <-v.off:
		case <-time.After(p.MidFsync):
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.powered() {
		close(v.off)
	}
}

// powerCut throws away what was not synced, except for what the plan and the seed let arrive. The volume must not be used
// any more: the backing has what a restart will find.
func (v *volume) powerCut(p Plan, seed uint64) (Loss, error) {
	v.powerOff(Plan{}, 0)
	v.mu.Lock()
	defer v.mu.Unlock()
	draw := rand.New(rand.NewPCG(seed, 0))
	loss := Loss{Cuts: 1}
	keep := 0
	if p.Names && len(v.naming) > 0 && draw.Float64() < 0.5 {
		keep = 1 + draw.IntN(len(v.naming))
	}
	loss.Names = int64(len(v.naming) - keep)
	var last uint64
	if keep > 0 {
		last = v.naming[keep-1].number
	}
	if err := v.settle(func(c naming) bool { return c.number <= last }); err != nil {
		return loss, err
	}
	for _, n := range v.files() {
		if n.gone || len(n.file.pending) == 0 {
			continue
		}
		if err := v.ensure(n); err != nil {
			return loss, err
		}
		for _, c := range p.survivors(n.file.pending, draw, &loss) {
			if err := c.apply(n.file.backing); err != nil {
				return loss, err
			}
		}
		n.file.release()
	}
	v.counters.Lost = Counters{Lost: v.counters.Lost}.plus(Counters{Lost: loss}, 1).Lost
	return loss, os.RemoveAll(v.limbo)
}

// survivors draws which of the pending changes of one file reach the disk.
func (p Plan) survivors(pending []change, draw *rand.Rand, loss *Loss) (arrive []change) {
	lose := func(c change) {
		loss.Writes++
		loss.Bytes += int64(len(c.bytes))
	}
	tear := func(c change) change {
		if len(c.bytes) == 0 || draw.Float64() >= p.Torn {
			return c
		}
		return c.torn(draw, loss)
	}
	x := draw.Float64()
	switch {
	case x < p.KeepAll:
		return pending
	case x < p.KeepAll+p.KeepNone:
	case draw.Float64() < p.Subset:
		for _, c := range pending {
			if draw.IntN(2) == 0 {
				lose(c)
			} else {
				arrive = append(arrive, tear(c))
			}
		}
		return arrive
	default:
		arrive = append(arrive, pending[:draw.IntN(len(pending)+1)]...)
		if last := len(arrive) - 1; last >= 0 {
			arrive[last] = tear(arrive[last])
		}
	}
	for _, c := range pending[len(arrive):] {
		lose(c)
	}
	return arrive
}

// torn ends a write at a sector's edge within it, if it goes over one.
func (c change) torn(draw *rand.Rand, loss *Loss) change {
	first := sectorBytes - int(c.offset%sectorBytes)
	if len(c.bytes) <= first {
		return c
	}
	edges := (len(c.bytes) - first + sectorBytes - 1) / sectorBytes
	end := first + sectorBytes*draw.IntN(edges)
	loss.Torn++
	loss.Bytes += int64(len(c.bytes) - end)
	return change{offset: c.offset, bytes: c.bytes[:end]}
}
