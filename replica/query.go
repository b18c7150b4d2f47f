package replica

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// ParseQuery reads a query string in which each parameter is known and given at most once. what names the request in the
// error.
func ParseQuery(raw, what string, known ...string) (url.Values, error) {
	if raw == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, Invalid("the query string is malformed (%v): percent-encode names and values", err)
	}
	for name, given := range values {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return nil, Invalid("query parameter %s is unknown: %s takes none", quote(name), what)
		case !slices.Contains(known, name):
			return nil, Invalid("query parameter %s is unknown: %s takes %s", quote(name), what, strings.Join(known, ", "))
		case len(given) > 1:
			return nil, Invalid("query parameter %s was given %d times: give it once", name, len(given))
		}
	}
	return values, nil
}

func parseReadQuery(raw string, req *Request) error {
	req.Consistency = wire.Linearizable
	if raw == "" {
		return nil
	}
	if !req.Operation.Reads() {
		_, err := ParseQuery(raw, "a write of a key")
		return err
	}
	values, err := ParseQuery(raw, "a read of a key", "consistency", "max_stale")
	if err != nil {
		return err
	}
	req.Consistency, req.MaxStale, err = ParseConsistency(values)
	return err
}

// ParseConsistency reads the parameters consistency and max_stale. Without them a read is linearizable.
func ParseConsistency(values url.Values) (wire.Consistency, time.Duration, error) {
	consistency := wire.Linearizable
	if values.Has("consistency") {
		consistency = wire.Consistency(values.Get("consistency"))
	}
	switch consistency {
	case wire.Linearizable, wire.Stale:
		if values.Has("max_stale") {
			return "", 0, Invalid("max_stale goes with consistency=bounded only: add that, or leave max_stale out")
		}
		return consistency, 0, nil
	case wire.Bounded:
	default:
		return "", 0, Invalid("consistency %s is unknown: use linearizable (the default), bounded or stale", quote(string(consistency)))
	}
	if !values.Has("max_stale") {
		return "", 0, Invalid("consistency=bounded needs max_stale, a duration such as 500ms")
	}
	bound, err := time.ParseDuration(values.Get("max_stale"))
	if err != nil || bound <= 0 {
		return "", 0, Invalid("max_stale %s is not a duration above zero: use one such as 500ms or 2s", quote(values.Get("max_stale")))
	}
	return consistency, bound, nil
}

// ReadQuery writes the parameters that ParseConsistency reads, for a request to another node.
func ReadQuery(consistency wire.Consistency, maxStale time.Duration) url.Values {
	values := url.Values{"consistency": {string(consistency)}}
	if consistency == wire.Bounded {
		values.Set("max_stale", maxStale.String())
	}
	return values
}
