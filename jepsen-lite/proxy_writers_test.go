//go:build deploy

package jepsenlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// counted are writers through HAProxy whose executions are counted by the state machine itself: each has, per shard, a slot
// that nobody else writes to, so the revision of its one key there is the number of its writes that were executed.
type counted struct {
	stopped atomic.Bool
	done    sync.WaitGroup

	mu       sync.Mutex
	acks     map[uint32][]ack // by shard, in the order in which they came
	outcomes map[string]int   // "503 not-applied"
	carried  map[string]int   // replies, by the protocol that they came in
	refused  int              // connections that were to be HTTP/2 and were answered as HTTP/1.1
	writers  []*countedWriter
}

// ack is one write, from the moment it was sent to that of its acknowledgement.
type ack struct{ sent, came time.Time }

// countedWriter is one client with its own connections. It sends each request once: net/http by itself repeats no PUT that was
// sent, as long as it has no Idempotency-Key and nobody says that the request was refused, which HTTP/2 has a word for.
type countedWriter struct {
	name   string
	client *http.Client
	knock  *http.Client // tries HTTP/2 now and then; nil: does not
	base   string
	keys   []*countedKey
}

// speaks is what a client of an address without TLS may speak.
type speaks int

const (
	http1      speaks = iota
	eitherHTTP        // can do both; without TLS nobody tells it that it may use HTTP/2, so net/http does not
	http2Only         // with prior knowledge: the connection's first bytes are HTTP/2
)

func newSpeaker(s speaks) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP1(s != http2Only) // with both, net/http takes HTTP/1.1
	protocols.SetUnencryptedHTTP2(s != http1)
	return &http.Client{Transport: &http.Transport{Protocols: &protocols}, Timeout: 30 * time.Second}
}

// countedKey is one key in a slot of its own. Its counts are guarded by counted.mu.
type countedKey struct {
	key                                string
	shard                              uint32
	sent, applied, notApplied, unknown uint64
	revision                           uint64 // of the last acknowledged write
	beyond                             uint64 // most executions beyond what may have been
	repeated                           string // the first write after which that was so
	maybe                              uint64 // unknown ones not yet seen to have been executed
}

// knockEvery is how many writes lie between two attempts at HTTP/2.
const knockEvery = 10

// startCounted starts n writers through HAProxy. Every other can speak HTTP/2: it negotiates, and tries prior knowledge now
// and then, as clients do that fall back.
func startCounted(ctx context.Context, base string, n int, shards ...uint32) *counted {
	c := newCounted(base, n, shards...)
	for i, w := range c.writers {
		w.client = newSpeaker(http1)
		if i%2 == 1 {
			w.client, w.knock = newSpeaker(eitherHTTP), newSpeaker(http2Only)
		}
	}
	c.start(ctx)
	return c
}

// newCounted makes writers without clients.
func newCounted(base string, n int, shards ...uint32) *counted {
	c := &counted{acks: map[uint32][]ack{}, outcomes: map[string]int{}, carried: map[string]int{}}
	for i := range n {
		w := &countedWriter{name: fmt.Sprintf("w%d", i), base: base}
		for _, shard := range shards {
			last := byte(3*(i+1)) + byte(shard) // slots 3.. of the writer: one per shard
			w.keys = append(w.keys, &countedKey{key: fmt.Sprintf("count-%s-%%%02X", w.name, last), shard: uint32(last) % 3})
		}
		c.writers = append(c.writers, w)
	}
	return c
}

func (c *counted) start(ctx context.Context) {
	for _, w := range c.writers {
		c.done.Go(func() {
			for number := 0; !c.stopped.Load() && ctx.Err() == nil; number++ {
				k := w.keys[number%len(w.keys)]
				if w.knock != nil && number%knockEvery == 0 {
					c.write(ctx, w, w.knock, k, number)
					w.knock.CloseIdleConnections()
				}
				c.write(ctx, w, w.client, k, number)
			}
		})
	}
}

// write sends one write once and takes its outcome down.
func (c *counted) write(ctx context.Context, w *countedWriter, client *http.Client, k *countedKey, number int) {
	start := time.Now()
	status, protocol, outcome, revision := w.put(ctx, client, k.key, fmt.Sprintf("%s-%d", w.name, number))
	if client == w.knock && protocol == "" {
		// HAProxy refuses at the first bytes; its answer may be lost when it ends the connection under the rest of them. That
		// nothing is done then is claimed here, and seen if it is not so: an execution too many.
		outcome = wire.NotApplied
		if status != answeredInHTTP1 {
			status = cutInHTTP2
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k.sent++
	switch {
	case protocol != "":
		c.carried[protocol]++
	case status == answeredInHTTP1:
		c.refused++
	}
	switch outcome {
	case wire.Applied:
		k.applied++
		k.count(revision, w.name, number)
	case wire.NotApplied:
		k.notApplied++
	default:
		k.unknown++
		k.maybe++
	}
	c.outcomes[fmt.Sprintf("%s %s", status, outcome)]++
	if outcome == wire.Applied {
		c.acks[k.shard] = append(c.acks[k.shard], ack{start, time.Now()})
	}
}

// count compares an acknowledged revision with the one before: in between lie this write and some of unknown outcome, each
// once at most.
func (k *countedKey) count(revision uint64, name string, number int) {
	between := revision - k.revision - 1
	k.revision = revision
	if between <= k.maybe {
		k.maybe -= between
		return
	}
	if k.repeated == "" {
		k.repeated = fmt.Sprintf("write %d of %s to %s: revision %d, %d others executed since the last acknowledged one where at most %d can have been", number, name, k.key, revision, between, k.maybe)
	}
	k.beyond += between - k.maybe
	k.maybe = 0
}

// answeredInHTTP1 is what becomes of a connection whose HTTP/2 preface is not understood: no request was read from it, so
// nothing can have been done.
const (
	answeredInHTTP1 = "HTTP/2 refused"
	cutInHTTP2      = "HTTP/2 refused, connection cut"
)

func (w *countedWriter) put(ctx context.Context, client *http.Client, key, value string) (status, protocol string, outcome wire.Outcome, revision uint64) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, w.base+"/v1/kv/"+key, strings.NewReader(value))
	if err != nil {
		return err.Error(), "", wire.Unknown, 0
	}
	request.Header.Set(wire.HeaderRequestID, value)
	response, err := client.Do(request)
	if err != nil && strings.Contains(err.Error(), "looked like an HTTP/1.1 header") {
		return answeredInHTTP1, "", wire.NotApplied, 0
	}
	if err != nil {
		return "no reply", "", wire.Unknown, 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // the headers say it all
	revision, _ = strconv.ParseUint(strings.Trim(response.Header.Get("ETag"), `"`), 10, 64)
	outcome = wire.Outcome(response.Header.Get(wire.HeaderOutcome))
	if !outcome.Valid() {
		outcome = wire.Unknown
	}
	return strconv.Itoa(response.StatusCode), response.Proto, outcome, revision
}

// stop ends the writers and waits for them.
func (c *counted) stop() {
	c.stopped.Store(true)
	c.done.Wait()
	for _, w := range c.writers {
		w.client.CloseIdleConnections()
	}
}

// acked is how many writes of a shard have been acknowledged.
func (c *counted) acked(shard uint32) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acks[shard])
}

// anyRepeated reports whether a write has been seen to be executed more often than sent.
func (c *counted) anyRepeated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.writers {
		if slices.ContainsFunc(w.keys, func(k *countedKey) bool { return k.beyond > 0 }) {
			return true
		}
	}
	return false
}

// waitAcked waits for n more acknowledged writes of a shard.
func (c *counted) waitAcked(ctx context.Context, shard uint32, n int) error {
	target := c.acked(shard) + n
	return cluster.WaitFor(ctx, fmt.Sprintf("%d acknowledged writes of shard %d", n, shard), func(context.Context) error {
		if have := c.acked(shard); have < target {
			return fmt.Errorf("%d are missing", target-have)
		}
		return nil
	})
}

// stall is the longest time without an acknowledged write of the shard that overlaps the time from an event to until, and
// when it ended.
func (c *counted) stall(shard uint32, event, until time.Time) (longest time.Duration, ended time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := time.Time{}
	for _, a := range c.acks[shard] {
		if !last.IsZero() && a.came.After(event) && last.Before(until) {
			if gap := a.came.Sub(last); gap > longest {
				longest, ended = gap, a.came
			}
		}
		last = a.came
	}
	return longest, ended
}

// repeats says which writes were executed more often than sent: by the revisions on the way, and by the last ones, read back.
func (c *counted) repeats(ctx context.Context, front *cluster.Node) (found []string, executed, sent uint64, err error) {
	for _, w := range c.writers {
		for _, k := range w.keys {
			reply, err := front.Do(ctx, http.MethodGet, "/v1/kv/"+k.key, nil)
			if err != nil || reply.Status != 200 {
				return nil, 0, 0, errors.Join(fmt.Errorf("read %s back: %v", k.key, reply), err)
			}
			n := reply.Revision()
			executed += n
			sent += k.sent
			if k.repeated != "" {
				found = append(found, k.repeated)
			}
			if n > k.applied+k.unknown || n < k.applied {
				found = append(found, fmt.Sprintf("%s: executed %d times; %d acknowledged, %d unknown, %d not applied", k.key, n, k.applied, k.unknown, k.notApplied))
			}
		}
	}
	return found, executed, sent, nil
}

// table prints what a list of durations comes to.
func table(t *testing.T, title string, rows map[string][]time.Duration, order ...string) {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%-44s %5s %8s %8s %8s\n", title, "", "n", "p50", "p99", "max")
	for _, name := range order {
		list := rows[name]
		if len(list) == 0 {
			continue
		}
		at := func(q float64) time.Duration { return percentile(list, q).Round(100 * time.Microsecond) }
		fmt.Fprintf(&b, "%-44s %5d %8s %8s %8s\n", name, len(list), at(0.5), at(0.99), at(1))
	}
	t.Log(b.String())
}
