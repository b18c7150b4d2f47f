package nemesis

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/dockernet"
	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// Need is something that a nemesis can't do without.
type Need string

// Needs.
const (
	Linux      Need = "linux"
	FUSE       Need = "fuse"
	HAProxy    Need = "haproxy"
	Engine     Need = "engine"
	Process    Need = "process"
	OwnNetwork Need = "network"
)

// Needs are all of them.
func Needs() []Need { return []Need{Linux, FUSE, HAProxy, Engine, Process, OwnNetwork} }

// Means says what the need is, for people.
func (n Need) Means() string {
	return map[Need]string{
		Linux:      "Linux's /proc, which tells if a process really stands still; of a container the engine tells",
		FUSE:       "a file system of our own under the data of processes: /dev/fuse, and root or the package fuse3",
		HAProxy:    "HAProxy in front, with the clients going through it (--through haproxy; in containers always)",
		Engine:     "containers, which their engine can unplug (--target compose)",
		Process:    "processes, which signals reach within milliseconds; an engine's do not (--target processes)",
		OwnNetwork: "a network for each node, in which single directions can be cut: of processes root and the packages iproute2, nftables and util-linux; of containers a kernel with nftables and an image that is made when it is needed",
	}[n]
}

// Place is where a run takes place.
type Place struct {
	Containers   bool // not processes
	ThroughProxy bool // the clients go through HAProxy
	Replicas     int  // of a shard; 0: not known yet
	// Rules finds out if rules can be written into the network of containers, and may make what that takes. It is asked when a chosen
	// nemesis needs it; nil: dockernet.Possible, which makes nothing.
	Rules func() error
}

func (p Place) rules() error {
	if p.Rules == nil {
		return dockernet.Possible()
	}
	return p.Rules()
}

// RulesAsked is for Place.Rules: it asks dockernet.Possible, which runs a container, no more than once.
func RulesAsked() func() error { return sync.OnceValue(dockernet.Possible) }

// Missing says why the need isn't met here, "" if it is.
func (p Place) Missing(n Need) string {
	if p.Containers {
		switch n {
		case FUSE, Process:
			return "needs --target processes"
		case OwnNetwork:
			if err := p.rules(); err != nil {
				return "needs to write rules into the containers' network: " + err.Error()
			}
			return ""
		case Linux, HAProxy, Engine: // the engine knows who is paused, HAProxy is one of the containers
			return ""
		}
	}
	switch n {
	case Linux:
		if runtime.GOOS != "linux" {
			return "needs Linux's /proc, this is " + runtime.GOOS
		}
	case Engine:
		return "needs --target compose"
	case OwnNetwork:
		if err := netns.Possible(); err != nil {
			return "needs a network for each node: " + err.Error()
		}
	case FUSE:
		if err := faultfs.Possible(); err != nil {
			return "needs a file system of our own: " + err.Error()
		}
	case HAProxy:
		if _, err := cluster.FindHAProxy(); err != nil {
			return "needs HAProxy: " + err.Error()
		}
		if !p.ThroughProxy {
			return "needs --through haproxy: with --through nodes nothing stands in front"
		}
	}
	return ""
}

// MissingFor gives the reason why the nemesis can't be carried out here, "" if it can. What no machine has comes first.
func (p Place) MissingFor(n Nemesis) string {
	if reason := p.tooSmallFor(n); reason != "" {
		return reason
	}
	for _, need := range n.Needs {
		if reason := p.Missing(need); reason != "" {
			return reason
		}
	}
	return ""
}

// tooSmallFor gives the reason if the shards have too few replicas for the nemesis.
func (p Place) tooSmallFor(n Nemesis) string {
	if p.Replicas > 0 && p.Replicas < n.Replicas {
		return fmt.Sprintf("needs shards of at least %d replicas, these have %d: --replicas %d --through nodes, of processes", n.Replicas, p.Replicas, n.Replicas)
	}
	return ""
}

// Select reads what was asked for: names and families, separated by commas, or "all" or "single", which leave out what can't be
// done here, or "none". What is asked for by name and can't be done here is an error.
func (p Place) Select(list string) (chosen []Nemesis, leftOut map[string]string, err error) {
	leftOut = map[string]string{}
	if list == "none" {
		return nil, leftOut, nil
	}
	if list == Singles {
		return p.singles(leftOut), leftOut, nil
	}
	asked := strings.Split(list, ",")
	all := slices.Contains(asked, "all")
	found := map[string]bool{}
	for _, n := range List() {
		if !all && !slices.Contains(asked, n.Name) && !slices.Contains(asked, n.Family) {
			continue
		}
		found[n.Name], found[n.Family] = true, true
		if all && n.Beyond != "" && !slices.Contains(asked, n.Name) && !slices.Contains(asked, n.Family) {
			leftOut[n.Name] = "is beyond what Raft promises: ask for it by name"
			continue
		}
		switch reason := p.MissingFor(n); {
		case reason == "":
			chosen = append(chosen, n)
		case all, p.tooSmallFor(n) != "" && !slices.Contains(asked, n.Name): // of a family: no machine has that one
			leftOut[n.Name] = reason
		default:
			return nil, nil, fmt.Errorf("%s can't be done here: it %s", n.Name, reason)
		}
	}
	for _, word := range asked {
		if word != "all" && !found[word] {
			return nil, nil, unknown(word)
		}
	}
	return chosen, leftOut, alone(chosen)
}

// alone refuses what is beyond Raft's promise beside what is not: nobody could tell whose doing a violation is.
func alone(chosen []Nemesis) error {
	beyond := slices.IndexFunc(chosen, func(n Nemesis) bool { return n.Beyond != "" })
	within := slices.IndexFunc(chosen, func(n Nemesis) bool { return n.Beyond == "" })
	if beyond >= 0 && within >= 0 {
		return fmt.Errorf("%s is beyond what Raft promises, and a run of its own: leave it or the others, such as %s, out", chosen[beyond].Name, chosen[within].Name)
	}
	return nil
}

// singles are all single faults that can be had here. It notes those that can't.
func (p Place) singles(leftOut map[string]string) (chosen []Nemesis) {
	for _, n := range List() {
		if len(n.Single) == 0 {
			continue
		}
		if reason := p.MissingFor(n); reason != "" {
			leftOut[n.Name] = reason
			continue
		}
		chosen = append(chosen, n)
	}
	return chosen
}

func unknown(word string) error {
	if word == Singles {
		return fmt.Errorf("%s stands alone: its strikes come one at a time", word)
	}
	for _, a := range Elsewhere() {
		if word == a.Family {
			return fmt.Errorf("%s %s", a.Family, a.Reason)
		}
	}
	if word == "none" {
		return errors.New("none stands alone")
	}
	return fmt.Errorf("no nemesis or family %q: jepsen-lite nemeses lists them", word)
}
