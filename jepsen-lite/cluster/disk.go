package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Disk is a small ext4 file system of its own in a file, for faults that a folder can't have: full and frozen. It needs
// root, mkfs.ext4, losetup and fsfreeze. A guardian process thaws and unmounts it should this process die.
type Disk struct {
	Mount string // the folder to put data in

	ballast  string
	guardian *exec.Cmd
	leash    io.Closer // closing it makes the guardian clean up
}

// guardianScript mounts $1 at $2, says so, and cleans up as soon as its input ends.
const guardianScript = `mount -o loop "$1" "$2" && echo mounted && { read -r _; fsfreeze -u "$2" 2>/dev/null; umount "$2" || umount -l "$2"; }`

// NewDisk makes and mounts a file system of size bytes below dir. An error of ErrNoDisk means: not possible here.
func NewDisk(dir string, size int64) (*Disk, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: mounting needs root", ErrNoDisk)
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "fsfreeze"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: %w (packages e2fsprogs, mount, util-linux)", ErrNoDisk, err)
		}
	}
	image, mount := filepath.Join(dir, "disk.img"), filepath.Join(dir, "disk")
	if err := errors.Join(os.MkdirAll(mount, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		return nil, err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", image).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfs.ext4: %w\n%s", err, out)
	}
	d := &Disk{Mount: mount, ballast: filepath.Join(mount, "ballast")}
	return d, d.mount(image)
}

// ErrNoDisk: this machine or user can't have a file system of its own.
var ErrNoDisk = errors.New("no file system of our own")

func (d *Disk) mount(image string) error {
	d.guardian = exec.Command("sh", "-c", guardianScript, "guardian", image, d.Mount)
	d.guardian.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C must not take the guardian
	var problems strings.Builder
	d.guardian.Stderr = &problems
	in, err := d.guardian.StdinPipe()
	if err != nil {
		return err
	}
	out, err := d.guardian.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.guardian.Start(); err != nil {
		return err
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "mounted\n" {
		_ = in.Close()
		_ = d.guardian.Wait()
		return fmt.Errorf("%w: mount -o loop: %s", ErrNoDisk, problems.String())
	}
	d.leash = in
	return nil
}

// Fill takes all free space away from everybody else on the disk.
func (d *Disk) Fill() error {
	f, err := os.OpenFile(d.ballast, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("fill %s: %w", d.Mount, err)
		}
		err = nil
	}
	return f.Sync()
}

// Free gives the space back.
func (d *Disk) Free() error { return os.Remove(d.ballast) }

// Freeze makes every write and fsync on the disk wait until Thaw.
func (d *Disk) Freeze(ctx context.Context) error { return d.fsfreeze(ctx, "-f") }

// Thaw ends Freeze.
func (d *Disk) Thaw(ctx context.Context) error { return d.fsfreeze(ctx, "-u") }

func (d *Disk) fsfreeze(ctx context.Context, how string) error {
	if out, err := exec.CommandContext(ctx, "fsfreeze", how, d.Mount).CombinedOutput(); err != nil {
		return fmt.Errorf("fsfreeze %s %s: %w: %s", how, d.Mount, err, out)
	}
	return nil
}

// Close thaws and unmounts. Processes that use the disk should have ended before.
func (d *Disk) Close() error {
	return errors.Join(d.leash.Close(), d.guardian.Wait())
}
