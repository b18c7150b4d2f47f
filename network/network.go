// Package network is the one seam of kvorum: every socket of the production program is opened here and nowhere else (an
// architecture test says so). Natively it is the kernel's TCP; for wasip1 the host supplies the sockets, so that the
// simulator's network can stand behind the very same program. Addresses are host:port; names are resolved at each call:
// a peer may come back under another address, and "no such host" only means "not there now".
package network

import (
	"context"
	"net"
)

// Listen opens a stream listener. Port 0 picks a free port; the listener's Addr tells which.
func Listen(ctx context.Context, address string) (net.Listener, error) { return listen(ctx, address) }

// Dial opens a stream to address. It honours ctx for resolving and connecting. "unix:/path" is a socket of this machine,
// natively; a wasip1 host may refuse it.
func Dial(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, address) }
