// Package commits turns the entries that a shard committed into a commit log for package linearizability. It applies them to
// a machine of package store that runs natively and unmodified, so that a node whose machine decides otherwise is found out:
// by the replies that contradict the commit log, and by the digests.
package commits

import (
	"fmt"
	"sort"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/tap"
	"github.com/kvorum/kvorum/store"
)

// Replay is a shard's log as the machine executes it.
type Replay struct {
	Commits []lin.Commit
	Machine *store.Machine
	digests []digest // by index
}

type digest struct {
	index uint64
	value string
}

// Commits applies entries, which must be all that the shard committed, in order (tap.Committed; those that are no commands
// may be missing). An error says that an entry can't be applied: then no node may have applied it either.
func Commits(shard uint32, entries []tap.Entry) (*Replay, error) {
	r := &Replay{Machine: store.New()}
	for i := range entries {
		e := &entries[i]
		if e.Type != 0 {
			continue
		}
		if err := r.apply(shard, e); err != nil {
			return r, fmt.Errorf("shard %d, entry %d (term %d): %w", shard, e.Index, e.Term, err)
		}
	}
	return r, nil
}

func (r *Replay) apply(shard uint32, e *tap.Entry) error {
	decoded, err := store.DecodeEntry(e.Data)
	if err != nil {
		return err
	}
	results, err := r.Machine.Apply(e.Index, e.Term, e.Data)
	if err != nil {
		return err
	}
	if len(results) != len(decoded.Commands) {
		return fmt.Errorf("%d results of %d commands: entries are not in order", len(results), len(decoded.Commands))
	}
	r.digests = append(r.digests, digest{e.Index, r.Machine.View().Digest().String()})
	for i := range decoded.Commands {
		c := &decoded.Commands[i]
		if c.Kind != store.CommandPut && c.Kind != store.CommandDelete {
			continue
		}
		commit := lin.Commit{
			Shard: shard, Index: e.Index, Position: i, Epoch: uint64(results[i].Epoch), Kind: kind(c), Key: string(c.Key),
			Input:  lin.Input{Value: string(c.Value), Revision: uint64(c.Revision), IdempotencyKey: c.IdempotencyKey},
			Output: output(c, results[i]), Replayed: results[i].Replayed,
		}
		if err := commit.Validate(); err != nil {
			return fmt.Errorf("command %d: %w", i, err)
		}
		r.Commits = append(r.Commits, commit)
	}
	return nil
}

func kind(c *store.Command) lin.Kind {
	switch {
	case c.Kind == store.CommandDelete:
		return lin.Delete
	case c.Condition == store.IfAbsent:
		return lin.Create
	case c.Condition == store.IfPresent:
		return lin.Update
	case c.Condition == store.IfRevision:
		return lin.CAS
	}
	return lin.Put
}

// output says what the machine answered. A refusal for want of ownership, of room, or of the same request under the
// idempotency key says nothing of the key.
func output(c *store.Command, r store.Result) lin.Output {
	o := lin.Output{Revision: uint64(r.Revision)}
	switch r.Code {
	case store.Created, store.Replaced, store.Deleted:
		o.Result = lin.OK
	case store.NotFound:
		o.Result = lin.Absent
	case store.PreconditionFailed:
		o.Result = lin.PreconditionFailed
		if c.Kind == store.CommandDelete && c.Condition == store.IfPresent { // histories know it as a plain delete
			o.Result = lin.Absent
		}
	}
	return o
}

// DigestAt is the machine's digest after the entry at the index, "" before the first. Compare it with the digest that a node
// shows with its applied index (GET /v1/cluster: applied_index and digest of each replica's status), and with those of
// snapshots (tap.Snapshots).
func (r *Replay) DigestAt(index uint64) string {
	n := sort.Search(len(r.digests), func(i int) bool { return r.digests[i].index > index })
	if n == 0 {
		return ""
	}
	return r.digests[n-1].value
}
