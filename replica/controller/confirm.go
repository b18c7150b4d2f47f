package controller

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kvorum/kvorum/wire"
)

// promptConfirm is how soon a voter must answer for a round to leave the others in peace. Where the network takes longer
// than that, all are asked at once.
const promptConfirm = 5 * time.Millisecond

// confirm asks voters, after the commit index was read, whether they are still in term. A majority of yes (this node counts
// if it is a voter) proves that no later leader had been elected when the round began. It makes no difference which voters
// say yes, so as many as are needed are asked first, of those that are prompt; all, when that does not do.
func (c *Controller) confirm(ctx context.Context, r *raft.Raft, term uint64) *Error {
	voters, missing := c.confirmers(r)
	if missing <= 0 {
		return nil
	}
	replies := make(chan controlFrame, len(voters))
	asked := 0
	ask := func(upTo int) {
		for ; asked < upTo; asked++ {
			voters[asked].askTerm(term, replies)
		}
	}
	ask(promptFirst(voters, missing))
	hurry := min(promptConfirm, c.cfg.Tuning.ConfirmTimeout)
	timer := time.NewTimer(hurry)
	defer timer.Stop()
	for answers := 0; answers < len(voters); {
		select {
		case reply := <-replies:
			answers++
			if reply.b > term {
				return c.misdirected()
			}
			if reply.a == 1 {
				missing--
			} else {
				ask(len(voters))
			}
			if missing == 0 {
				return nil
			}
		case <-timer.C:
			if hurry == 0 {
				return c.noMajority()
			}
			timer.Reset(c.cfg.Tuning.ConfirmTimeout - hurry)
			hurry = 0
			for _, p := range voters[:asked] {
				p.slow.Store(true) // the next round asks all, and their answers tell who is not
			}
			ask(len(voters))
		case <-ctx.Done():
			return newError(wire.CodeDraining, "node "+c.cfg.Node+" is shutting down: ask another node")
		}
	}
	return c.noMajority()
}

func (c *Controller) noMajority() *Error {
	return newError(wire.CodeNoLeader, "node "+c.cfg.Node+" reaches no majority of its shard: ask another node, or try again")
}

// confirmers are the voters besides this node, and how many of them make a majority, with this node if it is a voter.
func (c *Controller) confirmers(r *raft.Raft) (others []*controlPeer, missing int) {
	total, own := 0, 0
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		total++
		if string(s.ID) == c.cfg.Node {
			own = 1
		} else {
			others = append(others, c.controlPeer(string(s.ID)))
		}
	}
	return others, total/2 + 1 - own
}

// promptFirst moves the prompt voters to the front and says how many to ask at first: as many as are needed if so many are
// prompt, else all.
func promptFirst(voters []*controlPeer, needed int) int {
	prompt := 0
	for i, p := range voters {
		if !p.slow.Load() {
			voters[i], voters[prompt] = voters[prompt], voters[i]
			prompt++
		}
	}
	if prompt < needed {
		return len(voters)
	}
	return needed
}

// askTerm asks a voter whether it is in term, and notes whether it answers promptly. replies must have room.
func (p *controlPeer) askTerm(term uint64, replies chan<- controlFrame) {
	asked := time.Now()
	p.send(controlFrame{kind: controlConfirm, a: term}, func(reply controlFrame, ok bool) {
		p.slow.Store(!ok || time.Since(asked) > promptConfirm)
		replies <- reply
	})
}
