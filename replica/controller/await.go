package controller

import (
	"time"

	"github.com/hashicorp/raft"
)

// awaitUnlessStalled is await for writes: once the disk is known to be stalled their outcome is as unknown as it will be at
// the deadline, and the client can go on.
func (c *Controller) awaitUnlessStalled(future raft.Future) error {
	return c.awaitOr(future, c.cfg.Tuning.ProposalTimeout, c.stalled.wait())
}

// await waits for a raft future with a deadline (guard G10: futures of a raft that shuts down may never be answered).
func (c *Controller) await(future raft.Future, timeout time.Duration) error {
	return c.awaitOr(future, timeout, nil)
}

func (c *Controller) awaitOr(future raft.Future, timeout time.Duration, giveUp <-chan struct{}) error {
	answered := make(chan error, 1)
	go func() { answered <- future.Error() }()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case err := <-answered:
		return err
	case <-timer.C:
		return errDeadline
	case <-giveUp:
		return errStalled
	case <-c.closed:
		return raft.ErrRaftShutdown
	}
}
