//go:build !wasip1

package network

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"
)

// Two clocks find a peer that vanished without a word. The keep-alive asks about a connection on which nothing is said, and
// ends it after about 15 s. It does not ask while something sent is not acknowledged: then it is the bound below, on Linux.
// That one also runs against a peer that lives and takes nothing, so it is longer at the accepting end, where a client may
// leave a reply alone for 30 s; a keep-alive waits for it there.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 2}

const (
	dialledUnacknowledged  = 15 * time.Second
	acceptedUnacknowledged = 30 * time.Second
)

// control is called with each new socket, before it is bound or connected.
type control func(network, address string, raw syscall.RawConn) error

func listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive, Control: giveUpUnacknowledged(acceptedUnacknowledged)}
	return lc.Listen(ctx, "tcp", address)
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	if path, local := strings.CutPrefix(address, "unix:"); local {
		return d.DialContext(ctx, "unix", path)
	}
	d.Control = giveUpUnacknowledged(dialledUnacknowledged)
	return d.DialContext(ctx, "tcp", address)
}
