package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// endWithUs lets the kernel kill the process when this one dies, so that no test leaves nodes behind; and keeps a Ctrl-C
// at the terminal away from it, which would be a second, unwanted SIGINT.
func endWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// stopped says why a process is not yet fully stopped.
func stopped(pid int) error {
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "stat"))
	if err != nil || len(tasks) == 0 {
		return errors.Join(errors.New("no tasks to be seen"), err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			return err
		}
		_, state, ok := bytes.Cut(text, []byte(") ")) // the name before it may hold anything but this
		if !ok || state[0] != 'T' {
			return fmt.Errorf("%s: state %.1s", task, state)
		}
	}
	return nil
}
