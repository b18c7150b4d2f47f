package node

import (
	"errors"
	"fmt"
	"time"
)

// Timing bounds how long a request may wait for whom. The struct tags are flags of `kvorum serve`, `dev` and `router`: name,
// default and help stand here once. DefaultTiming gives the same defaults to programs that don't parse flags (a test
// compares them).
type Timing struct {
	LeaderWait  time.Duration `name:"leader-wait" default:"8s" group:"timing" help:"How long a request waits for its shard to have a leader; then it gets 503, not applied. Longer than an election takes, also one that is lost once; at most four fifths of --request-timeout, so that a leader found late has time for the request."`
	ReadAttempt time.Duration `name:"read-attempt" default:"3s" group:"timing" help:"How long one replica may take for a read before another is asked."`

	ReadHeaderTimeout time.Duration `name:"http-read-header-timeout" default:"10s" group:"timing" help:"Time for a client to send the headers of a request; then the connection is closed."`
	ReadTimeout       time.Duration `name:"http-read-timeout" default:"2m" group:"timing" help:"Time for a client to send a whole request, its body included; then the connection is closed."`
	IdleTimeout       time.Duration `name:"http-idle-timeout" default:"2m" group:"timing" help:"How long a connection may lie idle between requests. Longer than a proxy's, so that the proxy closes first: a request may meet a close by the server on its way, and its outcome is unknown then."`
}

// DefaultTiming is what the flags default to.
func DefaultTiming() Timing {
	return Timing{LeaderWait: 8 * time.Second, ReadAttempt: 3 * time.Second, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute}
}

// withDefaults fills in what is zero.
func (t Timing) withDefaults() Timing {
	d := DefaultTiming()
	for field, value := range map[*time.Duration]time.Duration{
		&t.LeaderWait: d.LeaderWait, &t.ReadAttempt: d.ReadAttempt, &t.ReadHeaderTimeout: d.ReadHeaderTimeout, &t.ReadTimeout: d.ReadTimeout, &t.IdleTimeout: d.IdleTimeout,
	} {
		if *field == 0 {
			*field = value
		}
	}
	return t
}

// Validate says in one error everything that is wrong. 0 is none of the times: it would be no bound, or no time at all.
func (t Timing) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	const least = time.Millisecond
	refuse(t.LeaderWait < least, "leader-wait %v is below %v", t.LeaderWait, least)
	refuse(t.ReadAttempt < least, "read-attempt %v is below %v", t.ReadAttempt, least)
	refuse(t.ReadHeaderTimeout < least, "http-read-header-timeout %v is below %v", t.ReadHeaderTimeout, least)
	refuse(t.ReadTimeout < t.ReadHeaderTimeout, "http-read-timeout %v is below http-read-header-timeout %v: it includes the headers", t.ReadTimeout, t.ReadHeaderTimeout)
	refuse(t.IdleTimeout < least, "http-idle-timeout %v is below %v", t.IdleTimeout, least)
	return errors.Join(errs...)
}
