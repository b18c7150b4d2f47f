package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"github.com/kvorum/kvorum/internal/rig"
	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/sim/audit"
	"github.com/kvorum/kvorum/sim/commits"
	"github.com/kvorum/kvorum/sim/tap"
)

// shown is what a node said of itself when everything was over.
type shown struct {
	name    string
	shard   uint32
	applied uint64
	digest  string
}

// ask asks every node how far its machine is and what it holds.
func (p *processes) ask(ctx context.Context) (all []shown, err error) {
	for _, n := range p.Nodes {
		status, askErr := n.Status(ctx)
		if askErr != nil {
			err = errors.Join(err, fmt.Errorf("ask %s for its state: %w", n.Name, askErr))
			continue
		}
		all = append(all, shown{n.Name, n.Shard, status.AppliedIndex, status.Digest})
	}
	return all, err
}

// order is the order in which the shards executed everything, read from the logs on the nodes' disks: the second method's, and
// it does not rest on any reply. why says why it is not known.
type order struct {
	commits  []lin.Commit // nil: not known
	why      string
	findings []string
}

func (p *processes) order(all []shown) order {
	folders := map[string]string{}
	for _, n := range p.Nodes {
		folders[n.Name] = n.Data
	}
	return readOrder(p.Shards(), all, folders)
}

// readOrder reads the disks of nodes that have ended, each in a folder. What a machine has applied is committed, so the log up to
// there is the order; a log that a snapshot has cut off tells it only in part, which is of no use.
func readOrder(shards uint32, all []shown, folders map[string]string) (o order) {
	o.commits, o.findings = []lin.Commit{}, disagreeing(all)
	for shard := range shards {
		replay, why := o.shard(shard, all, folders)
		if why != "" {
			return order{why: why, findings: o.findings}
		}
		o.commits = append(o.commits, replay.Commits...)
		for _, s := range all {
			if s.shard != shard {
				continue
			}
			if want := replay.DigestAt(s.applied); want != s.digest {
				o.findings = append(o.findings, fmt.Sprintf("%s at index %d holds the state %s, the log gives %s", s.name, s.applied, s.digest, want))
			}
		}
	}
	return o
}

// disagreeing finds replicas that hold different states at the same index, for which no log is needed.
func disagreeing(all []shown) (findings []string) {
	for i, a := range all {
		for _, b := range all[:i] {
			if a.shard == b.shard && a.applied == b.applied && a.digest != b.digest {
				findings = append(findings, fmt.Sprintf("at index %d %s holds the state %s and %s holds %s", a.applied, a.name, a.digest, b.name, b.digest))
			}
		}
	}
	return findings
}

// shard replays one shard's log.
func (o *order) shard(shard uint32, all []shown, folders map[string]string) (*commits.Replay, string) {
	var disks []disk
	for _, s := range all {
		if s.shard != shard {
			continue
		}
		image, err := readDisk(folders[s.name])
		if err != nil {
			o.findings = append(o.findings, fmt.Sprintf("the disk of %s: %v", s.name, err))
			continue
		}
		disks = append(disks, disk{s, image})
	}
	log, why := o.join(disks)
	if why != "" {
		return nil, why
	}
	entries := make([]tap.Entry, 0, len(log))
	for _, e := range log {
		entries = append(entries, tap.Entry{Index: e.Index, Term: e.Term, Type: e.Type, Data: e.Data})
	}
	replay, err := commits.Commits(shard, entries)
	if err != nil {
		o.findings = append(o.findings, err.Error())
		return nil, err.Error()
	}
	return replay, ""
}

// disk is what a node said of itself, and what was on its disk when it had ended.
type disk struct {
	shown
	image audit.Image
}

// executed is the log up to what the node has applied.
func (d disk) executed() []audit.Entry {
	entries := d.image.Entries
	return entries[:sort.Search(len(entries), func(i int) bool { return entries[i].Index > d.applied })]
}

// join makes one log of what the nodes of a shard have executed, from entry 1 to the last that one of them has, and finds nodes
// whose logs differ or lack what they have executed. why says that no log goes back to entry 1.
func (o *order) join(disks []disk) (log []audit.Entry, why string) {
	from := ""
	for _, d := range disks {
		if last := max(d.image.Last, d.image.SnapshotIndex()); last < d.applied {
			o.findings = append(o.findings, fmt.Sprintf("%s has executed entries up to %d, and its disk has them up to %d", d.name, d.applied, last))
		}
		if d.image.First > 1 {
			why = fmt.Sprintf("%s has cut off its log before entry %d behind a snapshot", d.name, d.image.First)
		} else if executed := d.executed(); len(executed) > len(log) {
			log, from = executed, d.name
		}
	}
	if len(log) == 0 {
		return nil, why
	}
	for _, d := range disks {
		executed := d.executed()
		if at := differ(log, executed); at > 0 {
			o.findings = append(o.findings, fmt.Sprintf("%s and %s have executed different entries at index %d", from, d.name, at))
			continue
		}
		end := uint64(len(log))
		if len(executed) == 0 || executed[len(executed)-1].Index <= end {
			continue
		}
		if d.image.First > end+1 {
			return nil, why
		}
		log = append(log[:end:end], executed[sort.Search(len(executed), func(i int) bool { return executed[i].Index > end }):]...)
	}
	return log, ""
}

// differ is the first index at which two logs have different entries, 0 if there is none; both are in the order of the index, and
// one may begin later or have a hole that a snapshot covers.
func differ(a, b []audit.Entry) uint64 {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Index < b[0].Index:
			a = a[1:]
		case a[0].Index > b[0].Index:
			b = b[1:]
		case a[0].Term != b[0].Term || a[0].Type != b[0].Type || !bytes.Equal(a[0].Data, b[0].Data):
			return b[0].Index
		default:
			a, b = a[1:], b[1:]
		}
	}
	return 0
}

// readDisk reads the folder of a node that has ended: identity, log, and the snapshots without which a log that was cut off has a hole.
func readDisk(folder string) (audit.Image, error) {
	names := []string{"identity.json", "raft.db"}
	snapshots, err := filepath.Glob(filepath.Join(folder, "snapshots", "*", "*"))
	if err != nil {
		return audit.Image{}, err
	}
	for _, name := range snapshots {
		rest, err := filepath.Rel(folder, name)
		if err != nil {
			return audit.Image{}, err
		}
		names = append(names, filepath.ToSlash(rest))
	}
	files := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return audit.Image{}, err
		}
		files[name] = b
	}
	image, err := audit.Read(files)
	if err == nil && len(image.Problems) > 0 {
		err = fmt.Errorf("%s: %s", image.Problems[0].Oracle, image.Problems[0].Detail)
	}
	return image, err
}

// write writes the order for lincheck --commits.
func (o order) write(name string) error {
	if o.commits == nil {
		return nil
	}
	return rig.WriteFile(name, func(w io.Writer) error {
		all := lin.NewCommitWriter(w)
		for _, c := range o.commits {
			if err := all.Write(c); err != nil {
				return err
			}
		}
		return all.Flush()
	})
}
