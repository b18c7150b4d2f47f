package shardrouter

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kvorum/kvorum/replica"
	"github.com/kvorum/kvorum/wire"
)

const (
	leaderPollWait   = 20 * time.Second       // for a leader of a later term
	leaderPollSlack  = 2 * time.Second        // for the reply to come, beyond the wait
	watchFirstPause  = 50 * time.Millisecond  // after a replica did not answer, doubled up to watchLastPause
	watchLastPause   = time.Second            // a replica that comes back leads no sooner than that
	watchListRefresh = 500 * time.Millisecond // for a replica that is new in the table
)

// Leader is news of who leads a shard.
type Leader struct {
	Shard uint32
	Node  string
	Term  uint64
}

// Table is the table that this router goes by (Version 0: not known yet), and a channel that is closed at the next change.
func (r *Router) Table() (wire.Table, <-chan struct{}) {
	news := r.news() // before the look: a change in between is not missed
	return r.now().table, news
}

// WatchLeaders long-polls every replica of every shard and tells of each leader of a later term, as soon as the leader itself
// says so. It costs nothing while leaders stay. tell is called by one goroutine at a time. It returns when ctx has ended and
// all it started has joined.
func (r *Router) WatchLeaders(ctx context.Context, tell func(Leader)) {
	w := &leaderWatch{router: r, tell: tell, terms: map[uint32]uint64{}}
	stops := map[target]context.CancelFunc{}
	var following sync.WaitGroup
	for ctx.Err() == nil {
		wanted := map[target]bool{}
		for _, shard := range r.now().shards() {
			for _, t := range r.targets(shard) {
				wanted[t] = true
				if stops[t] != nil {
					continue
				}
				watching, stop := context.WithCancel(ctx)
				stops[t] = stop
				following.Go(func() { w.follow(watching, t) })
			}
		}
		for t, stop := range stops {
			if !wanted[t] {
				stop()
				delete(stops, t)
			}
		}
		sleep(ctx, watchListRefresh)
	}
	for _, stop := range stops {
		stop()
	}
	following.Wait()
}

// leaderWatch keeps the latest term told of, by shard.
type leaderWatch struct {
	router *Router
	tell   func(Leader)

	mu    sync.Mutex
	terms map[uint32]uint64
}

// follow polls one replica.
func (w *leaderWatch) follow(ctx context.Context, t target) {
	var after uint64
	pause := watchFirstPause
	for ctx.Err() == nil {
		said, err := w.router.pollLeader(ctx, t, after)
		if err != nil {
			sleep(ctx, pause)
			pause = min(2*pause, watchLastPause)
			continue
		}
		pause, after = watchFirstPause, said.Term
		w.heard(t.shard, said)
	}
}

func (w *leaderWatch) heard(shard uint32, said replica.Leadership) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if said.Leader == "" || said.Term <= w.terms[shard] {
		return
	}
	w.terms[shard] = said.Term
	w.router.leaders.learn(shard, said.Leader)
	w.tell(Leader{Shard: shard, Node: said.Leader, Term: said.Term})
}

func (r *Router) pollLeader(ctx context.Context, t target, after uint64) (said replica.Leadership, err error) {
	if t.local {
		return r.local.WaitLeader(ctx, after, leaderPollWait), ctx.Err()
	}
	path := replica.PathLeader + "?after=" + strconv.FormatUint(after, 10) + "&wait=" + leaderPollWait.String()
	ctx, cancel := context.WithTimeout(ctx, leaderPollWait+leaderPollSlack)
	defer cancel()
	return said, r.ask(ctx, t, http.MethodGet, path, nil, &said)
}
