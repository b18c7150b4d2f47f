package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"sync"
	"time"

	"github.com/kvorum/kvorum/client"
)

type importCmd struct {
	File            string        `arg:"" help:"The file; - is standard input. Each line is JSON as 'kvorum list --json' prints it: {\"key\":...,\"value\":...}, or key_base64 and value_base64 for any bytes."`
	Lines           bool          `help:"Each line is a key as it stands, its line number (from 1) the value."`
	Progress        string        `placeholder:"FILE" help:"Record here up to where all is stored, so that the same command goes on there after an interruption."`
	Parallel        int           `default:"8" help:"Requests at a time (default ${default})."`
	Batch           int           `default:"500" help:"Lines per request, 1 to 10000 (default ${default})."`
	RetryFor        time.Duration `default:"2m" help:"Give up when nothing could be stored for this long (default ${default})."`
	IdempotencyKeys bool          `default:"true" negatable:"" help:"Send each line under an idempotency key, so that it is executed once whatever happens. The servers remember a bounded number of keys: switch it off for many millions of lines; a line may then be written twice, with the same value."`
	connection      `embed:""`
}

// Help is shown by 'kvorum import --help'.
func (*importCmd) Help() string {
	return `Lines of one key are stored in their order. A line that the servers refuse for good (a key that is too long, say) is
reported and skipped, and the command ends with 1. Interrupted or given up, it ends with 1, or with 3 if lines were on
their way whose outcome is not known; with --progress the same command goes on from there.

    kvorum import --lines /usr/share/dict/words --progress words.progress
    kvorum list --json | kvorum import --endpoint http://other:8080 -`
}

// Run imports the file.
func (c *importCmd) Run(p *program) error {
	if c.Parallel < 1 || c.Parallel > 1000 || c.Batch < 1 || c.Batch > 10000 {
		return usagef("--parallel goes from 1 to 1000, --batch from 1 to 10000")
	}
	kv, err := c.open(nil)
	if err != nil {
		return err
	}
	defer kv.Close()
	in, size, err := c.openFile(p)
	if err != nil {
		return err
	}
	defer in.Close()
	state, err := loadProgress(c.Progress, c.Lines)
	if err != nil {
		return err
	}
	source := newSource(in, c.Lines)
	if err := source.resume(state); err != nil {
		return err
	}
	if state.Line > 0 {
		fmt.Fprintf(p.stderr, "going on after line %d, as %s says\n", state.Line, c.Progress)
	}
	job := &importJob{cmd: c, kv: kv, source: source, tracker: newTracker(state), meter: newMeter(p.stderr, size), stderr: p.stderr}
	started := time.Now()
	failure := job.run(p.ctx)
	return c.report(p, job.tracker.state(), state, time.Since(started), failure)
}

func (c *importCmd) openFile(p *program) (in io.ReadCloser, size int64, err error) {
	if c.File == "-" {
		return io.NopCloser(p.input()), -1, nil
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return file, -1, nil // a pipe, say: it may have no size
	}
	return file, info.Size(), nil
}

// report ends the command: counts on standard output, what went wrong as the error.
func (c *importCmd) report(p *program, now, before progressState, took time.Duration, failure error) error {
	stored, refused := now.Stored-before.Stored, now.Refused-before.Refused
	fmt.Fprintf(p.stdout, "%s stored in %s (%.0f/s), %d refused", counted(stored, "line"), took.Round(10*time.Millisecond), float64(stored)/took.Seconds(), refused)
	if before.Line > 0 {
		fmt.Fprintf(p.stdout, "; %d stored, %d refused with the earlier runs", now.Stored, now.Refused)
	}
	fmt.Fprintln(p.stdout)
	switch {
	case failure != nil && c.Progress != "":
		return fmt.Errorf("import stopped; all is stored up to line %d, run the same command again to go on: %w", now.Line, failure)
	case failure != nil:
		return fmt.Errorf("import stopped; all is stored up to line %d (with --progress FILE the command could go on there): %w", now.Line, failure)
	case refused > 0:
		return fmt.Errorf("%s refused", counted(refused, "line was", "lines were"))
	}
	return nil
}

// importJob is one run of the command. Its goroutines end before run returns.
type importJob struct {
	cmd     *importCmd
	kv      *client.Client
	source  *source
	tracker *tracker
	meter   meter
	stderr  io.Writer
	mu      sync.Mutex // guards stderr and what follows
	told    int        // refused lines reported so far
	hinted  bool       // about a full idempotency store
}

func (j *importJob) run(outside context.Context) error {
	ctx, cancel := context.WithCancelCause(outside)
	defer cancel(nil)
	queues := make([]chan importLine, j.cmd.Parallel)
	var workers sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan importLine, 64)
		workers.Go(func() {
			w := importWorker{job: j, lines: queues[i]}
			if err := w.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	watching := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		if err := j.watch(watching); err != nil {
			cancel(err)
		}
	})
	readError := j.feed(ctx, queues)
	for _, queue := range queues {
		close(queue)
	}
	workers.Wait()
	close(watching)
	watcher.Wait()
	j.meter.end(j.tracker.state())
	saved := j.save()
	if cause := context.Cause(ctx); cause != nil {
		if outside.Err() != nil {
			cause = stopped{"interrupted: " + cause.Error(), j.tracker.waiting() > 0}
		}
		return errors.Join(cause, saved) // readError only repeats the cause
	}
	return errors.Join(readError, saved)
}

// feed hands each line to the worker of its key, so that lines of one key stay in order.
func (j *importJob) feed(ctx context.Context, queues []chan importLine) error {
	for {
		line, err := j.source.next()
		var bad *badLine
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			j.refuse(line, bad.Error())
			j.tracker.done(j.tracker.add(line), true)
			continue
		case err != nil:
			return err
		}
		hash := fnv.New32a()
		_, _ = hash.Write(line.key) // never fails
		line.sequence = j.tracker.add(line)
		select {
		case queues[hash.Sum32()%uint32(len(queues))] <- line:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watch shows and saves progress until the job is over.
func (j *importJob) watch(over <-chan struct{}) error {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-over:
			return nil
		case <-ticker.C:
		}
		j.mu.Lock()
		j.meter.show(j.tracker.state())
		j.mu.Unlock()
		if n%5 == 0 {
			if err := j.save(); err != nil {
				return err
			}
		}
	}
}

func (j *importJob) save() error {
	if j.cmd.Progress == "" {
		return nil
	}
	state := j.tracker.state()
	size, sum := j.source.headSum(state.Offset)
	return state.save(j.cmd.Progress, size, sum)
}

// refuse reports a line that will never be stored; after ten it only counts.
func (j *importJob) refuse(line importLine, reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told++
	switch {
	case j.told <= 10:
		j.meter.say(fmt.Sprintf("line %d refused: %s", line.number, reason))
	case j.told == 11:
		j.meter.say("more lines are refused; they are only counted")
	}
}

// stopped is why an import ended early. unknown: lines were sent and not answered.
type stopped struct {
	reason  string
	unknown bool
}

func (s stopped) Error() string { return s.reason }

// Is makes exitCode see an unknown outcome.
func (s stopped) Is(target error) bool { return s.unknown && target == client.ErrUnknownOutcome }
