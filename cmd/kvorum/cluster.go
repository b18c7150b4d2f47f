package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/kvorum/kvorum/wire"
)

type clusterCmd struct {
	Status         statusCmd   `cmd:"" help:"Show shards, leaders and replicas."`
	TransferLeader transferCmd `cmd:"" help:"Hand over the leadership of a shard."`
	Snapshot       snapshotCmd `cmd:"" help:"Make replicas write a snapshot now."`
}

type statusCmd struct {
	JSON       bool `name:"json" help:"Print all there is, as JSON."`
	connection `embed:""`
}

// Run prints the state of the cluster as one node sees it. It fails if a shard has no leader or a replica does not answer.
func (c *statusCmd) Run(p *program) error {
	kv, err := c.open(nil)
	if err != nil {
		return err
	}
	defer kv.Close()
	status, err := kv.ClusterStatus(p.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	}
	return printStatus(p.stdout, status)
}

func printStatus(w io.Writer, status wire.ClusterStatus) error {
	table := status.Table
	fmt.Fprintf(w, "cluster %s: %s, slot function %s, epoch %d\n\n", table.Cluster, counted(len(status.Shards), "shard"), table.SlotFunction, table.Epoch)
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(out, "SHARD\tNODE\tROLE\tTERM\tAPPLIED\tLAG\tKEYS\tMEMORY\tDISK\tREADY\tAPI")
	var wrong []string
	for _, shard := range status.Shards {
		commit := highestCommit(shard)
		if shard.Leader == "" {
			wrong = append(wrong, fmt.Sprintf("shard %d has no leader", shard.Shard))
		}
		for _, replica := range shard.Replicas {
			if replica.Status == nil {
				fmt.Fprintf(out, "%d\t%s\tunreachable\t-\t-\t-\t-\t-\t-\tno\t%s\n", shard.Shard, replica.ID, replica.APIAddress)
				wrong = append(wrong, fmt.Sprintf("%s: %s", replica.ID, replica.Error))
				continue
			}
			s := replica.Status
			ready := "yes"
			if !s.Ready {
				ready = "no"
				wrong = append(wrong, fmt.Sprintf("%s is not ready: %s", s.Node, strings.Join(s.NotReady, ", ")))
			}
			fmt.Fprintf(out, "%d\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", shard.Shard, replica.ID, s.Role, s.Term, s.AppliedIndex,
				commit-min(commit, s.AppliedIndex), s.Keys, byteSize(s.Bytes), s.Disk, ready, replica.APIAddress)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if len(wrong) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(wrong, "\n"))
		return fmt.Errorf("the cluster is not whole: what is missing is said above (%s)", counted(len(wrong), "line"))
	}
	return nil
}

func highestCommit(shard wire.ShardStatus) uint64 {
	highest := uint64(0)
	for _, replica := range shard.Replicas {
		if replica.Status != nil {
			highest = max(highest, replica.Status.CommitIndex)
		}
	}
	return highest
}

type transferCmd struct {
	Shard      uint32 `required:"" placeholder:"N" help:"The shard."`
	To         string `placeholder:"NODE" help:"The node that is to lead; without it the one that is furthest."`
	connection `embed:""`
}

// Run hands over the leadership of a shard.
func (c *transferCmd) Run(p *program) error {
	kv, err := c.open(nil)
	if err != nil {
		return err
	}
	defer kv.Close()
	reply, err := kv.TransferLeader(p.ctx, c.Shard, c.To)
	if err != nil {
		return err
	}
	if reply.From == reply.Leader {
		_, err = fmt.Fprintf(p.stdout, "shard %d: %s leads already\n", reply.Shard, reply.Leader)
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "shard %d: %s leads now (before: %s)\n", reply.Shard, reply.Leader, reply.From)
	return err
}

type snapshotCmd struct {
	Shard      *uint32 `placeholder:"N" help:"The shard; without it all."`
	connection `embed:""`
}

// Run makes all replicas of a shard, or of all shards, write a snapshot.
func (c *snapshotCmd) Run(p *program) error {
	kv, err := c.open(nil)
	if err != nil {
		return err
	}
	defer kv.Close()
	var shards []uint32
	if c.Shard != nil {
		shards = []uint32{*c.Shard}
	} else {
		status, err := kv.ClusterStatus(p.ctx)
		if err != nil {
			return err
		}
		for _, shard := range status.Shards {
			shards = append(shards, shard.Shard)
		}
	}
	var failed []error
	for _, shard := range shards {
		reply, err := kv.Snapshot(p.ctx, shard)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		for _, node := range sortedKeys(reply.Replicas) {
			fmt.Fprintf(p.stdout, "shard %d: %s: snapshot at index %d\n", shard, node, reply.Replicas[node])
		}
		for _, node := range sortedKeys(reply.Errors) {
			failed = append(failed, fmt.Errorf("shard %d: %s: %s", shard, node, reply.Errors[node]))
		}
	}
	return errors.Join(failed...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
