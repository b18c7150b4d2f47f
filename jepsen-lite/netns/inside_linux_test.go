package netns

import (
	"os/exec"
	"syscall"
	"testing"
)

// TestProbesKillNobody: a process that is to die with its parent dies with the thread that started it, so none may end.
func TestProbesKillNobody(t *testing.T) {
	ctx, n := connected(t, "a", "b")
	var sleepers []*exec.Cmd
	for range 8 { // from several threads
		cmd := exec.Command("sleep", "60")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		check(t, cmd.Start())
		sleepers = append(sleepers, cmd)
		wantReach(ctx, t, n)
	}
	for _, cmd := range sleepers {
		check(t, cmd.Process.Signal(syscall.SIGTERM)) // not SIGKILL, by which it would have died
		if err := cmd.Wait(); err == nil || err.Error() != "signal: terminated" {
			t.Errorf("it ended: %v", err)
		}
	}
}
