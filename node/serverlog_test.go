package node

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHandlerPanicIsTold: net/http saves the process from a panic of a handler and says so as it says anything; an operator who logs
// no details must hear of it all the same.
func TestHandlerPanicIsTold(t *testing.T) {
	var out bytes.Buffer
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") }))
	server.Config.ErrorLog = newServerLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	server.Start()
	if reply, err := http.Get(server.URL); err == nil {
		reply.Body.Close()
		t.Error("a reply after a panic")
	}
	server.Close() // and with it the connection's goroutine, which writes the log before it ends
	if text := out.String(); !strings.Contains(text, handlerPanicked) || !strings.Contains(text, "a bug") || !strings.Contains(text, "ERROR") {
		t.Errorf("the log says %q", text)
	}
	out.Reset()
	if newServerLog(slog.New(slog.NewTextHandler(&out, nil))).Print("http: TLS handshake error"); out.Len() > 0 {
		t.Errorf("a connection's trouble is told as %q", out.String())
	}
}
