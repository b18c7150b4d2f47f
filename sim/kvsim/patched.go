package kvsim

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kvorum/kvorum/sim/build"
	"github.com/kvorum/kvorum/sim/lab"
)

// patched is the flag of commands that can run the program with a patch.
type patched struct {
	Patch string `placeholder:"FILE" help:"Unified diff to build the node with, as for hunt (default none)."`
}

// lab builds the programs, and says with which patch; nil: none.
func (c patched) lab(p *program) (*lab.Lab, *lab.Patch, error) {
	if c.Patch == "" {
		l, err := p.lab()
		return l, nil, err
	}
	text, err := os.ReadFile(c.Patch)
	if err != nil {
		return nil, nil, usageError{err}
	}
	l, err := p.patchedLab(c.Patch, text, p.say)
	return l, lab.PatchOf(c.Patch, text), err
}

// madeWith reads what the folder of a run says of it; nil for a schedule's file. A run that was made with a patch is that of another
// program without it, so it must be given again; who asks for the schedule's file gets what that program makes of it.
func (c patched) madeWith(p *program, path string) (*lab.Record, error) {
	before, err := lab.ReadResult(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR): // there is nothing to compare with
		return nil, nil
	case err != nil:
		return nil, usageError{err}
	case c.Patch == "" && before.Patch == nil:
	case c.Patch == "":
		return nil, usagef("%s was made with a patch: give it again, --patch %s; or name %s, which says nothing of the program", path, before.Patch.Path, filepath.Join(path, lab.ScheduleFile))
	case before.Patch == nil:
		p.say("%s was made without a patch: this is another program", path)
	default:
		if text, err := os.ReadFile(c.Patch); err == nil && lab.PatchOf(c.Patch, text).SHA256 != before.Patch.SHA256 {
			p.say("%s was made with another patch (%s as it was then, SHA-256 %s): this is another program", path, before.Patch.Path, before.Patch.SHA256)
		}
	}
	return before, nil
}

// patchedLab builds the programs with a patch. They are not kept.
func (p *program) patchedLab(name string, text []byte, say func(format string, args ...any)) (*lab.Lab, error) {
	root, err := lab.Root()
	if err != nil {
		return nil, usageError{err}
	}
	l, err := lab.NewPatched(p.ctx, lab.Config{Build: build.Config{Root: root, Say: say}, Engine: p.engine, Throwaway: true}, text)
	if broken := (*lab.BuildError)(nil); errors.As(err, &broken) {
		return nil, usagef("%s %w", name, broken.Err)
	}
	return l, err
}
