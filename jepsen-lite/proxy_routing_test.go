//go:build deploy

package jepsenlite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

// wire-level client: net/http would clean or refuse the targets that this is about.
type rawClient struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dialRaw(address string) (*rawClient, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &rawClient{conn, bufio.NewReader(conn)}, nil
}

func (c *rawClient) do(method, target, id, body string) (*cluster.Reply, error) {
	if err := c.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	_, err := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: kvorum\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s", method, target, wire.HeaderRequestID, id, len(body), body)
	if err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return &cluster.Reply{Status: response.StatusCode, Header: response.Header, Body: content}, err
}

// routingCheck is one request and where HAProxy must send it. Requests of one list run one after the other.
type routingCheck struct {
	method, target string
	key            string // decoded
	status         []int
	body           string // wanted of a GET
	anywhere       bool   // any node will do: there is no key
	nowhere        bool   // there is a key, but none that can be read: HAProxy or any node says so
}

// lifeOf puts a key, reads it, deletes it, and tries a method that there is not: each by its raw target.
func lifeOf(raw, key string) []routingCheck {
	target := "/v1/kv/" + raw
	return []routingCheck{
		{method: "PUT", target: target, key: key, status: []int{200, 201}},
		{method: "GET", target: target, key: key, status: []int{200}, body: key},
		{method: "HEAD", target: target, key: key, status: []int{200}},
		{method: "GET", target: target + "?consistency=stale", key: key, status: []int{200, 404}},
		{method: "DELETE", target: target, key: key, status: []int{204}},
		{method: "POST", target: target, key: key, status: []int{405}},
	}
}

// routingLists are the checks, by last byte: keys with the same one may be the same key, so they must not overlap.
func routingLists() [256][]routingCheck {
	var lists [256][]routingCheck
	add := func(raw string) {
		key, err := url.PathUnescape(raw)
		if err != nil {
			panic(err)
		}
		last := key[len(key)-1]
		lists[last] = append(lists[last], lifeOf(raw, key)...)
	}
	for b := range 256 {
		add(fmt.Sprintf("k%%%02X", b))
		add(fmt.Sprintf("%%%02x", b))
		add(fmt.Sprintf("a%%2Fb/%%%02X", b))
		if b > ' ' && b < 0x7f && !strings.ContainsRune("?%#", rune(b)) {
			add("key" + string(rune(b)))
		}
	}
	for _, raw := range []string{"a%2Fb", "a%2F", "a/", "a//b", "//", "/", ".", "..", "a/./b", "a/../b", "../../etc", "%25%41", "%2541", "a+b", "a%2B", "a%20b",
		"caf%C3%A9", "%F0%9F%98%80", "a%3Fb", "%25", "a%00b", "%2e%2E", "%2E", "a;b=c", "a&b", "%61%25", strings.Repeat("x", 1023) + "~", strings.Repeat("%41", 1024)} {
		add(raw)
	}
	return lists
}

// routingOddities: too long for a key, and malformed. HAProxy must route the long ones right all the same: a node says no.
func routingOddities() []routingCheck {
	long := func(raw string, last byte) routingCheck {
		return routingCheck{method: "GET", target: "/v1/kv/" + raw, key: string(rune(last)), status: []int{414}}
	}
	checks := []routingCheck{
		long(strings.Repeat("x", 14_990)+"~", '~'), long(strings.Repeat("%42", 5_000), 'B'), long(strings.Repeat("/", 14_000)+"%7e", '~'),
		{method: "GET", target: "http://kvorum/v1/kv/absolute", key: "absolute", status: []int{404}},
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		checks = append(checks, routingCheck{method: method, target: "/v1/kv/", status: []int{400}, nowhere: true})
		for _, raw := range []string{"a%", "%", "a%4", "a%zz", "%zz", "a%4g", "%%", "a%2", "x%f", "%zza", "a%4/b", "%" + strings.Repeat("x", 14_000)} {
			checks = append(checks, routingCheck{method: method, target: "/v1/kv/" + raw, status: []int{400}, nowhere: true})
		}
	}
	for _, target := range []string{"/v1/kv?limit=1", "/v1/cluster", "/v1/cluster/table", "/v1/openapi.yaml", "/v1/health/ready"} {
		checks = append(checks, routingCheck{method: "GET", target: target, status: []int{200}, anywhere: true})
	}
	for _, target := range []string{"/", "/v1/kvx", "/v1", "/v1%2Fkv/a", "/v1/operations/none"} {
		checks = append(checks, routingCheck{method: "GET", target: target, status: []int{404}, anywhere: true})
	}
	return checks
}

// routingRun sends checks and remembers what to look for in HAProxy's log.
type routingRun struct {
	name  string
	n     atomic.Int64
	wrong atomic.Int64
	mu    sync.Mutex
	sent  map[string]routingCheck // by request id
}

func (run *routingRun) complain(t *testing.T, format string, a ...any) {
	if run.wrong.Add(1) <= 20 {
		t.Errorf(format, a...)
	}
}

func (run *routingRun) one(t *testing.T, client *rawClient, k routingCheck) error {
	id := run.name + "-" + strconv.FormatInt(run.n.Add(1), 10)
	run.mu.Lock()
	run.sent[id] = k
	run.mu.Unlock()
	body := ""
	if k.method == "PUT" {
		body = k.key
	}
	reply, err := client.do(k.method, k.target, id, body)
	if err != nil {
		return fmt.Errorf("%s %.100s: %w", k.method, k.target, err)
	}
	shard := reply.Header.Get(wire.HeaderShard)
	switch {
	case !slices.Contains(k.status, reply.Status), k.body != "" && string(reply.Body) != k.body:
		run.complain(t, "%s %.100s: %s, want status %v, body %q", k.method, k.target, reply, k.status, k.body)
	case !reply.Outcome().Valid() || reply.Header.Get(wire.HeaderRequestID) != id:
		run.complain(t, "%s %.100s: %s has no outcome, or not the request's id: %v", k.method, k.target, reply, reply.Header)
	case k.key != "" && shard != "" && shard != strconv.Itoa(int(k.key[len(k.key)-1])%3):
		run.complain(t, "%s %.100s: answered by shard %s", k.method, k.target, shard)
	}
	return nil
}

func (run *routingRun) all(t *testing.T, address string, lists [][]routingCheck) {
	t.Helper()
	work := make(chan []routingCheck)
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			client, err := dialRaw(address)
			for list := range work {
				for _, k := range list {
					if err == nil {
						err = run.one(t, client, k)
					}
				}
			}
			errs <- err
		}()
	}
	for _, list := range lists {
		work <- list
	}
	close(work)
	for range cap(errs) {
		check(t, <-errs)
	}
}

// backend is where HAProxy must send a check.
func (k routingCheck) backend() string {
	if k.anywhere {
		return "kv_any"
	}
	kind := "w"
	if k.method == "GET" || k.method == "HEAD" {
		kind = "r"
	}
	return fmt.Sprintf("kv_s%d_%s", k.key[len(k.key)-1]%3, kind)
}

// judge compares HAProxy's own choices, as its log tells them, with the map as it should be.
func (run *routingRun) judge(ctx context.Context, t *testing.T, h *cluster.HAProxy) {
	t.Helper()
	var log map[string][]cluster.Access
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	check(t, cluster.WaitFor(short, "HAProxy's log", func(context.Context) (err error) {
		log, err = h.Log()
		for id, k := range run.sent {
			if len(log[id]) == 0 {
				return errors.Join(err, fmt.Errorf("no line of request %s, %s %.100s", id, k.method, k.target))
			}
		}
		return err
	}))
	for id, k := range run.sent {
		a := log[id][0]
		slot := "-"
		if k.key != "" {
			slot = strconv.Itoa(int(k.key[len(k.key)-1]))
		}
		if k.nowhere {
			if len(log[id]) != 1 || a.Outcome != string(wire.NotApplied) {
				run.complain(t, "%s %.100s: HAProxy's log says %+v", k.method, k.target, log[id])
			}
			continue
		}
		if len(log[id]) != 1 || a.Backend != k.backend() || a.Slot != slot || a.Outcome == "-" {
			run.complain(t, "%s %.100s: HAProxy's log says %+v; want once, slot %q, backend %s", k.method, k.target, log[id], slot, k.backend())
		}
	}
}

func TestHAProxyRouting(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	p := startProxied(ctx, t, calm()...)
	lists := routingLists()
	run := &routingRun{name: "route", sent: map[string]routingCheck{}}
	start := time.Now()
	run.all(t, p.h.Front.API, lists[:])
	run.all(t, p.h.Front.API, [][]routingCheck{routingOddities()})
	run.judge(ctx, t, p.h)
	t.Logf("%d requests through HAProxy in %s: %d wrong", run.n.Load(), time.Since(start).Round(time.Millisecond), run.wrong.Load())
	if run.n.Load() < 4000 {
		t.Errorf("only %d checks", run.n.Load())
	}
	t.Run("not HTTP", func(t *testing.T) { refusesWhatIsNoHTTP(t, p.h.Front.API) })
	t.Run("wrong maps", func(t *testing.T) { rightInSpiteOfTheMap(ctx, t, p) })
}

// refusesWhatIsNoHTTP: HAProxy's parser answers by itself. Its page can't be changed and bears no outcome; nothing was sent.
func refusesWhatIsNoHTTP(t *testing.T, address string) {
	for _, target := range []string{"/v1/kv/a b", "/v1/kv/caf\xc3\xa9", "/v1/kv/a#b", "/v1/kv/a\tb", "/v1/kv/a\x7fb", "/v1/kv/a\x01", "/v1/kv/" + strings.Repeat("x", 20_000)} {
		client, err := dialRaw(address)
		check(t, err)
		reply, err := client.do("PUT", target, "bad", "v")
		if err != nil {
			t.Errorf("%.40q: %v", target, err)
			continue
		}
		// Newer versions say 414 or 431 where 2.6 says 400.
		if reply.Status != 400 && reply.Status != 414 && reply.Status != 431 {
			t.Errorf("%.40q: %s", target, reply)
		}
		check(t, client.conn.Close())
	}
}

// wantProblem wants a problem body that agrees with the status and the outcome header.
func wantProblem(t *testing.T, reply *cluster.Reply, status int, outcome wire.Outcome) wire.Problem {
	t.Helper()
	var problem wire.Problem
	if err := json.Unmarshal(reply.Body, &problem); err != nil {
		t.Errorf("%s: no problem body: %v", reply, err)
	}
	_, known := wire.Codes[problem.Code]
	if reply.Status != status || problem.Status != status || reply.Outcome() != outcome || problem.Outcome != outcome || !known || reply.Header.Get("Content-Type") != wire.ContentTypeProblem {
		t.Errorf("%s, headers %v: want %d %s", reply, reply.Header, status, outcome)
	}
	return problem
}

// wrongMaps are slot maps that no cluster of three equal shards has.
func wrongMaps() map[string]func(slot int) string {
	return map[string]func(slot int) string{
		"rotated by one": func(slot int) string { return fmt.Sprintf("s%d:1", (slot+1)%3) },
		"stale":          func(slot int) string { return fmt.Sprintf("s%d:1", slot%2) }, // of a time with two shards
		"every other row": func(slot int) string {
			if slot%2 == 0 {
				return ""
			}
			return fmt.Sprintf("s%d:1", slot%3)
		},
		"unknown shard": func(int) string { return "s9:7" },
		"nonsense":      func(slot int) string { return []string{"x", ":", "s:", "1", "s0:1:r"}[slot%5] },
		"empty":         func(int) string { return "" },
	}
}

// rightInSpiteOfTheMap puts wrong maps into HAProxy, without a router that would mend them: every reply is right. Then the
// router comes and mends the last.
func rightInSpiteOfTheMap(ctx context.Context, t *testing.T, p *proxied) {
	_, err := p.r.Terminate(ctx)
	check(t, err)
	var lists [][]routingCheck
	for b := range 256 {
		raw := fmt.Sprintf("m%%%02X", b)
		life := lifeOf(raw, "m"+string([]byte{byte(b)}))
		lists = append(lists, []routingCheck{life[0], life[1], life[4]}) // PUT, GET, DELETE
	}
	for name, row := range wrongMaps() {
		setMap(ctx, t, p.h, row)
		run := &routingRun{name: strings.ReplaceAll(name, " ", "-"), sent: map[string]routingCheck{}}
		run.all(t, p.h.Front.API, lists)
		t.Logf("map %s: %d requests, %d wrong answers", name, run.n.Load(), run.wrong.Load())
	}
	check(t, p.r.Start())
	check(t, cluster.WaitFor(ctx, "the router to mend the map", func(ctx context.Context) error {
		text, err := p.h.Command(ctx, "show map "+p.h.MapFile(), "")
		for slot := range 256 {
			if !strings.Contains(text, fmt.Sprintf(" %d s%d:1\n", slot, slot%3)) {
				return errors.Join(err, fmt.Errorf("the row of slot %d is missing in %.100s", slot, text))
			}
		}
		return err
	}))
}

// setMap replaces HAProxy's slot map; an empty row is left out.
func setMap(ctx context.Context, t *testing.T, h *cluster.HAProxy, row func(slot int) string) {
	t.Helper()
	reply, err := h.Command(ctx, "prepare map "+h.MapFile(), "")
	check(t, err)
	version := strings.TrimPrefix(strings.TrimSpace(reply), "New version created: ")
	var rows bytes.Buffer
	for slot := range 256 {
		if text := row(slot); text != "" {
			fmt.Fprintf(&rows, "%d %s\n", slot, text)
		}
	}
	for _, step := range []struct{ line, payload string }{{"add map @" + version + " " + h.MapFile(), rows.String()}, {"commit map @" + version + " " + h.MapFile(), ""}} {
		if strings.HasPrefix(step.line, "add") && step.payload == "" {
			continue
		}
		reply, err := h.Command(ctx, step.line, step.payload)
		check(t, err)
		if strings.TrimSpace(reply) != "" {
			t.Fatalf("%s: %s", step.line, reply)
		}
	}
}
