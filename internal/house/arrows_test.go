package house

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// arrow says what a package's production code may import. Folders below it have the same rights unless they have a line of
// their own. Tests may import what they need to build a world.
type arrow struct {
	ours   []string // folders of this module
	theirs []string // other modules; nil: any, empty: none
}

func arrows() map[string]arrow {
	none := []string{}
	return map[string]arrow{
		"wire":                  {none, none},
		"network":               {none, none},
		"store":                 {none, []string{"github.com/tidwall/btree", "github.com/zeebo/xxh3"}},
		"peer":                  {[]string{"network", "wire"}, none},
		"replica/controller":    {[]string{"store", "peer", "wire"}, nil},
		"replica":               {[]string{"replica/controller", "store", "wire"}, nil},
		"shardrouter":           {[]string{"replica", "store", "peer", "wire", "network", "client"}, nil},
		"shardrouter/proxysync": {[]string{"shardrouter", "network", "wire"}, []string{"github.com/prometheus/client_golang"}},
		"node":                  {[]string{"replica", "replica/controller", "shardrouter", "shardrouter/proxysync", "store", "peer", "network", "wire"}, nil}, // it wires them all
		"client":                {[]string{"wire", "network"}, none},
		"cmd/kvorum":            {[]string{"node", "client", "wire", "network"}, nil},
		"cmd/lincheck":          {[]string{"linearizability"}, nil},
		"linearizability":       {none, []string{"github.com/anishathalye/porcupine"}},
		"jepsen-lite":           {[]string{"client", "linearizability", "workload", "wire", "network", "internal/rig", "sim/audit", "sim/commits", "sim/tap", "jepsen-lite/faultfs", "jepsen-lite/netns", "jepsen-lite/dockernet"}, none}, // network: to find free ports; of sim what reads disks and replays logs, no world
		"jepsen-lite/faultfs":   {none, []string{"github.com/hanwen/go-fuse/v2"}},                                                                                                                                                         // a disk knows nothing of who writes to it
		"jepsen-lite/netns":     {[]string{"network"}, []string{"golang.org/x/sys"}},                                                                                                                                                      // network: to dial across a cut; sys: to do so in another namespace
		"jepsen-lite/dockernet": {[]string{"jepsen-lite/netns"}, none},
		"workload":              {[]string{"client", "linearizability", "wire"}, none},
		"sim":                   {[]string{"client", "linearizability", "wire", "store", "workload", "internal/rig", "internal/wasmbuild/wasm"}, nil},
		"cmd/kvsim":             {[]string{"sim/kvsim"}, none},
		"cmd/jepsen-lite":       {[]string{"jepsen-lite/cluster", "jepsen-lite/faultfs", "jepsen-lite/nemesis", "jepsen-lite/trial", "internal/rig"}, nil},
		"internal/rig":          {[]string{"linearizability"}, none}, // what sim and jepsen-lite share: the folder of a run holds a history
		"internal/wasmbuild":    {none, none},
		"internal/house":        {none, none},
		"internal/benchfloor":   {none, none},
	}
}

// home is the line of arrows that a folder belongs to, "" if there is none.
func home(folder string) string {
	table := arrows()
	for ; folder != "."; folder = path.Dir(folder) {
		if _, ok := table[folder]; ok {
			return folder
		}
	}
	return ""
}

func followArrows(all []source) (violations []string) {
	for _, s := range all {
		from := home(s.folder())
		if from == "" {
			violations = append(violations, fmt.Sprintf("%s: folder %s has no line in arrows(): say what it may import", s.name, s.folder()))
			continue
		}
		if s.test() {
			continue
		}
		may := arrows()[from]
		for _, i := range s.tree.Imports {
			imported := strings.Trim(i.Path.Value, `"`)
			switch {
			case imported == module || strings.HasPrefix(imported, module+"/"):
				folder := strings.TrimPrefix(imported, module+"/")
				if to := home(folder); to != from && !slices.Contains(may.ours, folder) {
					violations = append(violations, s.at(i, fmt.Sprintf("%s may not import %s, only %q", from, folder, may.ours)))
				}
			case !strings.Contains(strings.Split(imported, "/")[0], "."): // the standard library
			case may.theirs != nil && !slices.ContainsFunc(may.theirs, func(m string) bool { return within(imported, m) }):
				violations = append(violations, s.at(i, fmt.Sprintf("%s may import only %q of other modules, not %s", from, may.theirs, imported)))
			}
		}
	}
	return violations
}

// within: is p the package or module m, or below it.
func within(p, m string) bool { return p == m || strings.HasPrefix(p, m+"/") }

func TestArrows(t *testing.T) { holds(t, followArrows) }

func TestArrowsAreSeen(t *testing.T) {
	judge(t, followArrows, map[string]snippet{
		"store imports ours":        {"store/a.go", `package store; import _ "github.com/kvorum/kvorum/wire"`, "store may not import wire"},
		"client imports the server": {"client/a.go", `package client; import _ "github.com/kvorum/kvorum/replica"`, "client may not import replica"},
		"handler imports peers":     {"replica/a.go", `package replica; import _ "github.com/kvorum/kvorum/peer"`, "replica may not import peer"},
		"controller looks up":       {"replica/controller/a.go", `package controller; import _ "github.com/kvorum/kvorum/replica"`, "may not import replica"},
		"checker knows kvorum":      {"linearizability/a.go", `package linearizability; import _ "github.com/kvorum/kvorum/wire"`, "may not import wire"},
		"checker knows others":      {"linearizability/a.go", `package linearizability; import _ "pgregory.net/rapid"`, "not pgregory.net/rapid"},
		"router jumps the handler":  {"shardrouter/a.go", `package shardrouter; import _ "github.com/kvorum/kvorum/node"`, "may not import node"},
		"new folder":                {"surprise/a.go", `package surprise`, "surprise has no line"},
		"prefix is not a folder":    {"linearizability/a.go", `package linearizability; import _ "github.com/anishathalye/porcupine2"`, "not github.com/anishathalye/porcupine2"},
		"proxysync looks past":      {"shardrouter/proxysync/a.go", `package proxysync; import _ "github.com/kvorum/kvorum/replica"`, "may not import replica"},
		"allowed":                   {"peer/a.go", `package peer; import (_ "github.com/kvorum/kvorum/network"; _ "net/http")`, ""},
		"allowed third party":       {"store/a.go", `package store; import _ "github.com/tidwall/btree"`, ""},
		"below itself":              {"jepsen-lite/a.go", `package jepsenlite; import _ "github.com/kvorum/kvorum/jepsen-lite/cluster"`, ""},
		"tests are free":            {"store/a_test.go", `package store; import _ "pgregory.net/rapid"`, ""},
	})
}

// onlyReplicaImportsRaft holds for tests too: who needs raft in a test tests the wrong layer.
func onlyReplicaImportsRaft(all []source) (violations []string) {
	for _, s := range all {
		if within(s.folder(), "replica") {
			continue
		}
		for _, i := range s.tree.Imports {
			p := strings.Trim(i.Path.Value, `"`)
			if within(p, "github.com/hashicorp/raft") || strings.HasPrefix(p, "github.com/hashicorp/raft-") {
				violations = append(violations, s.at(i, "only replica/ imports hashicorp/raft: go through replica or replica/controller"))
			}
		}
	}
	return violations
}

func TestOnlyReplicaImportsRaft(t *testing.T) { holds(t, onlyReplicaImportsRaft) }

func TestRaftImportsAreSeen(t *testing.T) {
	judge(t, onlyReplicaImportsRaft, map[string]snippet{
		"raft":       {"node/a.go", `package node; import _ "github.com/hashicorp/raft"`, "node/a.go:1"},
		"its log":    {"shardrouter/a.go", `package shardrouter; import _ "github.com/hashicorp/raft-boltdb/v2"`, "only replica/"},
		"in a test":  {"node/a_test.go", `package node; import _ "github.com/hashicorp/raft"`, "only replica/"},
		"replica":    {"replica/controller/a.go", `package controller; import _ "github.com/hashicorp/raft"`, ""},
		"other name": {"node/a.go", `package node; import _ "github.com/hashicorp/rafters"`, ""},
	})
}
