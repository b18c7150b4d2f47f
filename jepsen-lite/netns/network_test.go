package netns

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// connected gives a network, or skips the test with the reason; in CI, where everything must run, it fails.
func connected(t *testing.T, members ...string) (context.Context, *Network) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	n, err := New(ctx, members...)
	if errors.Is(err, ErrNoNamespaces) && os.Getenv("KVORUM_CI") != "1" {
		t.Skip(err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	return ctx, n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantReach probes every direction between all members and Host: only those cut are closed.
func wantReach(ctx context.Context, t *testing.T, n *Network, cut ...Link) {
	t.Helper()
	var probes sync.WaitGroup
	defer probes.Wait()
	all := append(n.Members(), Host)
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			probes.Go(func() {
				got, err := n.Reaches(ctx, from, to)
				if want := !slices.Contains(cut, Link{from, to}); got != want || err != nil {
					t.Errorf("%s reaches %s: %v, want %v (%v)", from, to, got, want, err)
				}
			})
		}
	}
}

// TestCuts: each kind of partition closes exactly its directions, counts what it drops, and ends.
func TestCuts(t *testing.T) {
	ctx, n := connected(t, "a", "b", "c", "d")
	wantReach(ctx, t, n)
	for _, p := range Partitions() {
		links := p.Links(n.Members(), "b")
		f, err := n.Cut(ctx, links...)
		check(t, err)
		wantReach(ctx, t, n, links...)
		dropped, err := f.Dropped(ctx)
		check(t, err)
		for i, packets := range dropped {
			if packets == 0 {
				t.Errorf("%s: no packet was dropped on %v", p.Name, links[i])
			}
		}
		check(t, f.Heal(ctx))
		check(t, f.Heal(ctx)) // once is enough
		last, err := f.Dropped(ctx)
		check(t, err)
		if len(last) != len(links) || last[0] < dropped[0] {
			t.Errorf("%s: %v packets before the end, %v after it", p.Name, dropped, last)
		}
	}
	wantReach(ctx, t, n)
}

// TestCutsAddUp, and one ends without the other; a link cut twice is cut until both have ended.
func TestCutsAddUp(t *testing.T) {
	ctx, n := connected(t, "a", "b")
	first, err := n.Cut(ctx, Link{"a", "b"}, Link{"b", Host})
	check(t, err)
	second, err := n.Cut(ctx, Link{Host, "a"}, Link{"a", "b"})
	check(t, err)
	wantReach(ctx, t, n, Link{"a", "b"}, Link{"b", Host}, Link{Host, "a"})
	check(t, first.Heal(ctx))
	wantReach(ctx, t, n, Link{"a", "b"}, Link{Host, "a"})
	check(t, second.Heal(ctx))
	wantReach(ctx, t, n)
	if _, err := n.Cut(ctx, Link{"a", "x"}); err == nil {
		t.Error("a link to nowhere was cut")
	}
	if _, err := n.Cut(ctx); err == nil {
		t.Error("nothing was cut")
	}
}

// TestStreamsHang: a cut refuses nothing. A connection that was there before goes on afterwards, with all its bytes.
func TestStreamsHang(t *testing.T) {
	ctx, n := connected(t, "a", "b")
	var l net.Listener
	check(t, n.Do("a", func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(n.Address("a").String(), "0"))
		return err
	}))
	defer l.Close()
	from, err := n.Dial(ctx, "b", l.Addr().String())
	check(t, err)
	defer from.Close()
	at, err := l.Accept()
	check(t, err)
	defer at.Close()
	f, err := n.Cut(ctx, Link{"b", "a"}) // one direction is enough
	check(t, err)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := n.Dial(short, "b", l.Addr().String()); !errors.Is(err, context.DeadlineExceeded) && !os.IsTimeout(err) {
		t.Errorf("dial across the cut: %v", err)
	}
	_, err = from.Write([]byte("late"))
	check(t, err)
	check(t, at.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	got := make([]byte, 4)
	if _, err := at.Read(got); !os.IsTimeout(err) {
		t.Errorf("read across the cut: %v", err)
	}
	check(t, f.Heal(ctx))
	check(t, at.SetReadDeadline(time.Now().Add(20*time.Second)))
	if _, err := io.ReadFull(at, got); err != nil || string(got) != "late" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestLoss(t *testing.T) {
	ctx, n := connected(t, "a", "b")
	f, err := n.Lose(ctx, 500, Link{"a", "b"})
	check(t, err)
	passed := 0
	for range 40 { // each sends until one datagram arrives
		ok, err := n.Reaches(ctx, "a", "b")
		check(t, err)
		if ok {
			passed++
		}
	}
	dropped, err := f.Dropped(ctx)
	check(t, err)
	t.Logf("%d of 40 arrived, %d packets were dropped", passed, dropped[0])
	if passed < 35 || dropped[0] < 10 {
		t.Errorf("%d of 40 arrived in the end, %d packets were dropped", passed, dropped[0])
	}
}

// TestSlow sends bytes over a slow cable: they can't be quicker than it.
func TestSlow(t *testing.T) {
	ctx, n := connected(t, "a", "b")
	const kilobits, bytes = 2000, 100_000 // 0.4 s
	s, err := n.Slow(ctx, "a", kilobits)
	check(t, err)
	for _, way := range []Link{{"a", "b"}, {"b", "a"}, {Host, "a"}} {
		took := transfer(ctx, t, n, way, bytes)
		if least := time.Duration(bytes) * 8 * time.Second / (kilobits * 1000) / 2; took < least {
			t.Errorf("%v took %s", way, took)
		}
	}
	held, err := s.Held(ctx)
	check(t, err)
	if held.Packets == 0 {
		t.Error("no packet had to wait")
	}
	check(t, n.Heal(ctx))
	took := transfer(ctx, t, n, Link{"a", "b"}, bytes)
	t.Logf("held up %+v; healed: %s", held, took)
	if took > 300*time.Millisecond {
		t.Errorf("the healed link took %s", took)
	}
}

// transfer sends bytes over a stream and says how long it takes until the last arrives.
func transfer(ctx context.Context, t *testing.T, n *Network, way Link, bytes int) time.Duration {
	t.Helper()
	var l net.Listener
	check(t, n.Do(way.To, func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(n.Address(way.To).String(), "0"))
		return err
	}))
	defer l.Close()
	from, err := n.Dial(ctx, way.From, l.Addr().String())
	check(t, err)
	defer from.Close()
	at, err := l.Accept()
	check(t, err)
	defer at.Close()
	start := time.Now()
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, bytes))
		sent <- err
	}()
	_, err = io.ReadFull(at, make([]byte, bytes))
	check(t, errors.Join(err, <-sent))
	return time.Since(start)
}

// TestCommandRunsInside, as the process that was started, and sees nothing but its own network.
func TestCommandRunsInside(t *testing.T) {
	_, n := connected(t, "a")
	line := append(n.Command("a"), "sh", "-c", "echo $$; ip -o -4 addr show dev eth0; ip -o link show")
	cmd := exec.Command(line[0], line[1:]...)
	out, err := cmd.Output()
	check(t, err)
	text := string(out)
	if pid, _, _ := strings.Cut(text, "\n"); pid != strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("process %q, started was %d", pid, cmd.Process.Pid)
	}
	if !strings.Contains(text, n.Address("a").String()+"/24") || strings.Contains(text, n.id+"@") { // the machine's end
		t.Errorf("it sees %s", text)
	}
}

// TestNothingIsLeft after Close, nor after the death of whoever made the network, which the guardian takes from its pipe.
func TestNothingIsLeft(t *testing.T) {
	_, n := connected(t, "a", "b")
	present := func() string {
		spaces, err := exec.Command("ip", "netns", "list").Output()
		check(t, err)
		links, err := exec.Command("ip", "-o", "link").Output()
		check(t, err)
		var found []string
		for _, line := range strings.Split(string(spaces)+string(links), "\n") {
			if strings.Contains(line, n.id) {
				found = append(found, line)
			}
		}
		return strings.Join(found, "\n")
	}
	if got := strings.Count(present(), "\n"); got != 3 {
		t.Fatalf("there are only\n%s", present())
	}
	check(t, n.leash.Close())
	check(t, n.guardian.Wait())
	if left := present(); left != "" {
		t.Errorf("left:\n%s", left)
	}
	n.closed = true
}

func TestSubnetsDoNotOverlap(t *testing.T) {
	_, one := connected(t, "a")
	_, two := connected(t, "a")
	if one.subnet.Overlaps(two.subnet) {
		t.Errorf("%v and %v", one.subnet, two.subnet)
	}
}
