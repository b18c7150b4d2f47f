package netns

import (
	"encoding/json"
	"fmt"
)

// What follows are the words of nftables and tc, for this package and for those that write such rules elsewhere.

// longestWait is what a slow link's queue holds at its rate.
const longestWait = "500ms"

// Chance begins a rule of nftables that meets so many of a thousand packets, at random. All are met by a rule without it.
func Chance(perMill int) string {
	if perMill >= 1000 {
		return ""
	}
	return fmt.Sprintf("numgen random mod 1000 < %d ", perMill)
}

// Packets reads how many each counter has seen from what nft -j list counters says.
func Packets(text string) (map[string]int64, error) {
	var list struct {
		Nftables []struct {
			Counter *struct {
				Name    string
				Packets int64
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("nft list counters: %w", err)
	}
	packets := map[string]int64{}
	for _, item := range list.Nftables {
		if item.Counter != nil {
			packets[item.Counter.Name] = item.Counter.Packets
		}
	}
	return packets, nil
}

// Queue is what tc qdisc calls a link of so many kilobits per second.
func Queue(kilobits int) ([]string, error) {
	if kilobits < 1 || kilobits > 10_000_000 {
		return nil, fmt.Errorf("netns: %d kilobits per second", kilobits)
	}
	burst := max(kilobits*1000/8/100, 4000) // bytes: what 10 ms carry, and at least two packets
	return []string{"tbf", "rate", fmt.Sprintf("%dkbit", kilobits), "burst", fmt.Sprint(burst), "latency", longestWait}, nil
}

// Queued reads what such queues have held up from what tc -s -j qdisc show says.
func Queued(text string) (Held, error) {
	var queues []struct {
		Kind              string
		Drops, Overlimits int64
	}
	var h Held
	if err := json.Unmarshal([]byte(text), &queues); err != nil {
		return h, fmt.Errorf("tc qdisc show: %w", err)
	}
	for _, q := range queues {
		if q.Kind == "tbf" {
			h.Packets += q.Overlimits
			h.Dropped += q.Drops
		}
	}
	return h, nil
}
