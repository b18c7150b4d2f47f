package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/wire"
)

func devTuning() controller.Tuning {
	t := controller.DefaultTuning()
	t.HeartbeatTimeout, t.ElectionTimeout, t.LeaderLeaseTimeout = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	t.DiskReserveBytes = 64 << 10
	return t
}

func openDev(t *testing.T, folder string) *Dev {
	t.Helper()
	d, err := OpenDev(t.Context(), DevConfig{Listen: "127.0.0.1:0", DataDir: folder, Shards: 3, Replicas: 3, Tuning: devTuning(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDev(t, d) })
	waitReady(t, d)
	return d
}

func waitReady(t testing.TB, d *Dev) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		status, _, body := call(t, d, "GET", "/v1/health/ready", "")
		if status == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %s", body)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func closeDev(t testing.TB, d *Dev) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func call(t testing.TB, d *Dev, method, path, body string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.APIAddress()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer reply.Body.Close()
	content, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, reply.Header, string(content)
}

func TestDevClusterServesAndKeepsItsData(t *testing.T) {
	folder := t.TempDir()
	d := openDev(t, folder)
	for key, shard := range map[string]string{"user:a": "1", "user:b": "2", "user:c": "0"} { // last bytes 97, 98, 99
		status, header, body := call(t, d, "PUT", "/v1/kv/"+key, "value of "+key)
		if status != 201 || header.Get(wire.HeaderShard) != shard || header.Get(wire.HeaderOutcome) != "applied" {
			t.Fatalf("PUT %s: %d %v %s", key, status, header, body)
		}
	}
	closeDev(t, d)
	d = openDev(t, folder) // other ports
	for _, key := range []string{"user:a", "user:b", "user:c"} {
		if status, _, body := call(t, d, "GET", "/v1/kv/"+key, ""); status != 200 || body != "value of "+key {
			t.Fatalf("GET %s: %d %s", key, status, body)
		}
	}
	if _, err := OpenDev(t.Context(), DevConfig{Listen: "127.0.0.1:0", DataDir: folder, Shards: 4, Replicas: 3, Tuning: devTuning()}); err == nil || !strings.Contains(err.Error(), "--shards 3 --replicas 3") {
		t.Fatalf("opened with another shape: %v", err)
	}
}

func ExampleParseMembers() {
	members, err := ParseMembers("s0n0=10.0.0.1:7080/10.0.0.1:8080,s0n1=10.0.0.2:7080/10.0.0.2:8080")
	fmt.Println(len(members), members[1].ID, members[1].PeerAddress, err)
	// Output: 2 s0n1 10.0.0.2:7080 <nil>
}
