package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/kvorum/kvorum/network"
)

// handshakeTimeout bounds connecting plus handshake at the dialer, and the handshake at the server.
const handshakeTimeout = 5 * time.Second

// Dial connects to a node and returns the open stream together with the node's own identity. It ends when ctx does, and
// after 5 s at the latest; the stream itself has no deadline. A node that says no gives a *Refusal; so does one that is not
// whom we meant. Any error proves that nothing was sent on the stream.
func Dial(ctx context.Context, self Identity, kind Kind, to Target) (net.Conn, Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := network.Dial(ctx, to.Address)
	if err != nil {
		return nil, Identity{}, fmt.Errorf("peer %s at %s: %w", to.Node, to.Address, err)
	}
	theirs, err := greet(ctx, conn, self, kind, to)
	if err != nil {
		conn.Close()
		return nil, Identity{}, fmt.Errorf("peer %s at %s: %w", to.Node, to.Address, err)
	}
	return conn, theirs, nil
}

// greet does the dialer's half of the handshake. After an error the connection is of no use.
func greet(ctx context.Context, conn net.Conn, self Identity, kind Kind, to Target) (Identity, error) {
	if err := fits(self.Cluster, self.Node, self.Disk, self.Shape, to.Node); err != nil {
		return Identity{}, err
	}
	// A deadline in the past is how a blocked Read or Write is woken; Close would race with the reader's use of conn.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	theirs, err := exchange(conn, self, kind, to)
	if !stop() { // ctx ended: the deadline is in the past, or about to be
		return Identity{}, fmt.Errorf("handshake: %w", errors.Join(ctx.Err(), err))
	}
	return theirs, err
}

func exchange(conn net.Conn, self Identity, kind Kind, to Target) (Identity, error) {
	h := hello{kind: kind, from: self, targetShard: to.Shard, targetNode: to.Node}
	if _, err := conn.Write(appendFrame(nil, typeHello, h.append(nil))); err != nil {
		return Identity{}, fmt.Errorf("handshake: %w", err)
	}
	payload, err := readFrame(conn, typeAnswer)
	var other *versionError
	if errors.As(err, &other) {
		return Identity{}, &Refusal{BadVersion, other.Error()}
	}
	if err != nil {
		return Identity{}, fmt.Errorf("handshake: %w", err)
	}
	a, err := decodeAnswer(payload)
	if err != nil {
		return Identity{}, fmt.Errorf("handshake: %w", err)
	}
	if a.refusal != nil {
		return Identity{}, a.refusal
	}
	if refusal := to.meets(self.Cluster, a.self); refusal != nil {
		return Identity{}, refusal
	}
	if refusal := a.self.fits(self); refusal != nil {
		return Identity{}, refusal
	}
	return a.self, nil
}
