package nemesis

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func names(all []Nemesis) (list []string) {
	for _, n := range all {
		list = append(list, n.Name)
	}
	return list
}

func TestNamesAndFamilies(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range List() {
		if seen[n.Name] || n.Does == "" || n.Scope == "" || n.Inject == nil || n.Lasts <= 0 {
			t.Errorf("%s: named twice, or not whole", n.Name)
		}
		seen[n.Name] = true
		if !slices.Contains(Families(), n.Family) {
			t.Errorf("%s: family %s is not listed", n.Name, n.Family)
		}
	}
}

func TestSelect(t *testing.T) {
	place := Place{}
	for list, want := range map[string]string{"kill-one": "kill-one", "kill": "kill-one kill-leader kill-majority kill-all", "restart,kill-one": "kill-one restart-leader restart-rolling", "none": ""} {
		chosen, leftOut, err := place.Select(list)
		if got := strings.Join(names(chosen), " "); got != want || err != nil || len(leftOut) > 0 {
			t.Errorf("%s: %q, left out %v, %v", list, got, leftOut, err)
		}
	}
	for list, want := range map[string]string{
		"nonsense": "jepsen-lite nemeses", "kill,nonsense": "nonsense", "all,nonsense": "nonsense", "": "no nemesis", "clock": "simulator", "member": "not possible yet", "slots": "not possible yet", "proxy-kill": "--through haproxy", "mixture": "can't be done here",
	} {
		if chosen, _, err := place.Select(list); err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "not installed") {
			t.Errorf("%q: %v, %v, want an error with %q", list, names(chosen), err, want)
		}
	}
}

// TestTooFewReplicas: by its name it is refused, with the reason that no other machine would mend, whatever else is missing here.
func TestTooFewReplicas(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no tool for anything
	for _, place := range []Place{{Replicas: 3}, {Replicas: 3, Containers: true}} {
		if chosen, _, err := place.Select("partition-ring"); err == nil || !strings.Contains(err.Error(), "partition-ring can't be done here: it needs shards of at least 4 replicas") {
			t.Errorf("a ring of three: %v, %v", names(chosen), err)
		}
	}
}

// TestTooFewReplicasForOneOfAFamily: the rest of it is there.
func TestTooFewReplicasForOneOfAFamily(t *testing.T) {
	place := Place{Replicas: 3}
	if reason := place.Missing(OwnNetwork); reason != "" {
		if os.Getenv("KVORUM_CI") == "1" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	chosen, leftOut, err := place.Select("partition")
	if err != nil || len(chosen) != 6 || slices.Contains(names(chosen), "partition-ring") || !strings.Contains(leftOut["partition-ring"], "4 replicas") {
		t.Errorf("%v, left out %v, %v", names(chosen), leftOut, err)
	}
}

// TestAllLeavesOutWithAReason: nothing is in front, so what needs HAProxy is left out, and the rest is there.
func TestAllLeavesOutWithAReason(t *testing.T) {
	chosen, leftOut, err := Place{}.Select("all")
	if leftOut["disk-lying-power-cut"] == "" {
		t.Error("all has what is beyond Raft")
	}
	if err != nil || len(chosen)+len(leftOut) != len(List()) || leftOut["proxy-kill"] == "" || leftOut["kill-one"] != "" {
		t.Errorf("%v, left out %v, %v", names(chosen), leftOut, err)
	}
}

// TestContainers can be broken in every way but by their disks and by signals in quick succession, and only they be unplugged.
func TestContainers(t *testing.T) {
	for _, rules := range []error{nil, errors.New("no rules here")} {
		place := Place{Containers: true, ThroughProxy: true, Replicas: 3, Rules: func() error { return rules }}
		chosen, leftOut, err := place.Select("all")
		for _, n := range List() {
			possible := !slices.Contains(n.Needs, FUSE) && !slices.Contains(n.Needs, Process) && n.Replicas <= 3
			if slices.Contains(n.Needs, OwnNetwork) && rules != nil {
				possible = false
			}
			if slices.Contains(names(chosen), n.Name) != possible || (leftOut[n.Name] == "") != possible {
				t.Errorf("%s: left out %q", n.Name, leftOut[n.Name])
			}
		}
		if err != nil || !slices.Contains(names(chosen), "unplug-one") || !slices.Contains(names(chosen), "proxy-reload") {
			t.Errorf("%v, %v", names(chosen), err)
		}
	}
	if _, _, err := (Place{}).Select("unplug"); err == nil || !strings.Contains(err.Error(), "--target compose") {
		t.Errorf("of processes: %v", err)
	}
}
