package controller

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// newRaftLogger sends raft's log to ours, one level lower: raft warns of what a cluster meets every day.
func newRaftLogger(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Off})
	l.RegisterSink(raftSink{log})
	return l
}

type raftSink struct{ log *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s raftSink) Accept(name string, level hclog.Level, message string, args ...any) {
	to := slog.LevelDebug
	switch {
	case level >= hclog.Error:
		to = slog.LevelWarn
	case level >= hclog.Warn:
		to = slog.LevelInfo
	}
	if s.log.Enabled(context.Background(), to) {
		s.log.Log(context.Background(), to, message, append([]any{"part", name}, args...)...)
	}
}
