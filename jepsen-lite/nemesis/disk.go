package nemesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
)

// Disk is what a node's data is on, if it can be broken.
type Disk interface {
	Set(faultfs.Faults) error
	Counters() (faultfs.Counters, error)
	// PowerCut kills in the moment of the cut, loses what was not synced but for what the plan lets arrive, and mounts anew.
	PowerCut(plan faultfs.Plan, seed uint64, kill func() error) (faultfs.Loss, error)
}

// slowFsync is what each fsync takes longer: some ten times what it takes.
const slowFsync = 100 * time.Millisecond

func disks() []Nemesis {
	const lasts = 2 * time.Second
	failing := faultfs.Faults{FailWrites: true, FailFsyncs: true, ForgetOnEIO: true}
	return []Nemesis{
		single(disk("disk-power-cut", "a replica, drawn, loses power: what was not synced is gone or torn", 4*time.Second, powerCut(oneOrLeader))),
		disk("disk-power-cut-all", "all replicas of a shard lose power at once", 6*time.Second, powerCut(everyoneOfShard)),
		single(disk("disk-slow-fsync", fmt.Sprintf("each fsync of a replica, drawn, takes %s longer", slowFsync), lasts, sick(oneOrLeader, faultfs.Faults{SlowFsync: slowFsync}))),
		single(disk("disk-stalled-fsync", "fsyncs of a shard's leader do not come back", lasts, sick(leaderUnlessAimed, faultfs.Faults{StallFsync: true}))),
		single(disk("disk-eio", "writes and fsyncs of a replica, drawn, fail with EIO, and what was to be synced counts as written", lasts, sick(oneOrLeader, failing))),
		single(disk("disk-eio-read", "reads of a replica, drawn, fail with EIO: pages of a mapped file end its process", lasts, sick(oneOrLeader, faultfs.Faults{FailReads: true}))),
		single(disk("disk-full", "the disk of a replica, drawn, is full (as one that copies on write: nothing can be written over either)", lasts, sick(oneOrLeader, faultfs.Faults{Full: true, CopyOnWrite: true}))),
	}
}

func disk(name, does string, lasts time.Duration, inject func(context.Context, *Target, Blow) (*Strike, error)) Nemesis {
	return Nemesis{Name: name, Family: "disk", Does: does, Needs: []Need{FUSE}, Scope: OneShard, Lasts: lasts, Inject: inject}
}

// single: it is asked of a leader and of a follower how long it leaves a shard without service.
func single(n Nemesis) Nemesis {
	n.Single = []Role{Leader, Follower}
	return n
}

// lies are beyond what Raft promises to survive: they are never drawn unless asked for by name.
func lies() []Nemesis {
	return []Nemesis{{
		Name: "disk-lying-power-cut", Family: "disk-lying", Does: "fsyncs of all replicas of a shard do nothing and say that all is well; then power is cut", Needs: []Need{FUSE},
		Beyond: "fsync lied: acknowledged writes may be lost", Scope: OneShard, Lasts: 6 * time.Second, Inject: lyingPowerCut,
	}}
}

func leaderUnlessAimed(ctx context.Context, t *Target, b Blow) ([]Node, error) {
	n, err := victimOf(ctx, t, b, true)
	return []Node{n}, err
}

func oneOrLeader(ctx context.Context, t *Target, b Blow) ([]Node, error) {
	n, err := victimOf(ctx, t, b, false)
	return []Node{n}, err
}

// everyoneOfShard begins with the leader.
func everyoneOfShard(ctx context.Context, t *Target, b Blow) ([]Node, error) {
	first, err := t.Leader(ctx, b.Shard)
	if err != nil {
		return nil, err
	}
	return append([]Node{first}, t.others(b.Shard, first, b.Draw)...), nil
}

// sick puts faults in force until healed. The proof is how often they struck. Only reads that fail may end a node, by the pages
// that it has mapped: it is started again then.
func sick(choose chooser, f faultfs.Faults) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		victims, err := choose(ctx, t, b)
		if err != nil {
			return nil, err
		}
		disk := t.Disks[victims[0].ID()]
		before, err := disk.Counters()
		if err != nil {
			return nil, err
		}
		err = disk.Set(f)
		return &Strike{Victims: ids(victims), Heal: func(ctx context.Context) (string, error) {
			after, counting := disk.Counters()
			err := errors.Join(counting, disk.Set(faultfs.Faults{}))
			struck := after.Minus(before)
			if err == nil && struck.Effect() == 0 {
				err = fmt.Errorf("%w: no call met the fault", ErrNoProof)
			}
			proof, healing := told(struck), waitReady(ctx, victims)
			if healing != nil && f.FailReads {
				var ended string
				ended, healing = buried(ctx, victims[0], healing)
				proof += ended
			}
			return proof, errors.Join(err, healing)
		}}, err
	}
}

// buried starts a node again that is not ready since a page which could not be read has ended it.
func buried(ctx context.Context, n Node, notReady error) (string, error) {
	ended, err := n.Bury()
	if err != nil || !ended {
		return "", errors.Join(notReady, err)
	}
	return "; " + n.ID() + " ended by SIGBUS", revive(ctx, []Node{n})
}

// told says what struck.
func told(c faultfs.Counters) string {
	var all []string
	for _, t := range []struct {
		n    int64
		what string
	}{
		{c.Delayed, "fsyncs were late"}, {c.Stalled, "fsyncs stalled"}, {c.Lied, "fsyncs lied"}, {c.ReadErrors, "reads failed"},
		{c.WriteErrors, "writes failed"}, {c.FsyncErrors, "fsyncs failed"}, {c.NoSpace, "times no space"},
	} {
		if t.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", t.n, t.what))
		}
	}
	return strings.Join(all, ", ")
}

// cutsAtMost: a cut that took nothing, since everything was synced at that moment, is made again.
const cutsAtMost = 5

// powerCut cuts the power of its victims, all in one moment, until that took something.
func powerCut(choose chooser) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, b Blow) (*Strike, error) {
		for attempt := 1; ; attempt++ {
			victims, err := choose(ctx, t, b)
			if err != nil {
				return nil, err
			}
			loss, err := cutPower(ctx, t, b, victims, faultfs.Mixed())
			s := &Strike{Victims: ids(victims), Heal: func(ctx context.Context) (string, error) { return "", revive(ctx, victims) }}
			if err != nil {
				return s, err
			}
			if loss.Effect() > 0 {
				s.Proof = fmt.Sprintf("cut %d took %d writes (%d bytes) and %d names, and tore %d", attempt, loss.Writes, loss.Bytes, loss.Names, loss.Torn)
				return s, nil
			}
			if attempt == cutsAtMost {
				return s, fmt.Errorf("%w: %d cuts took nothing", ErrNoProof, attempt)
			}
			if err := revive(ctx, victims); err != nil {
				return s, err
			}
		}
	}
}

// cutPower cuts the first victim's power when the plan says so, and that of all others in the moment in which the first one's
// has gone.
func cutPower(ctx context.Context, t *Target, b Blow, victims []Node, plan faultfs.Plan) (all faultfs.Loss, err error) {
	atOnce := plan
	atOnce.MidFsync = 0
	losses := make([]faultfs.Loss, len(victims))
	killOne := func(i int) func() error {
		return func() error { _, err := victims[i].Kill(ctx); return err }
	}
	losses[0], err = t.Disks[victims[0].ID()].PowerCut(plan, b.Draw.Uint64(), func() error {
		errs := make([]error, len(victims))
		seed := b.Draw.Uint64()
		each(len(victims), func(i int) {
			if i == 0 {
				errs[0] = killOne(0)()
				return
			}
			losses[i], errs[i] = t.Disks[victims[i].ID()].PowerCut(atOnce, seed+uint64(i), killOne(i))
		})
		return errors.Join(errs...)
	})
	for _, l := range losses {
		all.Writes, all.Bytes, all.Names, all.Torn = all.Writes+l.Writes, all.Bytes+l.Bytes, all.Names+l.Names, all.Torn+l.Torn
	}
	return all, err
}

// lyingPowerCut lets all disks of a shard lie while it is held, and cuts the power when it is healed.
func lyingPowerCut(ctx context.Context, t *Target, b Blow) (*Strike, error) {
	victims, err := everyoneOfShard(ctx, t, b)
	if err != nil {
		return nil, err
	}
	set := func(f faultfs.Faults) error {
		var errs []error
		for _, n := range victims {
			errs = append(errs, t.Disks[n.ID()].Set(f))
		}
		return errors.Join(errs...)
	}
	return &Strike{Victims: ids(victims), Heal: func(ctx context.Context) (string, error) {
		loss, err := cutPower(ctx, t, b, victims, faultfs.DropAll())
		if err == nil && loss.Effect() == 0 {
			err = fmt.Errorf("%w: the cut took nothing", ErrNoProof)
		}
		proof := fmt.Sprintf("the cut took %d writes (%d bytes) that fsync had said were safe", loss.Writes, loss.Bytes)
		return proof, errors.Join(err, set(faultfs.Faults{}), revive(ctx, victims))
	}}, set(faultfs.Faults{LyingFsync: true})
}
