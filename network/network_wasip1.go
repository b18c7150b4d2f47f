//go:build wasip1

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// The host module "kvorum_network" hands out ordinary WASI stream-socket descriptors, so the Go runtime's own poller,
// deadlines and net.Conn do the rest. Both calls return a descriptor, or a negative errno.
//
// socket_listen opens a listening socket on port (0: the host picks one and writes it to *bound).
//
//go:wasmimport kvorum_network socket_listen
func socketListen(address string, bound *uint32) int32

// socket_dial starts a connection to address (host:port; the host resolves the name) and does not block: the descriptor
// becomes writable when it is decided.
//
//go:wasmimport kvorum_network socket_dial
func socketDial(address string) int32

// socket_connected says how the connection of a descriptor from socket_dial stands: 0 when it is made, -EAGAIN while it is not
// decided, otherwise the reason why there is none.
//
//go:wasmimport kvorum_network socket_connected
func socketConnected(fd int32) int32

func listen(_ context.Context, address string) (net.Listener, error) {
	var bound uint32
	fd := socketListen(address, &bound)
	if fd < 0 {
		return nil, opError("listen", address, fd)
	}
	file, err := socketFile(fd, address)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return listener{l, namedAddr(net.JoinHostPort(host, strconv.Itoa(int(bound))))}, nil
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	fd := socketDial(address)
	if fd < 0 {
		return nil, opError("dial", address, fd)
	}
	file, err := socketFile(fd, address)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := connected(ctx, file, fd, address); err != nil {
		return nil, err
	}
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return c, nil
}

// connected waits until the connection is decided, or ctx ends.
func connected(ctx context.Context, file *os.File, fd int32, address string) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var state int32
	err = raw.Write(func(uintptr) bool {
		state = socketConnected(fd)
		return state != -int32(syscall.EAGAIN)
	})
	switch {
	case ctx.Err() != nil:
		return &net.OpError{Op: "dial", Net: "tcp", Addr: namedAddr(address), Err: ctx.Err()}
	case err != nil:
		return fmt.Errorf("dial %s: %w", address, err)
	case state != 0:
		return opError("dial", address, state)
	}
	return nil
}

func socketFile(fd int32, name string) (*os.File, error) {
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return nil, fmt.Errorf("socket for %s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if f == nil {
		return nil, errors.New("socket for " + name + ": the host gave a bad descriptor")
	}
	return f, nil
}

func opError(op, address string, negative int32) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: namedAddr(address), Err: os.NewSyscallError(op, syscall.Errno(-negative))}
}

// listener gives the bound address, which a WASI descriptor does not know.
type listener struct {
	net.Listener
	address namedAddr
}

func (l listener) Addr() net.Addr { return l.address }

type namedAddr string

func (namedAddr) Network() string  { return "tcp" }
func (a namedAddr) String() string { return string(a) }

var _ = unsafe.Pointer(nil) // go:wasmimport wants unsafe in scope
