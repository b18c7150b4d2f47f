package node

import (
	"context"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// TestTimingDefaults: the struct tags, which the program's flags come from, DefaultTiming and the zero value say the same.
func TestTimingDefaults(t *testing.T) {
	defaults, filled := reflect.ValueOf(DefaultTiming()), reflect.ValueOf(Timing{}.withDefaults())
	for i := range defaults.NumField() {
		field := defaults.Type().Field(i)
		want, err := time.ParseDuration(field.Tag.Get("default"))
		if err != nil || defaults.Field(i).Interface() != want || filled.Field(i).Interface() != want || field.Tag.Get("name") == "" || field.Tag.Get("help") == "" {
			t.Errorf("%s: DefaultTiming says %v, zero becomes %v, the tags %q (%v)", field.Name, defaults.Field(i), filled.Field(i), field.Tag, err)
		}
	}
	if err := DefaultTiming().Validate(); err != nil {
		t.Error(err)
	}
	err := Timing{}.Validate()
	for _, flag := range []string{"leader-wait", "read-attempt", "http-read-header-timeout", "http-idle-timeout"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%v does not name %s", err, flag)
		}
	}
	if err := (Timing{LeaderWait: 1e9, ReadAttempt: 1e9, ReadHeaderTimeout: 2e9, ReadTimeout: 1e9, IdleTimeout: 1e9}).Validate(); err == nil || !strings.Contains(err.Error(), "http-read-timeout") {
		t.Error(err)
	}
}

// TestTimingReachesTheNode: with short times a node gives up soon what it would go on with for seconds by default.
func TestTimingReachesTheNode(t *testing.T) {
	const short = 50 * time.Millisecond
	n, err := Open(t.Context(), Config{
		Cluster: "alone", Node: "n0", ShardCount: 1, SlotFunction: store.LastByte, DataDir: t.TempDir(), Listen: "127.0.0.1:0", PeerListen: "127.0.0.1:0", Tuning: devTuning(),
		Members: []wire.Member{{ID: "n0", PeerAddress: "127.0.0.1:1", APIAddress: "127.0.0.1:1"}, {ID: "n1", PeerAddress: "127.0.0.1:2", APIAddress: "127.0.0.1:2"}},
		Timing:  Timing{LeaderWait: short, ReadHeaderTimeout: short, IdleTimeout: short},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.closeNow(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, test := range []struct {
		name, send, want string
		limit            time.Duration
	}{
		{"leader-wait", "PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nv", "HTTP/1.1 503 ", DefaultTiming().LeaderWait},
		{"http-read-header-timeout", "GET /v1/health/live HTTP/1.1\r\nHost:", "", DefaultTiming().ReadHeaderTimeout},
		{"http-idle-timeout", "GET /v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", DefaultTiming().IdleTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			reply, err := untilClosed(t.Context(), n.APIAddress(), test.send, test.limit)
			if err != nil || !strings.HasPrefix(reply, test.want) {
				t.Errorf("%q, %v", reply, err)
			}
		})
	}
}

// untilClosed sends text and reads until the other side closes, within limit.
func untilClosed(ctx context.Context, address, text string, limit time.Duration) (string, error) {
	conn, err := network.Dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(min(limit, 10*time.Second))); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(conn)
	return string(reply), err // a timeout, if it was not closed in time
}
