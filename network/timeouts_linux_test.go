package network

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"
)

// TestUnacknowledgedIsGivenUp: both ends of a connection have the kernel's bound on what is not acknowledged.
func TestUnacknowledgedIsGivenUp(t *testing.T) {
	l, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := Dial(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if got := userTimeout(t, dialled); got != 15*time.Second {
		t.Errorf("dialled: %v, want 15 s", got)
	}
	if got := userTimeout(t, accepted); got != 30*time.Second {
		t.Errorf("accepted: %v, want 30 s", got)
	}
}

func userTimeout(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ms int
	if failed := raw.Control(func(fd uintptr) { ms, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout) }); failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	return time.Duration(ms) * time.Millisecond
}
