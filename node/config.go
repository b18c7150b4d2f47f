package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Config describes one node: the flags of `kvorum serve`. Zero values of limits and times mean the defaults below.
type Config struct {
	Cluster      string
	Shard        uint32
	Node         string
	ShardCount   uint32
	SlotFunction store.SlotFunction
	Members      []wire.Member // initial members of this shard, this node included
	Seeds        []string      // peer addresses (host:port) of any nodes of the cluster
	Listen       string        // API address, host:port
	PeerListen   string        // peer address, host:port
	AdvertiseAPI string        // API address as clients reach it; default: the listener's
	DataDir      string

	MaxValueBytes    int64
	MemoryQuota      uint64 // 0: MemoryQuotaFor what the machine or container has
	IdempotencyBytes uint64
	RequestTimeout   time.Duration
	MaxRequests      int64         // in flight on the API
	MaxRequestBytes  int64         // of request bodies in flight on the API
	DrainTime        time.Duration // not ready, but still serving, before a graceful stop goes on

	Timing  Timing // zero fields: those of DefaultTiming
	Tuning  controller.Tuning
	Logger  *slog.Logger
	Version string
}

// Defaults of Config.
const (
	DefaultIdempotencyBytes = 64 << 20
	DefaultRequestTimeout   = 10 * time.Second
	DefaultMaxRequests      = 8192
	DefaultMaxRequestBytes  = 256 << 20
	DefaultDrainTime        = 1500 * time.Millisecond // who looks every 100 ms, over a new connection, must see more than a second of it
)

func (c Config) withDefaults() Config {
	if c.MaxValueBytes <= 0 {
		c.MaxValueBytes = wire.MaxValueBytes
	}
	if c.IdempotencyBytes == 0 {
		c.IdempotencyBytes = DefaultIdempotencyBytes
	}
	if c.RequestTimeout <= 0 {
		c.RequestTimeout = DefaultRequestTimeout
	}
	if c.MaxRequests <= 0 {
		c.MaxRequests = DefaultMaxRequests
	}
	if c.MaxRequestBytes <= 0 {
		c.MaxRequestBytes = DefaultMaxRequestBytes
	}
	if c.DrainTime <= 0 {
		c.DrainTime = DefaultDrainTime
	}
	c.Timing = c.Timing.withDefaults()
	if c.MemoryQuota == 0 {
		c.MemoryQuota = MemoryQuotaFor(AvailableMemory())
	}
	if c.SlotFunction == 0 {
		c.SlotFunction = store.LastByte
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// checkAddresses looks at the form of addresses only: whether anybody is there shows later, and may change.
func (c Config) checkAddresses() error {
	errs := []error{checkAddress("--listen", c.Listen), checkAddress("--peer-listen", c.PeerListen), checkSeeds(c.Seeds)}
	if c.AdvertiseAPI != "" {
		errs = append(errs, checkAddress("--advertise-api", c.AdvertiseAPI))
	}
	return errors.Join(errs...)
}

// Tuning and SlotFunction are what the flags of the program need, so that it imports nothing behind this package.
type (
	Tuning       = controller.Tuning
	SlotFunction = store.SlotFunction
)

// ParseSlotFunction reads the flag --slot-function: last-byte or hash.
func ParseSlotFunction(name string) (SlotFunction, error) { return store.ParseSlotFunction(name) }

// ParseMembers reads the flag --members: id=peer_address/api_address, comma separated.
func ParseMembers(flag string) ([]wire.Member, error) {
	var members []wire.Member
	for _, part := range strings.Split(flag, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		id, addresses, ok := strings.Cut(part, "=")
		peerAddress, apiAddress, ok2 := strings.Cut(addresses, "/")
		if !ok || !ok2 || id == "" {
			return nil, fmt.Errorf("member %q: write id=peer_host:port/api_host:port, as in s0n0=10.0.0.1:7080/10.0.0.1:8080", part)
		}
		for _, a := range []string{peerAddress, apiAddress} {
			if _, port, err := net.SplitHostPort(a); err != nil || port == "" {
				return nil, fmt.Errorf("member %q: %q is not host:port", part, a)
			}
		}
		members = append(members, wire.Member{ID: id, PeerAddress: peerAddress, APIAddress: apiAddress})
	}
	if len(members) == 0 {
		return nil, errors.New("no members given: name all initial replicas of the shard, this node included")
	}
	return members, nil
}
