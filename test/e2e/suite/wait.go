package suite

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Eventually waits until check returns nil, and fails the test with the last error
// if that takes longer than within. An error says what was seen instead.
func Eventually(t *testing.T, within time.Duration, what string, check func(ctx context.Context) error) {
	t.Helper()
	if err := Poll(t.Context(), within, check); err != nil {
		t.Fatalf("%s: not within %s; last: %v", what, within, err)
	}
}

// Poll is Eventually without a test.
func Poll(ctx context.Context, within time.Duration, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		err := check(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil || last == nil:
			// What the end of the time caused says less than what was before.
			last = err
		}
		t := time.NewTimer(100 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return errors.Join(last, context.Cause(ctx))
		}
	}
}

// Consistently fails the test as soon as check returns an error during the time.
func Consistently(t *testing.T, during time.Duration, what string, check func(ctx context.Context) error) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err := check(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// Gone says whether what was asked for is: err is what the API server answered.
func Gone(err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return errors.New("it is there")
}
