package controller

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one controller. They hang on the node, not on the process: a process can hold ten nodes.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector

	logWrite        prometheus.Histogram
	batchOperations prometheus.Histogram
	batchBytes      prometheus.Histogram
	readRound       prometheus.Histogram
	refused         prometheus.Counter
	lateSnapshots   prometheus.Counter
	restores        prometheus.Counter
	repairs         prometheus.Counter
}

func newMetrics(c *Controller, registerer prometheus.Registerer) *metrics {
	if registerer == nil {
		registerer = prometheus.NewRegistry()
	}
	m := &metrics{registerer: prometheus.WrapRegistererWith(prometheus.Labels{"node": c.cfg.Node, "shard": c.shardText}, registerer)}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		m.add(h)
		return h
	}
	counter := func(name, help string) prometheus.Counter {
		n := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.add(n)
		return n
	}
	m.logWrite = histogram("kvorum_log_write_seconds", "Time to write log entries durably (two fdatasyncs).", prometheus.ExponentialBuckets(0.0001, 2, 17))
	m.batchOperations = histogram("kvorum_batch_operations", "Operations packed into one log entry.", prometheus.ExponentialBuckets(1, 2, 11))
	m.batchBytes = histogram("kvorum_batch_bytes", "Size of one log entry.", prometheus.ExponentialBuckets(64, 4, 9))
	m.readRound = histogram("kvorum_read_round_readers", "Reads that shared one ReadIndex round of the leader.", prometheus.ExponentialBuckets(1, 2, 11))
	m.refused = counter("kvorum_writes_refused_total", "Writes refused because too many were waiting.")
	m.lateSnapshots = counter("kvorum_late_snapshots_total", "InstallSnapshot messages refused because this replica was further already.")
	m.restores = counter("kvorum_snapshot_restores_total", "Snapshots restored into the state machine.")
	m.repairs = counter("kvorum_raft_repairs_total", "Times the raft instance was replaced to leave a state it does not leave by itself.")
	m.addGauges(c)
	return m
}

func (m *metrics) addGauges(c *Controller) {
	gauge := func(name, help string, labels prometheus.Labels, value func() float64) {
		m.add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("kvorum_raft_term", "Raft term.", nil, func() float64 {
		if r := c.raft(); r != nil {
			return float64(r.CurrentTerm())
		}
		return 0
	})
	gauge("kvorum_raft_commit_index", "Newest committed log index that this replica knows of.", nil, func() float64 {
		if r := c.raft(); r != nil {
			return float64(r.CommitIndex())
		}
		return 0
	})
	gauge("kvorum_applied_index", "Newest log index applied to the state machine.", nil, func() float64 { return float64(c.View().Index()) })
	gauge("kvorum_leader", "1 if this replica leads its shard and has applied an entry of its term.", nil, func() float64 { return flag(c.Leading()) })
	gauge("kvorum_ready", "1 if this replica is ready.", nil, func() float64 { return flag(len(c.NotReady()) == 0) })
	gauge("kvorum_disk_state", "0 ok, 1 full, 2 stalled.", nil, func() float64 { return float64(c.disk.state()) })
	gauge("kvorum_epoch", "Slot table epoch that this shard goes by.", nil, func() float64 { return float64(c.View().Epoch()) })
	gauge("kvorum_keys", "Keys in this shard.", nil, func() float64 { return float64(c.View().Keys()) })
	gauge("kvorum_memory_bytes", "Memory by part.", prometheus.Labels{"part": "data"}, func() float64 { return float64(c.View().DataBytes()) })
	gauge("kvorum_memory_bytes", "Memory by part.", prometheus.Labels{"part": "idempotency"}, func() float64 { return float64(c.View().IdempotencyBytes()) })
	gauge("kvorum_memory_bytes", "Memory by part.", prometheus.Labels{"part": "log_cache"}, func() float64 {
		if c.stores == nil {
			return 0
		}
		return float64(c.stores.log.cache.size())
	})
	gauge("kvorum_memory_bytes", "Memory by part.", prometheus.Labels{"part": "restore"}, func() float64 { return float64(c.fsm.machine.Restoring()) })
	gauge("kvorum_memory_bytes", "Memory by part.", prometheus.Labels{"part": "writes"}, func() float64 { return float64(c.writes.reserved.Load()) })
	gauge("kvorum_queue_bytes", "Bytes of writes waiting to be proposed.", nil, func() float64 {
		_, bytes := c.proposer.queued()
		return float64(bytes)
	})
	gauge("kvorum_memory_quota_bytes", "Puts are refused beyond this much memory.", nil, func() float64 { return float64(c.cfg.MemoryQuota) })
	gauge("kvorum_queue_operations", "Writes waiting to be proposed.", nil, func() float64 {
		operations, _ := c.proposer.queued()
		return float64(operations)
	})
	gauge("kvorum_entries_in_flight", "Log entries proposed and not yet applied.", nil, func() float64 { return float64(c.proposer.inFlight()) })
	gauge("kvorum_snapshot_age_seconds", "Age of the newest snapshot; -1 without one.", nil, c.snapshotAge)
}

func (c *Controller) snapshotAge() float64 {
	if at := c.snapshotAt.Load(); at != 0 {
		return time.Since(time.Unix(0, at)).Seconds()
	}
	return -1
}

func (m *metrics) observeRound(readers int) { m.readRound.Observe(float64(readers)) }

func (m *metrics) add(c prometheus.Collector) {
	m.registerer.MustRegister(c)
	m.collectors = append(m.collectors, c)
}

func (m *metrics) unregister() {
	for _, c := range m.collectors {
		m.registerer.Unregister(c)
	}
}
