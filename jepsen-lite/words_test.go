package jepsenlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kvorum/kvorum/client"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

const (
	wordFile    = "/usr/share/dict/words" // package wamerican
	everyNth    = 20                      // words imported by default; all with KVORUM_FULL=1
	importers   = 16
	readers     = 16
	wholeNumber = 100_000 // the list has about 104,000 words
)

type word struct{ key, value string }

// readWords gives the word list, each word with its line number.
func readWords(t *testing.T) []word {
	file, err := os.Open(wordFile)
	if errors.Is(err, os.ErrNotExist) {
		skip(t, wordFile+" is missing: install the Debian package wamerican")
	}
	check(t, err)
	defer file.Close()
	var words []word
	nth := everyNth
	if os.Getenv("KVORUM_FULL") == "1" {
		nth = 1
	}
	lines := bufio.NewScanner(file)
	number := 0
	for lines.Scan() {
		if number++; number%nth == 0 {
			words = append(words, word{lines.Text(), strconv.Itoa(number)})
		}
	}
	check(t, lines.Err())
	if len(words) < wholeNumber/nth {
		t.Fatalf("%s gives only %d words", wordFile, len(words))
	}
	return words
}

// imports stores words with several workers. Work is handed out up to a limit, which the test moves on: so faults are sure
// to lie between the first and the last acknowledgement, with requests under way.
type imports struct {
	mu      sync.Mutex
	changed *sync.Cond
	words   []word
	next    int // first word not handed out
	limit   int // words that may be handed out
	acked   int
	err     error // the first
	done    sync.WaitGroup
}

func startImport(ctx context.Context, c *client.Client, words []word) *imports {
	im := &imports{words: words}
	im.changed = sync.NewCond(&im.mu)
	context.AfterFunc(ctx, func() { im.fail(ctx.Err()) })
	for range importers {
		im.done.Go(func() {
			for {
				w, ok := im.take()
				if !ok {
					return
				}
				if _, err := c.Put(ctx, w.key, []byte(w.value)); err != nil {
					im.fail(err)
					return
				}
				im.ack()
			}
		})
	}
	return im
}

func (im *imports) take() (word, bool) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for im.err == nil && im.next == im.limit && im.next < len(im.words) {
		im.changed.Wait()
	}
	if im.err != nil || im.next == len(im.words) {
		return word{}, false
	}
	im.next++
	return im.words[im.next-1], true
}

func (im *imports) ack() {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.acked++
	im.changed.Broadcast()
}

func (im *imports) fail(err error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.err == nil {
		im.err = err
	}
	im.changed.Broadcast()
}

// allow moves the limit.
func (im *imports) allow(limit int) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.limit = limit
	im.changed.Broadcast()
}

// waitAcked waits until n words are acknowledged and gives their present number.
func (im *imports) waitAcked(n int) (int, error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for im.err == nil && im.acked < n {
		im.changed.Wait()
	}
	return im.acked, im.err
}

// TestImportWords is the whole promise on real input: the word list goes in while each shard's leader is killed, and every
// word reads back from leaders, from followers, and after a kill -9 of everybody at once.
func TestImportWords(t *testing.T) {
	words := readWords(t)
	c := startCluster(t, 3, 3)
	ctx := within(t, 5*time.Minute)
	importer, err := client.New(client.Config{Endpoints: c.Endpoints(), AutoIdempotency: true, Timeout: 2 * time.Minute, AttemptTimeout: 5 * time.Second})
	check(t, err)
	defer importer.Close()

	start := time.Now()
	im := startImport(ctx, importer, words)
	quarter := len(words) / 4
	for shard := range c.Shards() {
		end := quarter * int(shard+1)
		im.allow(end)
		_, err := im.waitAcked(end - quarter/2)
		check(t, err)
		im.allow(end + quarter/2) // there is work while the shard has no leader
		before, after := killAndRestartLeader(ctx, t, c, shard, im)
		if before == 0 || after == len(words) {
			t.Fatalf("the kill of shard %d's leader lies outside of the import: %d and %d of %d acknowledged", shard, before, after, len(words))
		}
	}
	im.allow(len(words))
	acked, err := im.waitAcked(len(words))
	check(t, err)
	im.done.Wait()
	t.Logf("%d words acknowledged in %s, each shard's leader killed and restarted in between", acked, time.Since(start).Round(time.Millisecond))

	readBackEverywhere(ctx, t, c, words)
	start = time.Now()
	killAll(t, c)
	check(t, c.Start(ctx))
	t.Logf("all nine killed; ready again after %s", time.Since(start).Round(time.Millisecond))
	readBackEverywhere(ctx, t, c, words)
}

// killAndRestartLeader returns how many words were acknowledged when the leader was killed and when it was back.
func killAndRestartLeader(ctx context.Context, t *testing.T, c *cluster.Cluster, shard uint32, im *imports) (before, after int) {
	t.Helper()
	leader, err := c.Leader(ctx, shard)
	check(t, err)
	before, err = im.waitAcked(0)
	check(t, err)
	start := time.Now()
	check(t, leader.Kill())
	next, err := c.Leader(ctx, shard)
	check(t, err)
	elected := time.Since(start)
	check(t, leader.Start())
	check(t, leader.WaitReady(ctx))
	after, err = im.waitAcked(0)
	check(t, err)
	t.Logf("shard %d: leader %s killed at acknowledgement %d, %s leads after %s, %s ready again after %s at acknowledgement %d",
		shard, leader.Name, before, next.Name, elected.Round(time.Millisecond), leader.Name, time.Since(start).Round(time.Millisecond), after)
	return before, after
}

// killAll kills every process before any is started again.
func killAll(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	var all sync.WaitGroup
	errs := make([]error, len(c.Nodes))
	for i, n := range c.Nodes {
		all.Go(func() { errs[i] = n.Kill() })
	}
	all.Wait()
	check(t, errors.Join(errs...))
}

// readBackEverywhere reads every word at its shard's leader and at a follower, and the whole store as a listing.
func readBackEverywhere(ctx context.Context, t *testing.T, c *cluster.Cluster, words []word) {
	t.Helper()
	start := time.Now()
	leaders, followers := make([]*cluster.Node, c.Shards()), make([]*cluster.Node, c.Shards())
	for shard := range c.Shards() {
		var err error
		leaders[shard], err = c.Leader(ctx, shard)
		check(t, err)
		followers[shard] = c.Others(leaders[shard])[0]
	}
	check(t, readBack(ctx, words, leaders, "linearizable; leader"))
	fromLeaders := time.Since(start)
	check(t, readBack(ctx, words, followers, "linearizable; follower"))
	fromFollowers := time.Since(start) - fromLeaders
	list, err := client.New(client.Config{Endpoints: c.Endpoints()[:1]})
	check(t, err)
	defer list.Close()
	want := make(map[string]string, len(words))
	for _, w := range words {
		want[w.key] = w.value
	}
	for item, err := range list.List(ctx, client.ListOptions{PageSize: 20_000}) {
		check(t, err)
		if want[item.Key] != string(item.Value) {
			t.Fatalf("the listing gives %q = %q, want %q", item.Key, item.Value, want[item.Key])
		}
		delete(want, item.Key)
	}
	if len(want) != 0 {
		t.Fatalf("the listing lacks %d words", len(want))
	}
	t.Logf("%d words right from leaders (%s), from followers (%s) and as a listing (%s)", len(words), fromLeaders.Round(time.Millisecond),
		fromFollowers.Round(time.Millisecond), (time.Since(start) - fromLeaders - fromFollowers).Round(time.Millisecond))
}

// readBack reads each word at the node of its shard. The receipt must say that this node answered, and how.
func readBack(ctx context.Context, words []word, nodes []*cluster.Node, consistency string) error {
	work := make(chan word)
	errs := make(chan error, readers)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range readers {
		go func() {
			for w := range work {
				if err := readWord(ctx, w, nodes, consistency); err != nil {
					cancel()
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
feed:
	for _, w := range words {
		select {
		case work <- w:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	var all []error
	for range readers {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func readWord(ctx context.Context, w word, nodes []*cluster.Node, consistency string) error {
	node := nodes[int(w.key[len(w.key)-1])%len(nodes)]
	reply, err := node.Get(ctx, w.key)
	if err != nil {
		return fmt.Errorf("read %q at %s: %w", w.key, node.Name, err)
	}
	by, how := reply.Header.Get(wire.HeaderNode), reply.Header.Get(wire.HeaderConsistency)
	if reply.Status != 200 || string(reply.Body) != w.value || by != node.Name || how != consistency {
		return fmt.Errorf("read %q at %s: %s, %s; want %q from that node, %s", w.key, node.Name, reply, how, w.value, consistency)
	}
	return nil
}
