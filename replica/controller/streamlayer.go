package controller

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/peer"
)

// streamLayer gives raft its connections: raft addresses are node ids, looked up at each dial, so a member may come back
// under another network address. It ends all of them when raft shall stop, which waits for what it has asked and what it is
// being sent: from a peer that is frozen or behind a cut that would take several RPC timeouts.
type streamLayer struct {
	c      *Controller
	accept chan net.Conn
	done   context.Context // ends with the layer, and with it every dial
	end    context.CancelFunc

	mu struct {
		sync.Mutex
		conns map[*raftConn]struct{}
	}
}

func newStreamLayer(c *Controller) *streamLayer {
	s := &streamLayer{c: c, accept: make(chan net.Conn)}
	s.done, s.end = context.WithCancel(context.Background())
	s.mu.conns = map[*raftConn]struct{}{}
	return s
}

// raftConn is a connection that its layer can end.
type raftConn struct {
	net.Conn
	layer    *streamLayer
	accepted bool
}

// Read implements net.Conn. A connection that missed mustBringBy's deadline ends.
func (c *raftConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.accepted && errors.Is(err, os.ErrDeadlineExceeded) {
		c.Conn.Close()
	}
	return n, err
}

// Close implements net.Conn.
func (c *raftConn) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.mu.conns, c)
	c.layer.mu.Unlock()
	return c.Conn.Close()
}

func (s *streamLayer) keep(conn net.Conn, accepted bool) (net.Conn, error) {
	c := &raftConn{conn, s, accepted}
	s.mu.Lock()
	over := s.done.Err() != nil
	if !over {
		s.mu.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if over {
		conn.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// Dial implements raft.StreamLayer.
func (s *streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.done, timeout)
	defer cancel()
	conn, err := s.c.dialMember(ctx, peer.Raft, string(address))
	if err != nil {
		return nil, err
	}
	return s.keep(conn, false)
}

// Accept implements net.Listener. Connections come from the controller's acceptor, which outlives one raft instance.
func (s *streamLayer) Accept() (net.Conn, error) {
	select {
	case conn := <-s.accept:
		return s.keep(conn, true)
	case <-s.done.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *streamLayer) Close() error {
	s.mu.Lock()
	s.end()
	conns := s.mu.conns
	s.mu.conns = map[*raftConn]struct{}{}
	s.mu.Unlock()
	for c := range conns {
		c.Conn.Close()
	}
	return nil
}

// snapshotReader reads a snapshot that a peer sends. Raft reads it on its main loop and knows no deadline: when the sender loses its
// power midway, or a cable, the node votes for nobody and follows nobody until its kernel gives the connection up.
type snapshotReader struct {
	io.Reader
	layer *streamLayer
	most  time.Duration // between two bytes
}

// Read implements io.Reader. The connection that carries the snapshot is not known here, so all that were accepted must bring
// something in time; those that are idle lose their place in the sender's pool.
func (r snapshotReader) Read(b []byte) (int, error) {
	r.layer.mustBringBy(time.Now().Add(r.most))
	n, err := r.Reader.Read(b)
	r.layer.mustBringBy(time.Time{})
	return n, err
}

// mustBringBy sets the deadline of what accepted connections bring next; the zero time takes it back.
func (s *streamLayer) mustBringBy(deadline time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		if c.accepted {
			_ = c.SetReadDeadline(deadline) // of a connection that is closed
		}
	}
}

// Addr implements net.Listener. Raft takes it for its own address, which is the node id.
func (s *streamLayer) Addr() net.Addr { return nodeAddr(s.c.cfg.Node) }

type nodeAddr string

func (nodeAddr) Network() string  { return "kvorum" }
func (a nodeAddr) String() string { return string(a) }
