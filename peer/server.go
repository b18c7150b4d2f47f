package peer

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// maxHandshakes bounds how many connections may be in the handshake at once. Further ones wait in the kernel: a silent
// dialer costs one goroutine for 5 s, and a thousand of them cost no more than this many.
const maxHandshakes = 256

// Server owns the peer port. Its goroutines, one that accepts and at most maxHandshakes that shake hands, start in Serve,
// stop on Close, and Close waits for them.
type Server struct {
	port      net.Listener
	self      func() Identity
	admit     func(Kind, Identity) error
	log       *slog.Logger
	listeners map[Kind]*listener // read only
	slots     chan struct{}      // one token for each handshake under way
	done      chan struct{}      // closed by the first stop
	running   sync.WaitGroup
	mu        struct {
		sync.Mutex
		closed  bool
		shaking map[net.Conn]struct{} // connections in the handshake; once closed none is added
	}
}

// Serve takes over l. self tells who we are at the moment of each handshake. admit decides about a node that means us and
// is of our cluster (nil: yes); it should return a *Refusal, and anything else is passed on as NotMember. Both are called
// from many goroutines and must not block. admit may be nil, log too.
func Serve(l net.Listener, self func() Identity, admit func(kind Kind, from Identity) error, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{port: l, self: self, admit: admit, log: log, listeners: map[Kind]*listener{},
		slots: make(chan struct{}, maxHandshakes), done: make(chan struct{})}
	s.mu.shaking = map[net.Conn]struct{}{}
	for _, kind := range kinds() {
		s.listeners[kind] = newListener(l.Addr())
	}
	s.running.Add(1)
	go s.accept()
	return s
}

// Listener hands out the connections of one kind, after their handshake. It is the same one each time; closing it does not
// close the port. An unknown kind gives nil.
func (s *Server) Listener(kind Kind) net.Listener {
	if l, ok := s.listeners[kind]; ok {
		return l
	}
	return nil
}

// Close closes the port, all listeners, and the connections that nobody has accepted yet, and waits for the goroutines.
// Accepted connections belong to who accepted them. Idempotent.
func (s *Server) Close() error {
	err := s.stop()
	s.running.Wait()
	return err
}

func (s *Server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil
	}
	s.mu.closed = true
	close(s.done)
	for c := range s.mu.shaking {
		_ = c.SetDeadline(time.Unix(1, 0)) // wakes its reader; the handshake then ends by itself
	}
	for _, l := range s.listeners {
		_ = l.Close()
	}
	return s.port.Close()
}

// accept takes connections while a handshake slot is free, until the port is closed.
func (s *Server) accept() {
	defer s.running.Done()
	var pause time.Duration
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.done:
			return
		}
		conn, err := s.port.Accept()
		switch {
		case err == nil:
			pause = 0
			s.running.Add(1)
			go s.handshake(conn)
			continue
		case errors.Is(err, net.ErrClosed):
			_ = s.stop() // also when someone else closed the port: nobody shall wait on our listeners for ever
			return
		}
		<-s.slots
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.log.Warn("cannot accept peer connections at the moment", "address", s.port.Addr().String(), "error", err, "again_in", pause)
		select { // most likely out of file descriptors: they come back as connections end
		case <-time.After(pause):
		case <-s.done:
			return
		}
	}
}

// enter starts the clock of a handshake; false when the server is closed.
func (s *Server) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed || conn.SetDeadline(time.Now().Add(handshakeTimeout)) != nil {
		return false
	}
	s.mu.shaking[conn] = struct{}{}
	return true
}

// leave stops the clock; false when the server was closed meanwhile.
func (s *Server) leave(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.shaking, conn)
	return !s.mu.closed && conn.SetDeadline(time.Time{}) == nil
}
