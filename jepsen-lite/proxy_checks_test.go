//go:build deploy

package jepsenlite

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/kvorum/kvorum/wire"
)

// routingCheck is one request and where HAProxy must send it. Requests of one list run one after the other.
type routingCheck struct {
	method, target string
	key            string // decoded
	status         []int
	send           string       // the request's body; a PUT without one sends the key
	body           string       // wanted of a GET
	outcome        wire.Outcome // wanted, if not empty
	anywhere       bool         // any node will do: there is no key
	nowhere        bool         // there is a key, but none that can be read: HAProxy or any node says so
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
	for _, method := range []string{"OPTIONS", "PATCH", "TRACE", "FOO"} { // HAProxy passes them on: a node says no
		checks = append(checks,
			routingCheck{method: method, target: "/v1/kv/method", key: "method", status: []int{405}, outcome: wire.NotApplied},
			routingCheck{method: method, target: "/v1/cluster", status: []int{405}, outcome: wire.NotApplied, anywhere: true})
	}
	checks = append(checks, routingCheck{method: "CONNECT", target: "kvorum:80", status: []int{404}, outcome: wire.NotApplied, anywhere: true})
	return append(checks, batchOfAllShards()...)
}

// batchOfAllShards is one batch with a key of each shard, and the reads that show it applied.
func batchOfAllShards() []routingCheck {
	var lines strings.Builder
	var reads []routingCheck
	for shard := range uint32(3) {
		key := keyOf(shard, "batch")
		fmt.Fprintf(&lines, `{"op":"put","key":%q,"value":"of a batch"}`+"\n", key)
		reads = append(reads, routingCheck{method: "GET", target: "/v1/kv/" + key, key: key, status: []int{200}, body: "of a batch"})
	}
	batch := routingCheck{method: "POST", target: "/v1/batch", send: lines.String(), status: []int{200}, outcome: wire.Applied, anywhere: true}
	return append([]routingCheck{batch}, reads...)
}

// reads reports whether HAProxy may send the check to any replica.
func (k routingCheck) reads() bool { return k.method == "GET" || k.method == "HEAD" }

// last is the slot of a check that has a key, and the shard that owns it.
func (k routingCheck) last() (slot, shard int) {
	slot = int(k.key[len(k.key)-1])
	return slot, slot % 3
}
