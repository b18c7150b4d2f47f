package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// pretended is a node that keeps a diary. It stands in for processes where what a nemesis does to whom is looked at; that
// processes really die and stop is looked at in package cluster.
type pretended struct {
	id      string
	deaf    bool // does not stop when it is told to
	mu      sync.Mutex
	up      bool
	stopped bool
	diary   []string

	endsBadly, staysDown bool
}

func (p *pretended) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.diary = append(p.diary, what)
}

func (p *pretended) ID() string { return p.id }
func (p *pretended) Kill(context.Context) (string, error) {
	p.note("kill")
	p.up, p.stopped = false, false
	return p.id + " is gone", nil
}
func (p *pretended) Start(context.Context) error {
	p.note("start")
	p.up = !p.staysDown
	return nil
}
func (p *pretended) Ready(context.Context) error {
	if !p.up || p.stopped {
		return fmt.Errorf("%s is not ready", p.id)
	}
	return nil
}
func (p *pretended) Pause(context.Context) (string, error) {
	p.note("pause")
	p.stopped = !p.deaf
	return p.id + " stands still", nil
}
func (p *pretended) Paused() error {
	if !p.stopped {
		return errors.New(p.id + " runs")
	}
	return nil
}
func (p *pretended) Resume(context.Context) error { p.note("resume"); p.stopped = false; return nil }
func (p *pretended) Terminate(context.Context) (string, error) {
	p.note("terminate")
	p.up = false
	if p.endsBadly {
		return "", errors.New("ended with code 2")
	}
	return p.id + " ended", nil
}
func (p *pretended) Bury() (bool, error)                    { return false, nil }
func (p *pretended) Reload(context.Context) (string, error) { p.note("reload"); return "reloaded", nil }

// pretend makes a target of 2 shards of 3. The first replica that runs leads.
func pretend(deaf bool) (*Target, []*pretended) {
	t := &Target{}
	var all []*pretended
	for shard := range 2 {
		var nodes []Node
		for i := range 3 {
			p := &pretended{id: fmt.Sprintf("s%dn%d", shard, i), up: true, deaf: deaf}
			nodes, all = append(nodes, p), append(all, p)
		}
		t.Shards = append(t.Shards, nodes)
	}
	t.Leader = func(_ context.Context, shard int) (Node, error) {
		for _, n := range t.Shards[shard] {
			if n.Ready(context.Background()) == nil {
				return n, nil
			}
		}
		return nil, errors.New("no leader")
	}
	front, router := &pretended{id: "haproxy", up: true}, &pretended{id: "router", up: true}
	t.Proxy, t.Router = front, router
	t.Network = &wires{all: all}
	t.Plugs = t.Network.(*wires)
	t.Disks = map[string]Disk{}
	for _, p := range all {
		t.Disks[p.id] = &platter{of: p, takes: 1}
	}
	return t, append(all, front, router)
}

// wires are a network that keeps a diary: in its victims' own.
type wires struct {
	mu      sync.Mutex // of stuck
	all     []*pretended
	leaky   bool // what is cut passes all the same
	silent  bool // nobody sends anything
	stuck   int  // so many probes are lost after the healing
	blocked []netns.Link
}

func (w *wires) note(what string, links []netns.Link) {
	for _, p := range w.all {
		for _, l := range links {
			if p.id == l.From || p.id == l.To {
				p.note(what)
			}
		}
	}
}
func (w *wires) Cut(_ context.Context, links ...netns.Link) (Outage, error) {
	w.note("cut", links)
	w.blocked = links
	return w, nil
}
func (w *wires) Lose(_ context.Context, _ int, links ...netns.Link) (Outage, error) {
	w.note("lose", links)
	return w, nil
}
func (w *wires) Slow(_ context.Context, member string, _ int) (Outage, error) {
	w.note("slow", []netns.Link{{From: member}})
	return w, nil
}
func (w *wires) Unplug(_ context.Context, member string) (Outage, error) {
	w.note("unplug", []netns.Link{{From: member}})
	return w, nil
}
func (w *wires) Reaches(_ context.Context, from, to string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blocked == nil && w.stuck > 0 {
		w.stuck--
		return false, nil
	}
	return w.leaky || !slices.Contains(w.blocked, netns.Link{From: from, To: to}), nil
}
func (w *wires) Heal(context.Context) error { w.blocked = nil; return nil }
func (w *wires) Proof(context.Context) (string, error) {
	if w.silent {
		return "0 packets", ErrNoProof
	}
	return "7 packets", nil
}

// platter is a disk that keeps its diary in its owner's.
type platter struct {
	of      *pretended
	takes   int64 // what a power cut takes, and a fault strikes
	after   int   // only after so many cuts
	reached faultfs.Counters
}

func (p *platter) Set(f faultfs.Faults) error {
	p.of.note(fmt.Sprintf("disk %+v", f))
	p.reached.WriteErrors += p.takes
	return nil
}
func (p *platter) Counters() (faultfs.Counters, error) { return p.reached, nil }
func (p *platter) PowerCut(_ faultfs.Plan, _ uint64, kill func() error) (faultfs.Loss, error) {
	p.of.note("power cut")
	if p.after--; p.after >= 0 {
		return faultfs.Loss{Cuts: 1}, kill()
	}
	return faultfs.Loss{Cuts: 1, Writes: p.takes}, kill()
}

// TestPowerIsCutAgain when it took nothing, but not for ever; then it is not proved. All are up again in the end.
func TestPowerIsCutAgain(t *testing.T) {
	for after, want := range map[int]error{0: nil, 2: nil, cutsAtMost - 1: nil, cutsAtMost: ErrNoProof} {
		target, all := pretend(false)
		target.Disks["s1n0"] = &platter{of: all[3], takes: 1, after: after}
		s, err := powerCut(leader)(t.Context(), target, Blow{Shard: 1, Draw: rand.New(rand.NewPCG(1, 1))})
		if !errors.Is(err, want) || strings.Contains(s.Proof, fmt.Sprintf("cut %d took 1 writes", after+1)) != (want == nil) {
			t.Errorf("after %d cuts without effect: proof %q, %v", after, s.Proof, err)
		}
		if _, err := s.Heal(t.Context()); err != nil || all[3].Ready(t.Context()) != nil {
			t.Errorf("healed: %v, %v", err, all[3].diary)
		}
	}
}

// TestDiskFaultsThatStrikeNobody are no proof.
func TestDiskFaultsThatStrikeNobody(t *testing.T) {
	for _, n := range append(disks(), lies()...) {
		target, all := pretend(false)
		for _, p := range all {
			target.Disks[p.id] = &platter{of: p}
		}
		s, err := n.Inject(t.Context(), target, Blow{Shard: 1, Draw: rand.New(rand.NewPCG(1, 1))})
		if s == nil {
			t.Fatal(err)
		}
		if _, healing := s.Heal(t.Context()); !errors.Is(errors.Join(err, healing), ErrNoProof) {
			t.Errorf("%s: %v, %v", n.Name, err, healing)
		}
	}
}

// TestACutThatIsNone: one through which probes pass, or that nobody tried to cross, is no proof; nor is a link that harmed nobody.
func TestACutThatIsNone(t *testing.T) {
	for _, n := range slices.Concat(partitions(), links(), unplugs()) {
		for _, bad := range []*wires{{leaky: true}, {silent: true}} {
			if n.Replicas > 3 || n.Family != "partition" && bad.leaky {
				continue
			}
			target, _ := pretend(false)
			target.Network, target.Plugs = bad, bad
			if _, proof, err := strike(t, n, target); !errors.Is(err, ErrNoProof) {
				t.Errorf("%s: proof %q, %v", n.Name, proof, err)
			}
		}
	}
}

// TestACutThatLasts after it was healed is no healing; a probe that was lost says nothing yet.
func TestACutThatLasts(t *testing.T) {
	for stuck, healed := range map[int]bool{1: true, 1 << 30: false} {
		target, _ := pretend(false)
		target.Network = &wires{stuck: stuck}
		heal, err := cutLinks(t.Context(), target, []netns.Link{{From: "s1n0", To: "s1n1"}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if proof, err := heal(ctx); (err == nil) != healed || errors.Is(err, ErrNoProof) {
			t.Errorf("%d probes lost: %q, %v", stuck, proof, err)
		}
	}
}

// TestLeaderIsCutOff: the one that leads, in both directions, from both others, and they are not from each other.
func TestLeaderIsCutOff(t *testing.T) {
	target, _ := pretend(false)
	for _, n := range partitions() {
		if n.Name == "partition-leader" {
			s, proof, err := strike(t, n, target)
			if err != nil || !strings.HasPrefix(proof, "s1n0-s1n1 s1n0-s1n2: 7 packets") || strings.Join(s.Victims, " ") != "s1n0" {
				t.Errorf("victims %v, proof %q, %v", s.Victims, proof, err)
			}
		}
	}
}

func strike(t *testing.T, n Nemesis, target *Target) (*Strike, string, error) {
	t.Helper()
	s, err := n.Inject(t.Context(), target, Blow{Shard: 1, For: time.Millisecond, Draw: rand.New(rand.NewPCG(1, 1))})
	if err != nil {
		t.Fatalf("%s: %v", n.Name, err)
	}
	proof, err := s.Heal(t.Context())
	return s, s.Proof + proof, err
}

// TestEachStrikesWhomItSays: victims, what is done to them, proof, and all back afterwards.
func TestEachStrikesWhomItSays(t *testing.T) {
	for _, n := range List() {
		if n.Family == "slow" {
			continue // its beat is real time: TestSlow
		}
		if n.Replicas > 3 {
			continue
		}
		t.Run(n.Name, func(t *testing.T) {
			target, all := pretend(false)
			s, proof, err := strike(t, n, target)
			if err != nil || proof == "" {
				t.Errorf("proof %q, %v", proof, err)
			}
			struck := map[string]bool{}
			for _, victim := range s.Victims {
				struck[victim] = true
			}
			for _, p := range all {
				if slices.Contains(n.Needs, OwnNetwork) {
					continue // it is the links that are struck: TestLeaderIsCutOff
				}
				if (len(p.diary) > 0) != struck[p.id] {
					t.Errorf("victims %v, and to %s it did %v", s.Victims, p.id, p.diary)
				}
				if err := p.Ready(t.Context()); err != nil {
					t.Errorf("afterwards: %v", err)
				}
				if strings.HasPrefix(p.id, "s0") && n.Scope == OneShard && struck[p.id] {
					t.Errorf("%s is not of the shard", p.id)
				}
			}
			want := map[string]int{"kill-all": 6, "kill-majority": 2, "pause-majority": 2, "restart-rolling": 3, "mix-pause-kill": 2, "mix-kill-pause": 2, "mix-reload-kill": 2, "mix-hold-kill": 3, "link-loss": 3, "disk-power-cut-all": 3, "disk-lying-power-cut": 3, "partition-bridge": 2}[n.Name]
			if len(s.Victims) != max(1, want) {
				t.Errorf("victims %v", s.Victims)
			}
		})
	}
}

// TestHeldAndKilled: the leader is stopped and goes on, and is killed while the followers stand still; they go on by themselves. Followers that
// don't stop are no proof.
func TestHeldAndKilled(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		target, all := pretend(deaf)
		s, err := holdAndKill(t.Context(), target, Blow{Shard: 1, Draw: rand.New(rand.NewPCG(1, 1))})
		if errors.Is(err, ErrNoProof) != deaf || err != nil && !deaf {
			t.Errorf("deaf %v: %v", deaf, err)
		}
		for i, want := range []string{"pause resume kill", "pause resume", "pause resume"} {
			if got := strings.Join(all[3+i].diary, " "); got != want {
				t.Errorf("deaf %v: to %s it did %q, want %q", deaf, all[3+i].id, got, want)
			}
		}
		if _, err := s.Heal(t.Context()); err != nil || strings.Join(all[3].diary, " ") != "pause resume kill start" {
			t.Errorf("deaf %v: healed: %v, %v", deaf, all[3].diary, err)
		}
	}
}

// TestWhatDoesNotStopIsNoProof: signals that have no effect must not count.
func TestWhatDoesNotStopIsNoProof(t *testing.T) {
	for _, n := range append(pauses()[:2:2], slowness()...) {
		target, _ := pretend(true)
		if _, proof, err := strike(t, n, target); !errors.Is(err, ErrNoProof) {
			t.Errorf("%s: proof %q, %v", n.Name, proof, err)
		}
	}
}

// TestRestartsThatFail: a node that does not end well, or does not come back, has broken a promise; it is no lack of proof. It is
// started again in any case.
func TestRestartsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*pretended)
		diary string
	}{
		"ends badly": {func(p *pretended) { p.endsBadly = true }, "terminate start"},
		"stays down": {func(p *pretended) { p.staysDown = true }, "terminate start"},
	} {
		target, all := pretend(false)
		c.spoil(all[0])
		strike, err := restart(shardInOrder)(t.Context(), target, Blow{})
		if strike == nil || !errors.Is(err, ErrBroken) {
			t.Fatalf("%s: %+v, %v", name, strike, err)
		}
		all[0].staysDown = false
		if _, err := strike.Heal(t.Context()); (err == nil) != (name == "ends badly") {
			t.Errorf("%s: healed: %v", name, err)
		}
		if diary := strings.Join(all[0].diary, " "); diary != c.diary {
			t.Errorf("%s: %s", name, diary)
		}
	}
}

// TestBeyondRaftStandsAlone: beside others nobody could tell whose doing a violation is.
func TestBeyondRaftStandsAlone(t *testing.T) {
	all := List()
	liar := slices.IndexFunc(all, func(n Nemesis) bool { return n.Beyond != "" })
	if err := alone(all[liar : liar+1]); err != nil {
		t.Error(err)
	}
	if err := alone([]Nemesis{all[0], all[liar]}); err == nil || !strings.Contains(err.Error(), "a run of its own") {
		t.Error(err)
	}
	if err := alone(all[:2]); err != nil {
		t.Error(err)
	}
}
