package network

import (
	"fmt"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name. It is the same on all of Linux.
const tcpUserTimeout = 18

// giveUpUnacknowledged has the kernel end connections of a socket when what was sent is not acknowledged, or not taken, for so
// long. A listener's connections inherit it. Without it that is for net.ipv4.tcp_retries2 to say: some 15 minutes.
func giveUpUnacknowledged(after time.Duration) control {
	return func(network, address string, raw syscall.RawConn) error {
		var err error
		if failed := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(after.Milliseconds()))
		}); failed != nil {
			err = failed
		}
		if err != nil {
			return fmt.Errorf("set TCP_USER_TIMEOUT for %s: %w", address, err)
		}
		return nil
	}
}
