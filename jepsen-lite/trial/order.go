package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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

// shard replays one shard's log, and finds nodes whose logs differ.
func (o *order) shard(shard uint32, all []shown, folders map[string]string) (*commits.Replay, string) {
	var log []audit.Entry
	var from string
	for _, s := range all {
		if s.shard != shard {
			continue
		}
		image, err := readDisk(folders[s.name])
		if err != nil {
			o.findings = append(o.findings, fmt.Sprintf("the disk of %s: %v", s.name, err))
			continue
		}
		if image.First > 1 {
			return nil, fmt.Sprintf("%s has cut off its log before entry %d behind a snapshot", s.name, image.First)
		}
		applied := image.Entries[:min(uint64(len(image.Entries)), s.applied)]
		if at := differ(log, applied); at > 0 {
			o.findings = append(o.findings, fmt.Sprintf("%s and %s have executed different entries at index %d", from, s.name, at))
		}
		if len(applied) > len(log) {
			log, from = applied, s.name
		}
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

// differ is the first index at which two logs differ, as far as both go; 0 if they don't.
func differ(a, b []audit.Entry) uint64 {
	for i := range min(len(a), len(b)) {
		if a[i].Index != b[i].Index || a[i].Term != b[i].Term || a[i].Type != b[i].Type || !bytes.Equal(a[i].Data, b[i].Data) {
			return b[i].Index
		}
	}
	return 0
}

// readDisk reads the log of a node that has ended.
func readDisk(folder string) (audit.Image, error) {
	files := map[string][]byte{}
	for _, name := range []string{"identity.json", "raft.db"} {
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
