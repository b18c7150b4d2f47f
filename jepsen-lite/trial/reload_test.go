package trial

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestReloadTakesAnotherWorker: as long as the same one answers, or none, there was no reload.
func TestReloadTakesAnotherWorker(t *testing.T) {
	asked, answers := 0, []string{"8", "8", "", "9"}
	worker := func(context.Context) (string, error) {
		a := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		if a == "" {
			return "", errors.New("nobody listens")
		}
		return a, nil
	}
	ask := func(context.Context) error { asked++; return nil }
	if proof, err := reloaded(t.Context(), ask, worker); err != nil || proof != "HAProxy's worker is process 9, was 8" || asked != 1 {
		t.Errorf("%q, %v, asked %d times", proof, err, asked)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if proof, err := reloaded(ctx, ask, worker); err == nil {
		t.Errorf("the same worker: %q", proof)
	}
	refused := errors.New("no such process")
	if _, err := reloaded(t.Context(), func(context.Context) error { return refused }, worker); !errors.Is(err, refused) {
		t.Error(err)
	}
}
