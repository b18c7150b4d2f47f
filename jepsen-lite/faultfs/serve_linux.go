package faultfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// ServeIfAsked serves a file system and ends the process, if a Mount has started this program for that; otherwise it does
// nothing. Every program that calls New must call it first, tests in TestMain.
func ServeIfAsked() {
	if os.Getenv(childMark) == "" {
		return
	}
	signal.Ignore(syscall.SIGPIPE) // a parent that dies while it waits for an answer must not keep us from unmounting
	if err := serve(pipes{os.Stdin, os.Stdout}); err != nil {
		fmt.Fprintln(os.Stderr, "faultfs:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// served is a mounted volume.
type served struct {
	v      *volume
	root   *node
	server *fuse.Server
	at     string
}

func serve(p pipes) error {
	in, out := json.NewDecoder(p.in), json.NewEncoder(p.out)
	var first order
	if err := in.Decode(&first); err != nil {
		return err
	}
	s, err := mount(first)
	if err != nil {
		return out.Encode(answer{Error: err.Error(), Impossible: errors.Is(err, syscall.EPERM) || os.Geteuid() != 0}) // fusermount3 does not tell why
	}
	defer detach(s.at)
	if err := out.Encode(answer{}); err != nil {
		return err
	}
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			return nil // the parent has died: nobody needs the file system any more
		}
		a, ends := s.obey(o)
		if err := out.Encode(a); err != nil || ends {
			return err
		}
	}
}

func mount(o order) (*served, error) {
	v, err := openVolume(o.Backing)
	if err != nil {
		return nil, err
	}
	v.set(o.Faults)
	s := &served{v: v, root: &node{v: v, n: v.root}, at: o.Mount}
	s.server, err = fs.Mount(o.Mount, s.root, &fs.Options{
		MountOptions: fuse.MountOptions{
			FsName: "faultfs", Name: "faultfs",
			DirectMount: true, // as root; otherwise by fusermount3
			AllowOther:  os.Geteuid() == 0,
			MaxWrite:    1 << 20,
		},
		RootStableAttr: &fs.StableAttr{Ino: v.root.id, Mode: syscall.S_IFDIR},
	})
	return s, err
}

// obey carries one order out. It says whether it was the last.
func (s *served) obey(o order) (a answer, ends bool) {
	var err error
	switch o.Do {
	case "faults":
		s.v.set(o.Faults)
		if o.Faults.FailReads {
			dropCache(&s.root.Inode)
		}
	case "count":
	case "off":
		s.v.powerOff(o.Plan, o.Seed)
	case "cut":
		ends = true
		a.Loss, err = s.v.powerCut(o.Plan, o.Seed)
		detach(s.at)
	case "close":
		ends = true
		s.v.powerOff(Plan{}, 0) // if it is still in use, that ends here
		if err = s.server.Unmount(); err != nil {
			detach(s.at)
		}
		err = errors.Join(err, s.v.shutdown())
	default:
		err = fmt.Errorf("unknown order %q", o.Do)
	}
	a.Counters = s.v.count()
	if err != nil {
		a.Error = err.Error()
	}
	return a, ends
}

// dropCache lets the kernel forget what it has read, so that reads come here.
func dropCache(n *fs.Inode) {
	for _, child := range n.Children() {
		dropCache(child)
	}
	if !n.IsDir() {
		n.NotifyContent(0, 0) // fails if the kernel does not know it
	}
}

// detach takes the mount away at once, also while it is in use, and does nothing if there is none.
func detach(at string) {
	if syscall.Unmount(at, syscall.MNT_DETACH) == nil || os.Geteuid() == 0 {
		return
	}
	_ = exec.Command("fusermount3", "-u", "-z", at).Run()
}

// possible says what is missing here.
func possible() error {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoFUSE, err)
	}
	_ = device.Close() // nothing was done with it
	if os.Geteuid() == 0 {
		return nil
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		return fmt.Errorf("%w: not root, and no fusermount3 (package fuse3)", ErrNoFUSE)
	}
	return nil
}

// leave gives the child a process group of its own: a Ctrl-C at the terminal must not end it before the parent's nodes.
func leave(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
