package proxysync

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kvorum/kvorum/wire"
)

// rows are the lines of the slot map that say what a table says: "97 s1:42", slot, shard and epoch. Shard and epoch stand in
// one row, so that one look-up gives an answer that belongs together.
func rows(table wire.Table) []string {
	lines := make([]string, len(table.Slots))
	for slot, shard := range table.Slots {
		lines[slot] = fmt.Sprintf("%d s%d:%d", slot, shard, table.Epoch)
	}
	return lines
}

const fileHeader = "# Slot map: slot (last byte of the key), shard:epoch. Written by kvorum router; read by HAProxy at its start.\n"

// writeFile replaces the map file as a whole: HAProxy may read it at any moment.
func writeFile(name string, lines []string) error {
	text := fileHeader + strings.Join(lines, "\n") + "\n"
	if have, err := os.ReadFile(name); err == nil && string(have) == text {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return fmt.Errorf("slot map file: %w", err)
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(0o644) // HAProxy runs as another user
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error is the one to tell
		return fmt.Errorf("slot map file: %w", err)
	}
	return nil
}

// maxPayload stays below the 16 kB that HAProxy takes in one command.
const maxPayload = 8 << 10

// swap puts new rows into HAProxy's map. They are prepared aside and committed at once: no request sees a mixture.
func (s Socket) swap(ctx context.Context, name string, lines []string) error {
	reply, err := s.Run(ctx, "prepare map "+name, "")
	if err != nil {
		return err
	}
	const made = "New version created: "
	version, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(reply), made), 10, 64)
	if err != nil {
		return &Refused{Command: "prepare map " + name, Reply: firstLine(strings.TrimSpace(reply))}
	}
	for len(lines) > 0 {
		n, size := 0, 0
		for n < len(lines) && size+len(lines[n])+1 <= maxPayload {
			size += len(lines[n]) + 1
			n++
		}
		if err := s.Do(ctx, fmt.Sprintf("add map @%d %s", version, name), strings.Join(lines[:n], "\n")); err != nil {
			return err
		}
		lines = lines[n:]
	}
	return s.Do(ctx, fmt.Sprintf("commit map @%d %s", version, name), "")
}

// findMap gives the name by which HAProxy knows the slot map: the one map file whose base name is that of want.
func (s Socket) findMap(ctx context.Context, want string) (string, error) {
	reply, err := s.Run(ctx, "show map", "")
	if err != nil {
		return "", err
	}
	var found []string
	for line := range strings.Lines(reply) {
		_, rest, _ := strings.Cut(line, " (")
		name, _, ok := strings.Cut(rest, ") ")
		if ok && name == want {
			return name, nil
		}
		if ok && path.Base(name) == path.Base(want) {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("HAProxy has %d maps with a file called %s: does its configuration route by one?", len(found), path.Base(want))
	}
	return found[0], nil
}

// state is what one look at HAProxy shows.
type state struct {
	pid  string   // changes when HAProxy is started again or reloaded
	rows []string // of the slot map, in its order
}

func (s Socket) look(ctx context.Context, name string) (state, error) {
	reply, err := s.Run(ctx, "show info;show map "+name, "")
	if err != nil {
		return state{}, err
	}
	var st state
	for line := range strings.Lines(reply) {
		line = strings.TrimSpace(line)
		if pid, ok := strings.CutPrefix(line, "Pid: "); ok {
			st.pid = pid
		} else if _, row, ok := strings.Cut(line, " "); ok && strings.HasPrefix(line, "0x") {
			st.rows = append(st.rows, row)
		}
	}
	if st.pid == "" {
		return state{}, fmt.Errorf("HAProxy's admin socket: no process id in the reply to show info, but %q", firstLine(reply))
	}
	return st, nil
}
