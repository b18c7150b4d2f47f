package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/kvorum/kvorum/network"
	"golang.org/x/sys/unix"
)

// possible says what is missing here.
func possible() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: not root", ErrNoNamespaces)
	}
	for _, tool := range []string{"ip", "tc", "nft", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %w (packages iproute2, nftables, util-linux)", ErrNoNamespaces, err)
		}
	}
	if err := inside("/proc/self/ns/net", func() error { return nil }); err != nil { // root without its rights
		return fmt.Errorf("%w: %w", ErrNoNamespaces, err)
	}
	return nil
}

// leave: a Ctrl-C must not take the guardian.
func leave(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// inside runs f on a thread in another namespace. What it opens stays there. The thread comes back: were it to end, the kernel
// would kill every process that happens to have been started by it and is to die with its parent, for which it takes the thread.
func inside(namespace string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			home, err := os.Open("/proc/thread-self/ns/net")
			if err != nil {
				return err
			}
			defer home.Close()
			if err := enter(namespace); err != nil {
				return err
			}
			err = f()
			if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
				return errors.Join(err, fmt.Errorf("back from %s: %w", namespace, back)) // still locked: the thread is lent to nobody, and ends
			}
			runtime.UnlockOSThread()
			return err
		}()
	}()
	return <-done
}

func enter(namespace string) error {
	file, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", namespace, err)
	}
	return nil
}

// Do runs f on a thread in the member's namespace: sockets that f itself opens, not goroutines that it starts, are there.
func (n *Network) Do(member string, f func() error) error {
	if err := n.known(member); err != nil {
		return err
	}
	if member == Host {
		return f()
	}
	return inside(n.file(n.namespace(member)), f)
}

// Dial opens a stream from the member to an IP address and port.
func (n *Network) Dial(ctx context.Context, member, address string) (conn net.Conn, err error) {
	err = n.Do(member, func() error {
		conn, err = network.Dial(ctx, address)
		return err
	})
	return conn, err
}

const (
	probeEvery = 20 * time.Millisecond
	probeFor   = 400 * time.Millisecond // much longer than any packet takes here, also on a busy machine
)

// Reaches says whether what one member sends arrives at another: datagrams, since a stream needs both directions. It sends for
// probeFor before it says no.
func (n *Network) Reaches(ctx context.Context, from, to string) (bool, error) {
	var at, by *net.UDPConn
	listen := func(member string, conn **net.UDPConn) error {
		return n.Do(member, func() (err error) {
			*conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.Address(member), 0)))
			return err
		})
	}
	if err := listen(to, &at); err != nil {
		return false, err
	}
	defer at.Close()
	if err := listen(from, &by); err != nil {
		return false, err
	}
	defer by.Close()
	target := at.LocalAddr().(*net.UDPAddr).AddrPort()
	for start := time.Now(); time.Since(start) < probeFor && ctx.Err() == nil; {
		if _, err := by.WriteToUDPAddrPort([]byte(n.id), target); err != nil {
			return false, err
		}
		got := make([]byte, 64)
		if err := at.SetReadDeadline(time.Now().Add(probeEvery)); err != nil {
			return false, err
		}
		length, _, err := at.ReadFromUDPAddrPort(got)
		if err == nil && string(got[:length]) == n.id {
			return true, nil
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return false, err
		}
	}
	return false, ctx.Err()
}
