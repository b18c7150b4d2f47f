package faultfs

import (
	"bufio"
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// lookForKill is how soon a held call notices that its process is being killed.
const lookForKill = 20 * time.Millisecond

// waitFor makes the patience of the program that made this call. The kernel tells only once that a signal interrupts a
// call, and Go programs get harmless ones all the time, so the killing is looked for in /proc. Without it, a process that
// waits for a held call could not even be killed: its exit would wait for the answer.
func waitFor(ctx context.Context) patience {
	caller, ok := fuse.FromContext(ctx)
	return func(enough <-chan time.Time, until <-chan struct{}) bool {
		tick := time.NewTicker(lookForKill)
		defer tick.Stop()
		for {
			select {
			case <-enough:
				return true
			case <-until:
				return true
			case <-tick.C:
				if !ok || dying(int(caller.Pid)) {
					return false
				}
			}
		}
	}
}

// dying: is the thread gone, or is SIGKILL on its way to it.
func dying(thread int) bool {
	status, err := os.Open("/proc/" + strconv.Itoa(thread) + "/status")
	if err != nil {
		return true
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if name != "SigPnd" && name != "ShdPnd" {
			continue
		}
		pending, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err == nil && pending>>(syscall.SIGKILL-1)&1 == 1 {
			return true
		}
	}
	return false
}
