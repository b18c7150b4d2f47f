package controller

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/wire"
)

// controlPending bounds the ReadIndex requests of one member that wait here; it batches its readers, so few are needed.
const controlPending = 64

// serveControl answers the control requests of the shard's other members. Owner: Controller; ends with the listener.
func (c *Controller) serveControl() {
	listener := c.server.Listener(peer.Control)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		sessions.Add(1)
		go func() {
			defer sessions.Done()
			c.serveControlConn(conn)
		}()
	}
}

func (c *Controller) serveControlConn(conn net.Conn) {
	ctx, cancel := context.WithCancel(c.ctx)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	var write sync.Mutex
	reply := func(f controlFrame) {
		write.Lock()
		defer write.Unlock()
		var buffer [controlFrameBytes]byte
		_ = conn.SetWriteDeadline(time.Now().Add(controlDialTimeout)) // fails only on a closed connection
		if _, err := conn.Write(f.append(buffer[:0])); err != nil {
			conn.Close()
		}
	}
	tokens := make(chan struct{}, controlPending)
	r := bufio.NewReader(conn)
	var buffer [controlFrameBytes]byte
	for {
		f, err := readControlFrame(r, &buffer)
		if err != nil {
			return
		}
		switch f.kind {
		case controlConfirm:
			reply(c.answerConfirm(f))
		case controlStatus:
			reply(c.answerStatus(f))
		case controlReadIndex:
			tokens <- struct{}{}
			waiting.Add(1)
			go func() {
				defer waiting.Done()
				reply(c.answerReadIndex(ctx, f))
				<-tokens
			}()
		default:
			return // a reply to nothing
		}
	}
}

// answerConfirm says whether this voter's term is exactly the one asked for. A voter's term is stored before it votes, so a
// leader of a later term needs a majority that no longer answers yes.
func (c *Controller) answerConfirm(f controlFrame) controlFrame {
	out := controlFrame{kind: controlConfirm | controlReply, id: f.id}
	if r := c.raft(); r != nil {
		out.b = r.CurrentTerm()
		if out.b == f.a {
			out.a = 1
		}
	}
	return out
}

// answerStatus says whether this node is fit to lead.
func (c *Controller) answerStatus(f controlFrame) controlFrame {
	out := controlFrame{kind: controlStatus | controlReply, id: f.id}
	if r := c.raft(); r != nil {
		out.b, out.c = r.CurrentTerm(), r.LastIndex()
		if c.disk.state() == diskOK && !c.disk.hangs() && !c.draining.Load() && r.State() != raft.Shutdown {
			out.a = 1
		}
	}
	return out
}

// answerReadIndex gives a follower the index its reads must wait for, within ConfirmTimeout: the follower waits no longer, and
// takes a connection on which nothing comes for twice that for dead.
func (c *Controller) answerReadIndex(ctx context.Context, f controlFrame) controlFrame {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Tuning.ConfirmTimeout)
	defer cancel()
	out := controlFrame{kind: controlReadIndex | controlReply, id: f.id}
	point, err := c.leaderReads.wait(ctx)
	if err == nil {
		out.a, out.b, out.c = 1, point.term, point.index
	} else if err.Code == wire.CodeMisdirected {
		out.a = 2
	}
	return out
}
