package client

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

// session remembers, per shard, the highest index that a reply of this client carried: "shard:index,shard:index".
type session struct {
	mu      sync.Mutex
	indexes map[uint32]uint64
	token   string
}

// header is what to send with the next request, "" at first.
func (s *session) header() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// merge takes in the token of a reply. What it does not understand it leaves out.
func (s *session) merge(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := false
	for part := range strings.SplitSeq(token, ",") {
		shardText, indexText, ok := strings.Cut(strings.TrimSpace(part), ":")
		shard, err1 := strconv.ParseUint(shardText, 10, 32)
		index, err2 := strconv.ParseUint(indexText, 10, 64)
		if !ok || err1 != nil || err2 != nil || index <= s.indexes[uint32(shard)] {
			continue
		}
		if s.indexes == nil {
			s.indexes = map[uint32]uint64{}
		}
		s.indexes[uint32(shard)], changed = index, true
	}
	if changed {
		s.token = formatSession(s.indexes)
	}
}

func formatSession(indexes map[uint32]uint64) string {
	shards := make([]uint32, 0, len(indexes))
	for shard := range indexes {
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	parts := make([]string, len(shards))
	for i, shard := range shards {
		parts[i] = strconv.FormatUint(uint64(shard), 10) + ":" + strconv.FormatUint(indexes[shard], 10)
	}
	return strings.Join(parts, ",")
}
