package node

import (
	"bytes"
	"log"
	"log/slog"
)

// newServerLog sends what net/http says to the structured log. It is about single connections: debug.
func newServerLog(to *slog.Logger) *log.Logger { return log.New(serverLog{to}, "", 0) }

type serverLog struct{ to *slog.Logger }

// Write implements io.Writer.
func (l serverLog) Write(line []byte) (int, error) {
	l.to.Debug("http", "message", string(bytes.TrimSpace(line)))
	return len(line), nil
}
