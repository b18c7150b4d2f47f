package peer

import (
	"errors"
	"fmt"
	"net"
)

// handshake does the server's half for one connection and hands it on, or closes it.
func (s *Server) handshake(conn net.Conn) {
	defer s.running.Done()
	defer func() { <-s.slots }()
	if !s.enter(conn) {
		conn.Close()
		return
	}
	l, from, err := s.answer(conn)
	open := s.leave(conn)
	switch {
	case l != nil && open && err == nil:
		l.put(&Conn{Conn: conn, Peer: from})
		return
	case l != nil:
		l.release()
	}
	conn.Close()
	s.report(conn, from, err)
}

// answer reads the hello and replies. On a yes it returns the listener, in which a place is reserved, even with an error.
func (s *Server) answer(conn net.Conn) (*listener, Identity, error) {
	payload, err := readFrame(conn, typeHello)
	var other *versionError
	if errors.As(err, &other) {
		return nil, Identity{}, reply(conn, answer{refusal: &Refusal{BadVersion, other.Error()}})
	}
	if err != nil {
		return nil, Identity{}, err
	}
	h, err := decodeHello(payload)
	if err != nil {
		return nil, Identity{}, err
	}
	self := s.self()
	if err := fits(self.Cluster, self.Node, self.Disk, self.Shape); err != nil {
		return nil, h.from, err
	}
	refusal := s.judge(h, self)
	if refusal != nil {
		return nil, h.from, reply(conn, answer{refusal: refusal})
	}
	l := s.listeners[h.kind]
	if refusal := l.reserve(); refusal != nil {
		return nil, h.from, reply(conn, answer{refusal: refusal})
	}
	return l, h.from, reply(conn, answer{self: self})
}

// judge decides whether h may come in. The order matters: the plainest mistake is named first.
func (s *Server) judge(h hello, self Identity) *Refusal {
	if s.listeners[h.kind] == nil {
		return &Refusal{BadVersion, fmt.Sprintf("%s does not know connections of %s: run the same kvorum on both", self, h.kind)}
	}
	if h.from.Cluster != self.Cluster {
		return &Refusal{WrongCluster, fmt.Sprintf("this is %s, you are %s: check --cluster and the peer addresses of both", self, h.from)}
	}
	if refusal := (Target{Shard: h.targetShard, Node: h.targetNode}).meets(self.Cluster, self); refusal != nil {
		return refusal
	}
	if h.kind == Raft && h.from.Shard != self.Shard {
		return &Refusal{WrongShard, fmt.Sprintf("this is %s, you are %s: a raft group has one shard: check --shard and --members", self, h.from)}
	}
	if refusal := self.fits(h.from); refusal != nil {
		return refusal
	}
	if s.admit == nil {
		return nil
	}
	err := s.admit(h.kind, h.from)
	if err == nil {
		return nil
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return &Refusal{NotMember, err.Error()}
}

// reply sends a. A refusal that was sent is returned as the error.
func reply(conn net.Conn, a answer) error {
	if _, err := conn.Write(appendFrame(nil, typeAnswer, a.append(nil))); err != nil {
		return fmt.Errorf("send the answer: %w", err)
	}
	if a.refusal != nil {
		return a.refusal
	}
	return nil
}

// report logs a handshake that came to nothing. A refusal is somebody's mistake and shows; a connection that just ends is
// a port check or a crash.
func (s *Server) report(conn net.Conn, from Identity, err error) {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		s.log.Warn("refused a peer", "remote", conn.RemoteAddr().String(), "node", from.Node, "cluster", from.Cluster,
			"shard", from.Shard, "reason", refusal.Reason.String(), "detail", refusal.Detail)
		return
	}
	s.log.Debug("peer handshake failed", "remote", conn.RemoteAddr().String(), "error", err)
}
