package replica

import (
	"sync/atomic"

	"github.com/kvorum/kvorum/wire"
)

// Limiter bounds the requests in flight and the bytes of their bodies: what is too much is refused at once, so that those
// in flight go on at full speed. Both are counted, never waited for.
type Limiter struct {
	maxRequests, maxBytes int64
	requests, bytes       atomic.Int64
}

// NewLimiter bounds requests (count) and bytes.
func NewLimiter(requests, bytes int64) *Limiter {
	return &Limiter{maxRequests: requests, maxBytes: bytes}
}

// Enter counts a request in. After a nil error Leave must follow.
func (l *Limiter) Enter() error {
	if l.requests.Add(1) > l.maxRequests {
		l.requests.Add(-1)
		return Failure(wire.CodeOverloaded, "%d requests are in flight, the limit of this node: try again later", l.maxRequests)
	}
	return nil
}

// Leave counts a request out.
func (l *Limiter) Leave() { l.requests.Add(-1) }

// Take counts n bytes of a body in. After a nil error Give(n) must follow.
func (l *Limiter) Take(n int64) error {
	if l.bytes.Add(n) > l.maxBytes {
		l.bytes.Add(-n)
		return Failure(wire.CodeOverloaded, "request bodies in flight would exceed %d bytes, the limit of this node: try again later", l.maxBytes)
	}
	return nil
}

// Give counts n bytes out.
func (l *Limiter) Give(n int64) { l.bytes.Add(-n) }

// Requests in flight.
func (l *Limiter) Requests() int64 { return l.requests.Load() }

// Bytes of bodies in flight.
func (l *Limiter) Bytes() int64 { return l.bytes.Load() }
