package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/kvorum/kvorum/peer"
	"github.com/kvorum/kvorum/wire"
)

const formationRetry = 100 * time.Millisecond

// form waits until every initial member of the shard has been met once and its disk id is on our disk. Only then may raft
// start, for the first time ever. So every member knows every other's disk from before the first vote, and a member that
// comes back with a wiped disk under its old id is refused by all: nobody can have forgotten (or never learnt) it. That
// makes guard G11 hold without an exception, and costs that a new shard starts only when all its members are up once.
func (c *Controller) form() error {
	if c.folder.identity().Formed {
		return nil
	}
	for {
		missing := c.notMet()
		if len(missing) == 0 {
			return c.folder.setFormed()
		}
		for _, node := range missing {
			if err := c.meet(node); err != nil {
				var refusal *peer.Refusal
				if errors.As(err, &refusal) && isMisconfiguration(refusal.Reason) {
					return fmt.Errorf("member %s refuses this node: %s", node, refusal.Detail)
				}
				c.log.Debug("member not met yet", "member", node, "error", err)
			}
		}
		select {
		case <-c.closed:
			return errClosing
		case <-time.After(formationRetry):
		}
	}
}

var errClosing = errors.New("the node is closing")

// isMisconfiguration tells refusals that only a person can mend from those that time mends.
func isMisconfiguration(r peer.Reason) bool {
	return r == peer.WrongCluster || r == peer.WrongShard || r == peer.WrongShape || r == peer.WrongNode || r == peer.DiskChanged || r == peer.NotMember
}

func (c *Controller) notMet() []string {
	id := c.folder.identity()
	var missing []string
	for _, m := range c.cfg.Members {
		if m.ID != c.cfg.Node && (id.Peers[m.ID] == "" || id.MeetAgain[m.ID]) {
			missing = append(missing, m.ID)
		}
	}
	return missing
}

// notFormedDetail says what a node without raft waits for.
func (c *Controller) notFormedDetail() string {
	if missing := c.notMet(); len(missing) > 0 {
		return "shard " + c.shardText + " is being formed: every member must be up once; not met yet: " + strings.Join(missing, ", ")
	}
	return "node " + c.cfg.Node + " is starting: try again"
}

// meet makes one connection, only to exchange identities.
func (c *Controller) meet(node string) error {
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	conn, err := c.dialMember(ctx, peer.Control, node)
	if err != nil {
		return err
	}
	return conn.Close()
}

// dialMember dials a member of this shard at its present address, and refuses it if it has another disk than it had.
func (c *Controller) dialMember(ctx context.Context, kind peer.Kind, node string) (net.Conn, error) {
	m, ok := c.member(node)
	if !ok {
		return nil, fmt.Errorf("node %s is no member of shard %s", node, c.shardText)
	}
	conn, them, err := peer.Dial(ctx, c.PeerIdentity(), kind, peer.Target{Address: m.PeerAddress, Shard: c.cfg.Shard, Node: node})
	if err != nil {
		var refusal *peer.Refusal
		if errors.As(err, &refusal) && refusal.Reason == peer.DiskChanged {
			c.fail(fmt.Errorf("member %s refuses this node: %s", node, refusal.Detail))
		}
		return nil, err
	}
	if err := c.meetIdentity(them); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (c *Controller) member(node string) (wire.Member, bool) {
	for _, m := range c.cfg.Members {
		if m.ID == node {
			return m, true
		}
	}
	return wire.Member{}, false
}

// admit decides about incoming connections: API streams from the whole cluster, raft and control from this shard only.
func (c *Controller) admit(kind peer.Kind, from peer.Identity) error {
	if kind == peer.API {
		return nil
	}
	if from.Shard != c.cfg.Shard {
		return &peer.Refusal{Reason: peer.WrongShard, Detail: fmt.Sprintf("node %s is of shard %d, this is shard %s: correct --shard or --members", from.Node, from.Shard, c.shardText)}
	}
	if _, ok := c.member(from.Node); !ok || from.Node == c.cfg.Node {
		return &peer.Refusal{Reason: peer.NotMember, Detail: fmt.Sprintf("node %s is not one of the other members of shard %s that node %s was started with: correct --members", from.Node, c.shardText, c.cfg.Node)}
	}
	return c.meetIdentity(from)
}

// meetIdentity is guard G11: a node is known by the disk it was first met with.
func (c *Controller) meetIdentity(them peer.Identity) error {
	same, err := c.folder.learn(them.Node, them.Disk)
	if err != nil {
		return fmt.Errorf("disk id of %s could not be stored: %w", them.Node, err)
	}
	if !same {
		return &peer.Refusal{Reason: peer.DiskChanged, Detail: fmt.Sprintf("node %s is known with another data folder: its disk was wiped or swapped, and with it the promises it gave; bring the old folder back, or let it join under a new id with an empty folder", them.Node)}
	}
	return nil
}
