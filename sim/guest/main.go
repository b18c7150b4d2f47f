// Command guest is the program of the simulator's client machines: a crowd of clients, or one errand. It prints one JSON line
// per event, to which the world adds the time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kvorum/kvorum/client"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/workload"
)

func main() {
	var c workload.Config
	var endpoints, errand string
	var keys int
	var life time.Duration
	flag.Uint64Var(&c.Seed, "seed", 0, "of the operations")
	flag.IntVar(&c.Clients, "clients", 8, "concurrent clients")
	flag.IntVar(&c.Bound, "bound", 0, "how many more there are, each bound to one endpoint")
	flag.IntVar(&c.First, "first", 0, "number of the first client")
	flag.IntVar(&keys, "keys", 12, "number of keys")
	flag.IntVar(&c.ValueBytes, "value-bytes", 64, "largest value")
	flag.Int64Var(&c.Operations, "operations", 0, "stop after so many; 0: no bound")
	flag.DurationVar(&c.Pause, "pause", 50*time.Millisecond, "mean time between operations of a client")
	flag.StringVar(&endpoints, "endpoints", "", "base URLs, comma separated")
	flag.DurationVar(&c.Beat, "beat", 0, "begin operations at multiples of this only; 0: at any time")
	flag.Float64Var(&c.Rate, "rate", 0, "operations of all clients a second, in place of -pause")
	flag.DurationVar(&life, "for", time.Minute, "how long to go on")
	flag.StringVar(&errand, "errand", "", "in place of operations: read-all, write-all, transfer SHARD, snapshot SHARD, status")
	flag.Parse()
	c.Endpoints, c.Keys = strings.Split(endpoints, ","), workload.DefaultKeys(keys)
	ctx, cancel := context.WithTimeout(context.Background(), life)
	defer cancel()
	if err := run(ctx, c, errand); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c workload.Config, errand string) error {
	r := &printer{}
	name, rest, _ := strings.Cut(errand, " ")
	switch name {
	case "":
		c.Wrong = r.wronged
		err := workload.Run(ctx, c, r)
		return errors.Join(err, r.wrong)
	case "read-all":
		return workload.ReadAll(ctx, c, r)
	case "write-all":
		return workload.WriteAll(ctx, c, r)
	}
	cl, err := client.New(client.Config{Endpoints: c.Endpoints, Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer cl.Close()
	var shard uint32
	if _, err := fmt.Sscan(rest, &shard); err != nil && name != "status" {
		return fmt.Errorf("errand %q: %w", errand, err)
	}
	var reply any
	switch name {
	case "transfer":
		reply, err = cl.TransferLeader(ctx, shard, "")
	case "snapshot":
		reply, err = cl.Snapshot(ctx, shard)
	case "status":
		reply, err = cl.ClusterStatus(ctx)
	default:
		return fmt.Errorf("no errand %q", name)
	}
	if err != nil {
		return err
	}
	return r.print(map[string]any{"errand": name, "reply": reply})
}

// printer writes events to standard output.
type printer struct {
	mu    sync.Mutex
	next  uint64
	wrong error // the first reply that no request deserved
}

func (p *printer) wronged(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wrong == nil {
		p.wrong = err
	}
}

func (p *printer) print(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(b, '\n'))
	return err
}

// event is one line: "call" has the input, "return" all of the operation.
type event struct {
	Event     string         `json:"event"`
	Number    uint64         `json:"number"`
	Operation *lin.Operation `json:"operation"`
}

// Called implements workload.Recorder.
func (p *printer) Called(o *lin.Operation) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	asked := *o
	asked.Outcome = lin.Unknown // until it returns
	p.must(event{"call", p.next, &asked})
	return p.next
}

// Returned implements workload.Recorder.
func (p *printer) Returned(number uint64, o *lin.Operation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.must(event{"return", number, o})
}

func (p *printer) must(e event) {
	if err := p.print(e); err != nil {
		panic(err) // without its history the run is worth nothing
	}
}
