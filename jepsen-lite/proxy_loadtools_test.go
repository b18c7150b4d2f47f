//go:build deploy

package jepsenlite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// loadTool finds a tool of Debian's packages.
func loadTool(t *testing.T, name, debian string) string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		skip(t, fmt.Sprintf("%s is missing (Debian package %s)", name, debian))
	}
	return program
}

// TestLoadTools: standard load tools drive the API through HAProxy while a leader is killed. What they count as done is there, and
// was done once.
func TestLoadTools(t *testing.T) {
	wrk, ab := loadTool(t, "wrk", "wrk"), loadTool(t, "ab", "apache2-utils")
	ctx := within(t, 2*time.Minute)
	p := startProxied(ctx, t)
	t.Run("wrk", func(t *testing.T) { p.wrk(ctx, t, wrk) })
	t.Run("ab", func(t *testing.T) { p.ab(ctx, t, ab) })
}

// killOnce kills a shard's leader when the tool has written for a while, and starts it again while it still does.
func (p *proxied) killOnce(ctx context.Context, t *testing.T, shard uint32, written func() int, before int) {
	t.Helper()
	check(t, cluster.WaitFor(ctx, "the tool to write", func(context.Context) error {
		if n := written(); n < before {
			return fmt.Errorf("%d of %d writes", n, before)
		}
		return nil
	}))
	leader, err := p.Leader(ctx, shard)
	check(t, err)
	check(t, leader.Kill())
	_, _ = p.nextLeader(ctx, t, leader)
	check(t, leader.Start())
	check(t, leader.WaitReady(ctx))
}

const (
	wrkThreads = 6
	wrkTime    = 8 * time.Second
)

// wrk knows which writes it got acknowledged: each is read back.
func (p *proxied) wrk(ctx context.Context, t *testing.T, program string) {
	folder := t.TempDir()
	n := strconv.Itoa(wrkThreads)
	cmd := exec.CommandContext(ctx, program, "-t", n, "-c", n, "-d", wrkTime.String(), "--timeout", "30s", "-s", "testdata/wrk.lua", "http://"+p.h.Front.API, "--", folder)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	check(t, cmd.Start())
	p.killOnce(ctx, t, 1, func() int { return len(readTold(t, folder).acked) }, 100)
	check(t, cmd.Wait())
	told := readTold(t, folder)
	stored := p.stored(ctx, t, "wrk-")
	for _, what := range told.wrong {
		t.Error(what)
	}
	for key, revision := range told.acked {
		if row := stored[key]; row.value != key || row.revision != revision {
			t.Errorf("%s was acknowledged as revision %d; there is %q at revision %d", key, revision, row.value, row.revision)
		}
	}
	unknown := wrkThreads // the writes under way when it ends
	for reply, times := range told.replies {
		status, outcome, _ := strings.Cut(reply, " ")
		switch {
		case status == "503" && outcome == string(wire.NotApplied), status == "429" && outcome == string(wire.NotApplied):
		case (status == "502" || status == "504" || status == "500") && outcome == string(wire.Unknown):
			unknown += times
		default:
			t.Errorf("%d replies %s: not documented", times, reply)
		}
	}
	broken := socketErrors(out.String())
	rate := regexp.MustCompile(`Requests/sec: *([0-9.]+)`).FindStringSubmatch(out.String())
	if rate == nil {
		t.Fatalf("no rate in\n%s", &out)
	}
	t.Logf("wrk: %s requests/s; %d writes acknowledged, %d stored; other replies to writes %v, to reads %v; %d connections broke", rate[1], len(told.acked), len(stored), told.replies, told.reads, broken)
	if extra := len(stored) - len(told.acked); extra < 0 || extra > unknown+broken || len(told.acked) < 200 {
		t.Errorf("%d writes acknowledged, %d stored; %d can have been done beyond those", len(told.acked), len(stored), unknown+broken)
	}
}

// told is what wrk.lua tells.
type told struct {
	acked          map[string]uint64
	replies, reads map[string]int // "503 not-applied"
	wrong          []string
}

func readTold(t *testing.T, folder string) told {
	t.Helper()
	all := told{acked: map[string]uint64{}, replies: map[string]int{}, reads: map[string]int{}}
	files, err := filepath.Glob(filepath.Join(folder, "wrk-*"))
	check(t, err)
	for _, name := range files {
		text, err := os.ReadFile(name)
		check(t, err)
		for line := range strings.Lines(string(text)) {
			if !strings.HasSuffix(line, "\n") {
				break // is being written
			}
			word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch word {
			case "acked":
				key, revision, _ := strings.Cut(rest, " ")
				all.acked[key], err = strconv.ParseUint(revision, 10, 64)
				check(t, err)
			case "reply":
				all.replies[rest]++
			case "read":
				all.reads[rest]++
			default:
				all.wrong = append(all.wrong, line)
			}
		}
	}
	return all
}

// socketErrors is how many connections broke, as wrk counts.
func socketErrors(out string) (sum int) {
	for _, match := range regexp.MustCompile(`(?:connect|read|write|timeout) (\d+)`).FindAllStringSubmatch(out, -1) {
		n, _ := strconv.Atoi(match[1])
		sum += n
	}
	return sum
}

type storedRow struct {
	value    string
	revision uint64
}

// stored lists all keys of a prefix at a node, without HAProxy.
func (p *proxied) stored(ctx context.Context, t *testing.T, prefix string) map[string]storedRow {
	t.Helper()
	reply, err := p.Nodes[0].Do(ctx, http.MethodGet, "/v1/kv?limit=100000&prefix="+prefix, nil)
	check(t, err)
	rows := map[string]storedRow{}
	lines := strings.Split(strings.TrimSpace(string(reply.Body)), "\n")
	for _, line := range lines[:len(lines)-1] {
		var row wire.Entry
		check(t, json.Unmarshal([]byte(line), &row))
		rows[string(row.Key)] = storedRow{string(row.Value), row.Revision}
	}
	if !strings.Contains(lines[len(lines)-1], `"complete":true`) {
		t.Fatalf("the listing was cut: %s", lines[len(lines)-1])
	}
	return rows
}

const (
	abRequests = 2000
	abKey      = "ab-key-z" // of shard 2, and nobody else writes to its slot
)

// ab puts one key over and over: its revision counts what was executed.
func (p *proxied) ab(ctx context.Context, t *testing.T, program string) {
	body := filepath.Join(t.TempDir(), "body")
	check(t, os.WriteFile(body, []byte("value"), 0o600))
	before := p.revision(ctx, t)
	cmd := exec.CommandContext(ctx, program, "-q", "-v", "4", "-n", strconv.Itoa(abRequests), "-c", "8", "-k", "-r", "-s", "30", "-u", body, "-T", "application/octet-stream", "http://"+p.h.Front.API+"/v1/kv/"+abKey)
	var out, problems bytes.Buffer // apart: what stands in the middle of a reply's head makes it unreadable
	cmd.Stdout, cmd.Stderr = &out, &problems
	check(t, cmd.Start())
	p.killOnce(ctx, t, 2, func() int { return int(p.revision(ctx, t) - before) }, 100)
	check(t, cmd.Wait())
	executed := int(p.revision(ctx, t) - before)
	replies, complete, rate := abReplies(t, out.String())
	done, maybe := 0, abRequests // maybe: may have been executed, and was not said to be; a connection that ends without a reply tells nothing
	for reply, times := range replies {
		status, outcome, _ := strings.Cut(reply, " ")
		switch {
		case outcome == string(wire.Applied) && (status == "200" || status == "201"):
			done += times
			maybe -= times
		case outcome == string(wire.NotApplied) && (status == "503" || status == "429"):
			maybe -= times
		case outcome == string(wire.Unknown) && (status == "502" || status == "504" || status == "500"):
		default:
			t.Errorf("%d replies %s: not documented", times, reply)
		}
	}
	t.Logf("ab: %s requests/s; %d writes answered with success, %d executed; replies %v; %d can have been executed beyond those", rate, done, executed, replies, maybe)
	if complete != strconv.Itoa(abRequests) || executed < done || executed > done+maybe || done < abRequests*3/4 {
		t.Errorf("%s requests complete, %d writes answered with success, %d executed, %d can have been beyond those; replies %v\n%s", complete, done, executed, maybe, replies, &problems)
	}
}

// abReplies reads what ab -v 4 prints: how often each status and outcome came ("503 not-applied"), and its own figures.
func abReplies(t *testing.T, out string) (replies map[string]int, complete, rate string) {
	t.Helper()
	replies = map[string]int{}
	for _, text := range strings.Split(out, "LOG: header received:\n")[1:] {
		reply, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		check(t, err)
		replies[fmt.Sprint(reply.StatusCode, " ", reply.Header.Get(wire.HeaderOutcome))]++
	}
	figure := func(what string) string {
		if match := regexp.MustCompile(what + ` *([0-9.]+)`).FindStringSubmatch(out); match != nil {
			return match[1]
		}
		return "no"
	}
	return replies, figure("Complete requests:"), figure("Requests per second:")
}

// revision of ab's key; 0 while it is absent.
func (p *proxied) revision(ctx context.Context, t *testing.T) uint64 {
	t.Helper()
	var reply *cluster.Reply
	check(t, cluster.WaitFor(ctx, "a read", func(ctx context.Context) (err error) {
		if reply, err = p.Nodes[0].Get(ctx, abKey); err == nil && reply.Status != 200 && reply.Status != 404 {
			err = fmt.Errorf("%s", reply)
		}
		return err
	}))
	return reply.Revision()
}
