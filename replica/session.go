package replica

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/kvorum/kvorum/store"
)

// maxSessionBytes bounds a token that a client sends: all 256 slots' shards with the largest index fit.
const maxSessionBytes = 8192

var errSession = errors.New("Kvorum-Session is not a token of this server: send back exactly what a reply carried (shard:index[,shard:index...]), or leave it out")

// SessionMark says that the client has seen Index of Shard's log.
type SessionMark struct {
	Shard store.Shard
	Index uint64
}

// Session is a read-your-writes token: at most one mark per shard, ascending by shard. A read that carries it is answered
// from a view at or after the mark of its shard. Sessions are values: no method changes one in place.
type Session []SessionMark

// ParseSession reads "shard:index[,shard:index...]". The empty text is the empty session; of two marks of one shard the
// higher counts.
func ParseSession(text string) (Session, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxSessionBytes {
		return nil, errSession
	}
	var s Session
	for part := range strings.SplitSeq(text, ",") {
		shardText, indexText, found := strings.Cut(strings.Trim(part, " \t"), ":")
		shard, err := strconv.ParseUint(shardText, 10, 32)
		if err != nil || !found {
			return nil, errSession
		}
		index, err := strconv.ParseUint(indexText, 10, 64)
		if err != nil {
			return nil, errSession
		}
		s = s.With(store.Shard(shard), index)
	}
	return s, nil
}

// Index is the mark of shard, 0 when there is none.
func (s Session) Index(shard store.Shard) uint64 {
	if at, found := s.find(shard); found {
		return s[at].Index
	}
	return 0
}

// With returns the session that has seen index of shard too.
func (s Session) With(shard store.Shard, index uint64) Session {
	at, found := s.find(shard)
	if found && s[at].Index >= index {
		return s
	}
	merged := make(Session, 0, len(s)+1)
	merged = append(merged, s...)
	if !found {
		return slices.Insert(merged, at, SessionMark{shard, index})
	}
	merged[at].Index = index
	return merged
}

// Merge returns the session that has seen what either has seen.
func (s Session) Merge(other Session) Session {
	for _, mark := range other {
		s = s.With(mark.Shard, mark.Index)
	}
	return s
}

// appendWith is s.With(shard, index).Append(dst). It makes no session for the usual request, that carried none.
func (s Session) appendWith(dst []byte, shard store.Shard, index uint64) []byte {
	if len(s) == 0 {
		return SessionMark{shard, index}.append(dst)
	}
	return s.With(shard, index).Append(dst)
}

// Append adds the token's text to dst.
func (s Session) Append(dst []byte) []byte {
	for i, mark := range s {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = mark.append(dst)
	}
	return dst
}

func (m SessionMark) append(dst []byte) []byte {
	dst = append(strconv.AppendUint(dst, uint64(m.Shard), 10), ':')
	return strconv.AppendUint(dst, m.Index, 10)
}

// String is the token's text.
func (s Session) String() string { return string(s.Append(nil)) }

func (s Session) find(shard store.Shard) (int, bool) {
	return slices.BinarySearchFunc(s, shard, func(m SessionMark, want store.Shard) int { return int(int64(m.Shard) - int64(want)) })
}
