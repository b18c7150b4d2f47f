// Package workload drives a cluster as a crowd of clients would and tells a Recorder of every operation's call and return. The
// simulator and jepsen-lite run the same crowd, with the real client package, so that their histories mean the same.
package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvorum/kvorum/client"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

// Config of a crowd. Endpoints is needed.
type Config struct {
	Seed    uint64
	Clients int // concurrent ones, each with one operation at a time; default 8
	First   int // number of the first client: crowds of one history must not share numbers
	// Bound is how many more clients there are, numbered after the others, each bound to one endpoint. They mostly read, a few times
	// a second, and soon give up. Others leave a node that hangs; of these one asks it again and again, so that somebody has just
	// asked when it goes on.
	Bound     int
	Endpoints []string // base URLs; each client prefers another
	Keys      []string // default DefaultKeys
	// Pause is the mean time between the operations of a client that is not bound, drawn anew each time. Default 50 ms.
	Pause time.Duration
	// Rate, if not 0, is how many operations the clients that are not bound begin together in a second, in place of Pause: time in
	// which nothing could be done is made good afterwards.
	Rate float64
	// Beat, if not 0, lets these clients begin operations at its multiples only, so that several begin at once, as people's programs do
	// at the tick of a clock. It bounds the rate: each client begins one operation a beat at most.
	Beat time.Duration
	// AttemptTimeout and OperationTimeout are the client's; defaults 2 s and 6 s.
	AttemptTimeout, OperationTimeout time.Duration
	// ValueBytes is the largest padding of a value: most are short, some have this length. Default 64.
	ValueBytes int
	// Lists are keys whose values grow by compare-and-set loops, a turn of each client in six; none: no such loops.
	Lists []string
	// PrefixBytes of a key are what a listing asks for. Default 1.
	PrefixBytes int
	// EndpointsOnly keeps all clients to the endpoints: none looks up the nodes' own addresses.
	EndpointsOnly bool
	// Operations bounds how many all clients together begin, a batch or an append counted as one; 0: no bound.
	Operations int64
	// Wrong, if not nil, is told of replies that no request here deserves: refusals, as all are well formed, and results of a batch
	// that are out of its order. From several goroutines.
	Wrong func(error)
}

// DefaultKeys spread over n shards of the last-byte slot function: some share a slot, so their revisions interleave.
func DefaultKeys(n int) []string {
	keys := make([]string, 0, n)
	for i := range n {
		keys = append(keys, fmt.Sprintf("%c%d:%c", 'a'+i%3, i, 'a'+i*5%26))
	}
	return keys
}

// Recorder is told of operations. It is called from several goroutines.
type Recorder interface {
	// Called is told of o before it is sent: kind, key, input, client. It returns the operation's number.
	Called(o *lin.Operation) (number uint64)
	// Returned is told of its end: the same o with output, outcome, node and receipt.
	Returned(number uint64, o *lin.Operation)
}

func (c *Config) fillDefaults() {
	if c.Clients == 0 {
		c.Clients = 8
	}
	if len(c.Keys) == 0 {
		c.Keys = DefaultKeys(12)
	}
	if c.Pause == 0 {
		c.Pause = 50 * time.Millisecond
	}
	if c.AttemptTimeout == 0 {
		c.AttemptTimeout = 2 * time.Second
	}
	if c.OperationTimeout == 0 {
		c.OperationTimeout = 6 * time.Second
	}
	if c.ValueBytes == 0 {
		c.ValueBytes = 64
	}
	if c.PrefixBytes == 0 {
		c.PrefixBytes = 1
	}
}

// Run drives the cluster until ctx ends. Operations under way then still come to their end, at most OperationTimeout later.
func Run(ctx context.Context, c Config, r Recorder) error {
	c.fillDefaults()
	if len(c.Endpoints) == 0 {
		return errors.New("workload: no endpoints")
	}
	var crowd sync.WaitGroup
	pace := &pace{rate: c.Rate, start: time.Now(), clients: c.Clients, fixed: c.Pause, beat: c.Beat}
	var budget *atomic.Int64
	if c.Operations > 0 {
		budget = &atomic.Int64{}
		budget.Store(c.Operations)
	}
	for i := range c.Clients + c.Bound {
		p, err := newPerson(c, c.First+i, i >= c.Clients, r)
		if err != nil {
			return err
		}
		p.budget, p.pace = budget, pace
		crowd.Go(func() {
			defer p.client.Close()
			p.live(ctx)
		})
	}
	crowd.Wait()
	return nil
}

// batchIn: one of so many turns of a client that is not bound is a batch.
const batchIn = 20

// growIn: with lists, one of so many turns of a client is an append.
const growIn = 6

// person is one client: a random mix of everything that keys can do, each value unique.
type person struct {
	Config
	number   int
	isBound  bool // see Config.Bound
	recorder Recorder
	budget   *atomic.Int64 // of operations; nil: no bound
	pace     *pace
	client   *client.Client
	draw     *rand.Rand
	temper   *rand.Rand
	seen     map[string]seen // by key; nil until something is
	written  int
}

func newPerson(c Config, number int, bound bool, r Recorder) (*person, error) {
	turned := make([]string, 0, len(c.Endpoints))
	for i := range c.Endpoints {
		turned = append(turned, c.Endpoints[(i+number)%len(c.Endpoints)])
	}
	if bound {
		turned, c.EndpointsOnly = turned[:1], true
		c.OperationTimeout = mostBoundPatience
	}
	cl, err := client.New(client.Config{
		Endpoints: turned, Timeout: c.OperationTimeout, AttemptTimeout: c.AttemptTimeout, DirectRouting: number%4 == 2 && !c.EndpointsOnly, Session: HasSession(number),
		Retry: client.RetryPolicy{Base: 20 * time.Millisecond, Max: 500 * time.Millisecond},
	})
	if err != nil {
		return nil, fmt.Errorf("workload: %w", err)
	}
	return &person{Config: c, number: number, isBound: bound, recorder: r, client: cl, draw: rand.New(rand.NewPCG(c.Seed, uint64(number))), temper: rand.New(rand.NewPCG(c.Seed, uint64(number)|1<<32))}, nil
}

// HasSession says which clients read their own writes also with bounded and stale reads.
func HasSession(number int) bool { return number%4 == 3 }

func (p *person) live(ctx context.Context) {
	for ctx.Err() == nil && (p.budget == nil || p.budget.Add(-1) >= 0) {
		p.turn()
		wait := time.NewTimer(p.wait())
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

func (p *person) turn() {
	switch {
	case p.isBound && p.draw.IntN(4) > 0:
		p.within(p.patience(), &lin.Operation{Key: p.Keys[p.draw.IntN(len(p.Keys))], Client: p.number, Kind: lin.Get})
	case len(p.Lists) > 0 && !p.isBound && p.draw.IntN(growIn) == 0:
		p.grow()
	case !p.isBound && p.draw.IntN(batchIn) == 0:
		p.batch(p.patience())
	default:
		p.within(p.patience(), p.next())
	}
}

func (p *person) wait() time.Duration {
	times := p.draw.ExpFloat64()
	if p.isBound {
		return time.Duration(times * float64(boundPause))
	}
	return p.pace.wait(times, time.Now())
}

// next draws an operation.
func (p *person) next() *lin.Operation {
	key := p.Keys[p.draw.IntN(len(p.Keys))]
	o := &lin.Operation{Key: key, Client: p.number, Kind: lin.Get}
	switch dice := p.draw.IntN(40); {
	case dice < 7:
		o.Kind, o.Input.Revision = lin.CAS, p.seen[key].latest
	case dice < 18:
		o.Kind = lin.Put
	case dice < 20:
		o.Kind = lin.Update
	case dice < 21:
		o.Kind = lin.Create
	case dice < 23:
		o.Kind = lin.Delete
	case dice < 25:
		o.Kind, o.Input.Revision = lin.Delete, p.seen[key].latest
	case dice < 27:
		o.Input.Consistency = string(wire.Stale)
	case dice < 29:
		o.Input.Consistency = string(wire.Bounded)
	case dice < 30:
		o.Kind, o.Key, o.Listing = lin.List, "", &lin.Listing{Prefix: key[:min(len(key), p.PrefixBytes)]}
	}
	if o.Kind == lin.CAS && o.Input.Revision == 0 {
		o.Kind = lin.Create
	}
	p.fill(o)
	return o
}

// fill gives a write its unique value and, to every other one, an idempotency key, which makes it safe to repeat.
func (p *person) fill(o *lin.Operation) {
	if o.Kind == lin.Get || o.Kind == lin.List {
		return
	}
	p.written++
	name := fmt.Sprintf("%d-%d", p.number, p.written)
	if p.draw.IntN(2) == 0 {
		o.Input.IdempotencyKey = "w-" + name
	}
	if o.Kind == lin.Delete {
		return
	}
	padding := p.draw.IntN(8)
	if p.draw.IntN(16) == 0 {
		padding = p.ValueBytes
	}
	o.Input.Value = name + ":" + strings.Repeat("x", padding)
}

// Of bound clients.
const (
	boundPause        = 250 * time.Millisecond // mean time between two operations
	mostBoundPatience = 700 * time.Millisecond
)

// impatientIn: one of so many operations is given up early, in the midst of attempts, as people do.
const impatientIn = 8

func (p *person) patience() time.Duration {
	if p.isBound {
		return time.Duration((0.1 + 0.9*p.temper.Float64()) * float64(p.OperationTimeout))
	}
	if p.temper.IntN(impatientIn) != 0 {
		return p.OperationTimeout
	}
	return time.Duration((0.02 + 0.3*p.temper.Float64()) * float64(p.OperationTimeout))
}

func (p *person) one(o *lin.Operation) { p.within(p.OperationTimeout, o) }

// within does the operation and gives it up after the time.
func (p *person) within(patience time.Duration, o *lin.Operation) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	number := p.recorder.Called(o)
	receipt, err := p.do(ctx, o)
	conclude(o, receipt, err)
	p.recorder.Returned(number, o)
	if undeserved(err) {
		p.wrong(fmt.Errorf("a well formed request was refused: %w", err))
	}
	p.learn(o)
}

func (p *person) wrong(err error) {
	if p.Wrong != nil {
		p.Wrong(err)
	}
}

// seen is what a client was last told of a key.
type seen struct {
	latest   uint64 // revision; 0: absent
	revision uint64 // of value; 0: no value was ever told
	value    string
}

// learn keeps what the reply says of the key: conditions are made of it.
func (p *person) learn(o *lin.Operation) {
	if o.Output.Result == "" || o.Kind == lin.List || o.Kind == lin.Delete && o.Output.Result == lin.OK {
		return
	}
	if p.seen == nil {
		p.seen = map[string]seen{}
	}
	s := p.seen[o.Key]
	s.latest = o.Output.Revision
	if o.Output.Result == lin.OK {
		s.revision, s.value = s.latest, o.Input.Value
		if o.Kind == lin.Get {
			s.value = o.Output.Value
		}
	}
	p.seen[o.Key] = s
}
