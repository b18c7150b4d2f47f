package trial

import (
	"cmp"
	"slices"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
)

// Gap is a time in which a shard executed no write.
type Gap struct {
	Seconds float64 `json:"seconds"`
	Shard   uint32  `json:"shard"`
	At      float64 `json:"at"` // seconds since the clients began
}

// service knows, shard by shard, when writes were acknowledged on one way: reads may go on without a leader, and so say less.
type service struct {
	from, to int64
	writes   map[uint32][]int64
}

// services looks on each way at what was acknowledged there until to.
func services(operations []lin.Operation, c Config, crowd *crowd, to int64) map[string]*service {
	all := map[string]*service{c.Through: newService(c.Shards, 0, to)}
	for _, way := range crowd.probes {
		if all[way] == nil {
			all[way] = newService(c.Shards, 0, to)
		}
	}
	for i := range operations {
		all[cmp.Or(crowd.probes[operations[i].Client], c.Through)].saw(&operations[i])
	}
	for _, s := range all {
		for _, at := range s.writes {
			slices.Sort(at)
		}
	}
	return all
}

// newService has seen nothing between from and to yet.
func newService(shards int, from, to int64) *service {
	s := &service{from: from, to: to, writes: map[uint32][]int64{}}
	for shard := range uint32(shards) {
		s.writes[shard] = []int64{from, to}
	}
	return s
}

// saw takes an operation down, if it was a write that was acknowledged in time.
func (s *service) saw(o *lin.Operation) {
	if o.Receipt != nil && acknowledgedWrite(o) && o.Return >= s.from && o.Return <= s.to {
		s.writes[o.Receipt.Shard] = append(s.writes[o.Receipt.Shard], o.Return)
	}
}

// longest is the longest time without service of any of the shards that reaches into from..to, without what of it came before.
func (s *service) longest(from, to int64, shards ...uint32) Gap {
	var worst Gap
	for shard, at := range s.writes {
		if len(shards) > 0 && !slices.Contains(shards, shard) {
			continue
		}
		for i := 1; i < len(at); i++ {
			begin := max(at[i-1], from)
			gap := Gap{Seconds: time.Duration(at[i] - begin).Seconds(), Shard: shard, At: time.Duration(begin - s.from).Seconds()}
			if at[i] >= from && at[i-1] <= to && cmp.Or(cmp.Compare(gap.Seconds, worst.Seconds), cmp.Compare(worst.Shard, shard)) > 0 {
				worst = gap
			}
		}
	}
	worst.Seconds, worst.At = milli(worst.Seconds), milli(worst.At)
	return worst
}

// milli rounds to thousandths.
func milli(seconds float64) float64 { return float64(int64(seconds*1000+0.5)) / 1000 }
