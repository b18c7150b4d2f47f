package client

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// Option changes one call.
type Option func(*options)

type options struct {
	condition      condition
	revision       uint64
	idempotencyKey string
	consistency    wire.Consistency
	maxStale       time.Duration
}

type condition uint8

const (
	always condition = iota
	ifAbsent
	ifPresent
	ifRevision
	ifChanged
)

// IfRevision makes an operation depend on the key's present revision.
func IfRevision(revision uint64) Option {
	return func(o *options) { o.condition, o.revision = ifRevision, revision }
}

// IfPresent makes an operation depend on the key's being there.
func IfPresent() Option { return func(o *options) { o.condition = ifPresent } }

// IfAbsent makes a write depend on the key's not being there.
func IfAbsent() Option { return func(o *options) { o.condition = ifAbsent } }

// IfChanged makes a Get give ErrNotModified, and no value, if the key is still at revision.
func IfChanged(revision uint64) Option {
	return func(o *options) { o.condition, o.revision = ifChanged, revision }
}

// IdempotencyKey makes a write execute once however often it is sent within ten minutes: 1-255 visible ASCII characters,
// unique to this write.
func IdempotencyKey(key string) Option { return func(o *options) { o.idempotencyKey = key } }

// Consistency chooses what a read may return.
func Consistency(c wire.Consistency) Option { return func(o *options) { o.consistency = c } }

// MaxStale makes a read bounded: what it returns was current at most d ago.
func MaxStale(d time.Duration) Option {
	return func(o *options) { o.consistency, o.maxStale = wire.Bounded, d }
}

// NewIdempotencyKey makes a random one of 32 characters.
func NewIdempotencyKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

func (c *Client) optionsOf(list []Option) options {
	o := options{consistency: c.config.Consistency, maxStale: c.config.MaxStale}
	for _, option := range list {
		option(&o)
	}
	return o
}

// conditionHeader is what says the condition, as HTTP does.
func (o options) conditionHeader() [][2]string {
	switch o.condition {
	case ifAbsent:
		return [][2]string{{"If-None-Match", "*"}}
	case ifPresent:
		return [][2]string{{"If-Match", "*"}}
	case ifRevision:
		return [][2]string{{"If-Match", formatETag(o.revision)}}
	case ifChanged:
		return [][2]string{{"If-None-Match", formatETag(o.revision)}}
	}
	return nil
}

func checkConsistency(c wire.Consistency, maxStale time.Duration) error {
	switch c {
	case "", wire.Linearizable, wire.Stale:
		return nil
	case wire.Bounded:
		if maxStale <= 0 {
			return errors.New("bounded reads need a MaxStale above zero")
		}
		return nil
	}
	return fmt.Errorf("consistency %q: want linearizable, bounded or stale", c)
}

// readQuery sets the query parameters of a read into q.
func (o options) readQuery(q url.Values) error {
	if err := checkConsistency(o.consistency, o.maxStale); err != nil {
		return err
	}
	if o.consistency != "" && o.consistency != wire.Linearizable {
		q.Set("consistency", string(o.consistency))
	}
	if o.consistency == wire.Bounded {
		q.Set("max_stale", o.maxStale.String())
	}
	return nil
}
