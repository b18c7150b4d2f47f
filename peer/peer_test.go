package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/network"
)

var (
	alpha = Identity{Cluster: "c1", Shard: 2, Node: "s2n0", Disk: "disk-a", Shape: "3 shards, last-byte"}
	beta  = Identity{Cluster: "c1", Shard: 2, Node: "s2n1", Disk: "disk-b", Shape: "3 shards, last-byte"}
)

// serve starts a server for alpha on loopback.
func serve(t *testing.T, admit func(Kind, Identity) error) *Server {
	t.Helper()
	l, err := network.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, func() Identity { return alpha }, admit, nil)
	t.Cleanup(func() { s.Close() })
	return s
}

func target(s *Server) Target {
	return Target{Address: s.port.Addr().String(), Shard: alpha.Shard, Node: alpha.Node}
}

func TestStreamStartsAfterTheHandshake(t *testing.T) {
	s := serve(t, nil)
	for _, kind := range kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			out, theirs, err := Dial(t.Context(), beta, kind, target(s))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			if theirs != alpha {
				t.Errorf("the server said it is %v, want %v", theirs, alpha)
			}
			in, err := s.Listener(kind).Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if got := in.(*Conn).Peer; got != beta {
				t.Errorf("accepted a connection of %v, want %v", got, beta)
			}
			say(t, out, in, "question")
			say(t, in, out, "answer")
		})
	}
}

// say checks that what goes in at one end comes out at the other, and that no deadline of the handshake is left.
func say(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v, want %q", got, err, text)
	}
}

func TestFirstBytesMayFollowTheHelloAtOnce(t *testing.T) {
	s := serve(t, nil)
	out, err := network.Dial(t.Context(), s.port.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	h := hello{kind: Raft, from: beta, targetShard: alpha.Shard, targetNode: alpha.Node}
	if _, err := out.Write(append(appendFrame(nil, typeHello, h.append(nil)), "early"...)); err != nil {
		t.Fatal(err)
	}
	in, err := s.Listener(Raft).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	got := make([]byte, 5)
	if _, err := io.ReadFull(in, got); err != nil || string(got) != "early" {
		t.Fatalf("the stream began with %q, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	with := func(change func(*Identity)) Identity {
		id := beta
		change(&id)
		return id
	}
	admit := func(kind Kind, from Identity) error {
		switch {
		case kind == API:
			return nil
		case from.Node == "s2n9":
			return &Refusal{NotMember, "s2n9 was removed"}
		case from.Disk != "disk-b":
			return &Refusal{DiskChanged, "wipe it and add it under a new id"}
		case kind == Control:
			return errors.New("no control today")
		}
		return nil
	}
	s := serve(t, admit)
	to := target(s)
	for name, c := range map[string]struct {
		from   Identity
		kind   Kind
		to     Target
		want   Reason
		detail string
	}{
		"other cluster":       {with(func(id *Identity) { id.Cluster = "c2" }), Raft, to, WrongCluster, "--cluster"},
		"seed of another one": {with(func(id *Identity) { id.Cluster = "c2" }), API, Target{Address: to.Address}, WrongCluster, "--cluster"},
		"address of a shard":  {beta, API, Target{Address: to.Address, Shard: 1, Node: "s1n0"}, WrongShard, "--members"},
		"address of a node":   {beta, API, Target{Address: to.Address, Shard: 2, Node: "s2n2"}, WrongNode, "--members"},
		"raft across shards":  {with(func(id *Identity) { id.Shard = 1 }), Raft, to, WrongShard, "--shard"},
		"other shape":         {with(func(id *Identity) { id.Shape, id.Disk = "2 shards, last-byte", "disk-new" }), Raft, to, WrongShape, "--shard-count"},
		"API of other shape":  {with(func(id *Identity) { id.Shard, id.Shape = 1, "3 shards, hash" }), API, Target{Address: to.Address}, WrongShape, "--slot-function"},
		"not a member":        {with(func(id *Identity) { id.Node = "s2n9" }), Raft, to, NotMember, "was removed"},
		"wiped disk":          {with(func(id *Identity) { id.Disk = "disk-new" }), Raft, to, DiskChanged, "under a new id"},
		"plain error":         {beta, Control, to, NotMember, "no control today"},
		"unknown kind":        {beta, Kind(77), to, BadVersion, "kind 77"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, _, err := Dial(t.Context(), c.from, c.kind, c.to)
			if err == nil {
				conn.Close()
				t.Fatal("was let in")
			}
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Reason != c.want {
				t.Fatalf("got %v, want a refusal: %v", err, c.want)
			}
			if !strings.Contains(refusal.Detail, c.detail) {
				t.Errorf("detail %q does not mention %q", refusal.Detail, c.detail)
			}
		})
	}
	if n := len(s.listeners[Raft].queue) + len(s.listeners[API].queue) + len(s.listeners[Control].queue); n != 0 {
		t.Errorf("%d refused connections were handed on", n)
	}
}

func TestAdmittedTargets(t *testing.T) {
	s := serve(t, nil)
	to := target(s)
	for name, c := range map[string]struct {
		from Identity
		kind Kind
		to   Target
	}{
		"seed: nobody in particular": {beta, API, Target{Address: to.Address}},
		"seed: shard is not asked":   {beta, API, Target{Address: to.Address, Shard: 7}},
		"router without disk":        {Identity{Cluster: "c1", Node: "router-1"}, API, to},
		"node of no shape":           {Identity{Cluster: "c1", Shard: 2, Node: "s2n1", Disk: "disk-b"}, Raft, to},
		"other shard's API":          {Identity{Cluster: "c1", Shard: 0, Node: "s0n0", Disk: "d"}, API, to},
	} {
		t.Run(name, func(t *testing.T) {
			conn, theirs, err := Dial(t.Context(), c.from, c.kind, c.to)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if theirs != alpha {
				t.Errorf("met %v, want %v", theirs, alpha)
			}
		})
	}
}

func TestDialChecksWhoAnswers(t *testing.T) {
	// A server that says yes to everything, as a node with a stale identity might.
	other := Identity{Cluster: "c1", Shard: 2, Node: "s2n5"}
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		defer there.Close()
		if _, err := readFrame(there, typeHello); err == nil {
			_ = reply(there, answer{self: other})
		}
	}()
	_, err := greet(t.Context(), here, beta, Raft, Target{Shard: 2, Node: "s2n0"})
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Reason != WrongNode {
		t.Fatalf("got %v, want %v", err, WrongNode)
	}
}

// TestDialChecksTheShape: also when the other side did not.
func TestDialChecksTheShape(t *testing.T) {
	for shape, want := range map[string]Reason{"2 shards, last-byte": WrongShape, alpha.Shape: 0, "": 0} {
		here, there := net.Pipe()
		defer here.Close()
		go func() {
			defer there.Close()
			if _, err := readFrame(there, typeHello); err == nil {
				self := alpha
				self.Shape = shape
				_, _ = there.Write(appendFrame(nil, typeAnswer, answer{self: self}.append(nil)))
			}
		}()
		_, err := greet(t.Context(), here, beta, Control, Target{Shard: alpha.Shard, Node: alpha.Node})
		var refusal *Refusal
		if errors.As(err, &refusal) != (want != 0) || want != 0 && refusal.Reason != want {
			t.Errorf("a node with shape %q answered: %v, want %v", shape, err, want)
		}
	}
}

func TestDialRefusesNamesWithoutRoom(t *testing.T) {
	s := serve(t, nil)
	long := beta
	long.Cluster = strings.Repeat("x", maxText+1)
	if _, _, err := Dial(t.Context(), long, Raft, target(s)); err == nil || !strings.Contains(err.Error(), "255 are allowed") {
		t.Fatalf("got %v", err)
	}
	long.Cluster = strings.Repeat("x", maxText) // fits, and is refused by the server for what it is
	var refusal *Refusal
	if _, _, err := Dial(t.Context(), long, Raft, target(s)); !errors.As(err, &refusal) || refusal.Reason != WrongCluster {
		t.Fatalf("got %v", err)
	}
}

func TestDialNobodyThere(t *testing.T) {
	l, err := network.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, _, err = Dial(ctx, beta, Raft, Target{Address: l.Addr().String(), Node: "s2n0", Shard: 2})
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || !strings.Contains(err.Error(), "s2n0") {
		t.Fatalf("got %v, want the dial's own error with the node's name", err)
	}
}

func TestGarbageIsClosed(t *testing.T) {
	hi := hello{kind: Raft, from: beta}.append(nil)
	oversized := appendFrame(nil, typeHello, make([]byte, maxPayload+1))
	for name, bytes := range map[string][]byte{
		"http":             []byte("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"),
		"an answer":        appendFrame(nil, typeAnswer, answer{self: beta}.append(nil)),
		"oversized":        oversized,
		"one byte missing": appendFrame(nil, typeHello, hi[:len(hi)-1]),
		"one byte more":    appendFrame(nil, typeHello, append(hi[:len(hi):len(hi)], 0)),
		"empty hello":      appendFrame(nil, typeHello, nil),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil)
			conn, err := network.Dial(t.Context(), s.port.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(bytes); err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(conn); len(got) != 0 { // returns when the server closes
				t.Errorf("garbage was answered with %q", got)
			}
			if out, _, err := Dial(t.Context(), beta, Raft, target(s)); err != nil {
				t.Errorf("the port is not well after garbage: %v", err)
			} else {
				out.Close()
			}
		})
	}
}
