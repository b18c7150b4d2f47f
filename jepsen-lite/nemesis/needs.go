package nemesis

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Need is something that a nemesis can't do without.
type Need string

// Needs.
const (
	Linux   Need = "linux"   // /proc, which tells if a process really stands still
	Root    Need = "root"    // for networks and file systems of our own
	FUSE    Need = "fuse"    // /dev/fuse
	Docker  Need = "docker"  // an engine that answers
	HAProxy Need = "haproxy" // in front, with the clients going through it
)

// Place is where a run takes place.
type Place struct {
	ThroughProxy bool // the clients go through HAProxy
}

// Missing says why the need isn't met here, "" if it is.
func (p Place) Missing(n Need) string {
	switch n {
	case Linux:
		if runtime.GOOS != "linux" {
			return "needs Linux's /proc, this is " + runtime.GOOS
		}
	case Root:
		if os.Geteuid() != 0 {
			return "needs root"
		}
	case FUSE:
		if _, err := os.Stat("/dev/fuse"); err != nil {
			return "needs /dev/fuse: " + err.Error()
		}
	case Docker:
		if out, err := exec.Command("docker", "info", "-f", "{{.ServerVersion}}").CombinedOutput(); err != nil {
			return "needs Docker's engine: " + strings.TrimSpace(string(out)+" "+err.Error())
		}
	case HAProxy:
		if _, err := exec.LookPath("haproxy"); err != nil {
			return "needs HAProxy, which is not installed (Debian package haproxy)"
		}
		if !p.ThroughProxy {
			return "needs --through haproxy: with --through nodes nothing stands in front"
		}
	}
	return ""
}

// MissingFor gives the reason why the nemesis can't be carried out here, "" if it can.
func (p Place) MissingFor(n Nemesis) string {
	for _, need := range n.Needs {
		if reason := p.Missing(need); reason != "" {
			return reason
		}
	}
	return ""
}

// Select reads what was asked for: names and families, separated by commas, or "all", which leaves out what can't be done
// here, or "none". What is asked for by name and can't be done here is an error.
func (p Place) Select(list string) (chosen []Nemesis, leftOut map[string]string, err error) {
	leftOut = map[string]string{}
	if list == "none" {
		return nil, leftOut, nil
	}
	asked := strings.Split(list, ",")
	all := slices.Contains(asked, "all")
	found := map[string]bool{}
	for _, n := range List() {
		if !all && !slices.Contains(asked, n.Name) && !slices.Contains(asked, n.Family) {
			continue
		}
		found[n.Name], found[n.Family] = true, true
		switch reason := p.MissingFor(n); {
		case reason == "":
			chosen = append(chosen, n)
		case all:
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
	return chosen, leftOut, nil
}

func unknown(word string) error {
	for _, a := range Elsewhere() {
		if word == a.Family {
			return fmt.Errorf("%s %s", a.Family, a.Reason)
		}
	}
	return fmt.Errorf("no nemesis or family %q: jepsen-lite nemeses lists them", word)
}
