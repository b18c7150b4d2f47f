//go:build deploy

package jepsenlite

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/client"
)

// wordsThroughHAProxy imports the word list while each shard's leader is killed and started again.
func wordsThroughHAProxy(ctx context.Context, t *testing.T, d *deployed) {
	words := readWords(t)
	start := time.Now()
	im := startImport(ctx, d.kv, words)
	quarter := len(words) / 4
	for shard := range uint32(3) {
		end := quarter * int(shard+1)
		im.allow(end)
		before, err := im.waitAcked(end - quarter/2)
		check(t, err)
		leader := d.leader(ctx, t, shard)
		id, err := d.Container(ctx, leader)
		check(t, err)
		im.allow(end + quarter/2) // there is work while the shard has no leader
		_, err = d.Docker(ctx, "kill", "-s", "KILL", id)
		check(t, err)
		next := d.leader(ctx, t, shard, leader)
		_, err = d.Docker(ctx, "start", id)
		check(t, err)
		d.ready(ctx, t)
		after, err := im.waitAcked(0)
		check(t, err)
		if before == 0 || after == len(words) {
			t.Fatalf("the kill of %s lies outside of the import: %d and %d of %d acknowledged", leader, before, after, len(words))
		}
		t.Logf("shard %d: %s killed at acknowledgement %d, %s leads, all ready again at %d", shard, leader, before, next, after)
	}
	im.allow(len(words))
	acked, err := im.waitAcked(len(words))
	check(t, err)
	im.done.Wait()
	t.Logf("%d words imported in %s", acked, time.Since(start).Round(time.Millisecond))
	d.readWordsBack(ctx, t, words)
}

// readWordsBack reads every word by its key and all of them as a listing, through HAProxy.
func (d *deployed) readWordsBack(ctx context.Context, t *testing.T, words []word) {
	t.Helper()
	start := time.Now()
	work := make(chan word, len(words))
	for _, w := range words {
		work <- w
	}
	close(work)
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for w := range work {
				item, err := d.kv.Get(ctx, w.key)
				if err != nil || string(item.Value) != w.value {
					t.Errorf("%q reads %q, %v; want %q", w.key, item.Value, err, w.value)
					return
				}
			}
		})
	}
	all.Wait()
	want := make(map[string]string, len(words))
	for _, w := range words {
		want[w.key] = w.value
	}
	for item, err := range d.kv.List(ctx, client.ListOptions{PageSize: 20_000}) {
		check(t, err)
		if want[item.Key] == string(item.Value) {
			delete(want, item.Key)
		}
	}
	if len(want) != 0 {
		t.Errorf("the listing lacks %d words", len(want))
	}
	t.Logf("%d words read back, by key and as a listing, in %s", len(words), time.Since(start).Round(time.Millisecond))
}
