package proxysync

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kvorum/kvorum/network"
)

// Socket is HAProxy's admin socket: the path of a socket of this machine, or host:port. Whoever reaches it controls HAProxy.
type Socket string

const (
	socketTimeout  = 2 * time.Second
	maxSocketReply = 1 << 20
)

// address is what network.Dial takes.
func (s Socket) address() string {
	if strings.Contains(string(s), "/") {
		return "unix:" + strings.TrimPrefix(string(s), "unix:")
	}
	return string(s)
}

// Run sends one line of commands, separated by ';', with an optional payload for the last of them, and returns the reply.
// Each call is one connection: HAProxy answers, and closes it.
func (s Socket) Run(ctx context.Context, line, payload string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	conn, err := network.Dial(ctx, s.address())
	if err != nil {
		return "", fmt.Errorf("HAProxy's admin socket: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", fmt.Errorf("HAProxy's admin socket: %w", err)
	}
	text := line + "\n"
	if payload != "" {
		text = line + " <<\n" + strings.TrimSuffix(payload, "\n") + "\n\n" // an empty line ends a payload
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return "", fmt.Errorf("HAProxy's admin socket: %w", err)
	}
	reply, err := io.ReadAll(io.LimitReader(conn, maxSocketReply))
	if err != nil {
		return "", fmt.Errorf("HAProxy's admin socket: %w", err)
	}
	return string(reply), nil
}

// Do is Run for commands that answer nothing when they succeed.
func (s Socket) Do(ctx context.Context, line, payload string) error {
	reply, err := s.Run(ctx, line, payload)
	if err != nil {
		return err
	}
	if said := strings.TrimSpace(reply); said != "" {
		return &Refused{Command: line, Reply: firstLine(said)}
	}
	return nil
}

// Refused is a command that HAProxy did not carry out.
type Refused struct{ Command, Reply string }

func (e *Refused) Error() string { return fmt.Sprintf("HAProxy refused %q: %s", e.Command, e.Reply) }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
