package shardrouter

import (
	"context"
	"errors"
	"sync"
	"time"
)

// quietFor is how long a node that did not answer is asked only after all others: one that is paused, or cut
// off with its connections open, would cost every read the full time of an attempt.
const quietFor = 5 * time.Second

// quietBook remembers which nodes could not be reached or never answered. A hint: they are still asked, only last.
type quietBook struct {
	mu struct {
		sync.Mutex
		until map[string]time.Time
	}
}

func (b *quietBook) init() { b.mu.until = map[string]time.Time{} }

// note takes in how an attempt at a node ended: without a reply it makes the node quiet, any reply ends that. An attempt that
// was called off says nothing.
func (b *quietBook) note(node string, err error) {
	var link *linkError
	silent := errors.As(err, &link)
	if silent && errors.Is(err, context.Canceled) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if silent {
		b.mu.until[node] = time.Now().Add(quietFor)
		return
	}
	delete(b.mu.until, node)
}

func (b *quietBook) has(node string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.mu.until[node]
	if ok && time.Now().After(until) {
		delete(b.mu.until, node)
		return false
	}
	return ok
}
