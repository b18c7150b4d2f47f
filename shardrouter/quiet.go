package shardrouter

import (
	"errors"
	"sync"
	"time"
)

// quietFor is how long a node that let a request wait in vain is asked only after all others: one that is paused, or cut
// off with its connections open, would cost every read the full time of an attempt.
const quietFor = 5 * time.Second

// quietBook remembers which nodes took a request and never answered it. A hint: they are still asked, only last.
type quietBook struct {
	mu struct {
		sync.Mutex
		until map[string]time.Time
	}
}

func (b *quietBook) init() { b.mu.until = map[string]time.Time{} }

// note takes in how an attempt at a node ended: a sent request without a reply makes it quiet, any reply ends that.
func (b *quietBook) note(node string, err error) {
	var link *linkError
	silent := errors.As(err, &link) && link.sent
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case silent:
		b.mu.until[node] = time.Now().Add(quietFor)
	case err == nil || link == nil:
		delete(b.mu.until, node)
	}
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
