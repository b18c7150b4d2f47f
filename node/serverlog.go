package node

import (
	"bytes"
	"log"
	"log/slog"
)

// handlerPanicked is the message of the log when the handler of a request has panicked: net/http ends the connection and goes on.
// That is a bug, whose consequences nobody knows.
const handlerPanicked = "the handler of a request panicked"

// newServerLog sends what net/http says to the structured log. It is about single connections: debug, but for panics.
func newServerLog(to *slog.Logger) *log.Logger { return log.New(serverLog{to}, "", 0) }

type serverLog struct{ to *slog.Logger }

// Write implements io.Writer.
func (l serverLog) Write(text []byte) (int, error) {
	line := bytes.TrimSpace(text)
	if bytes.HasPrefix(line, []byte("http: panic serving")) {
		l.to.Error(handlerPanicked, "message", string(line))
	} else {
		l.to.Debug("http", "message", string(line))
	}
	return len(text), nil
}
