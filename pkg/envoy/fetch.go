package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/egctl/egctl/pkg/progress"
)

const (
	// defaultStall is how long a server may be silent. There is no limit on the
	// whole: a slow line that keeps moving is fine.
	defaultStall = 30 * time.Second
	// defaultRetryDelay is the wait before the second try; it doubles each time.
	defaultRetryDelay = time.Second
	// maxFailures bounds the tries that bring no new progress.
	maxFailures = 5
	// progressStep is how many new bytes make a failed try worth forgetting.
	progressStep = 1 << 20
)

// fetch gets a file over HTTP and returns its path once its digest is right.
// What a broken connection left is continued, by this process or a later one;
// the digest of the whole decides whether the parts fit together.
func (l *Locator) fetch(ctx context.Context, dir string, a artifact) (string, error) {
	url := a.URL
	if l.BaseURL != "" {
		url = strings.TrimSuffix(l.BaseURL, "/") + "/" + a.Name
	}
	t := &transfer{
		client: l.Client, url: url, part: filepath.Join(dir, ".download-"+a.SHA256[:16]+".part"),
		stall: l.stallTimeout, reporter: l.reporter(), name: "fetching " + a.Name,
	}
	if t.client == nil {
		t.client = &http.Client{}
	}
	if t.stall == 0 {
		t.stall = defaultStall
	}
	err := t.run(ctx, a.SHA256, l.retryDelay)
	if t.task != nil {
		t.task.Done(err)
	}
	if err != nil {
		return "", fmt.Errorf("download Envoy %s: %w", Version, err)
	}
	return t.part, nil
}

// transfer is one file on its way to disk.
type transfer struct {
	client   *http.Client
	url      string
	part     string
	stall    time.Duration
	reporter progress.Reporter
	name     string

	task    progress.Task // started with the first answer, which tells the size
	counted int64         // bytes that the task knows of
	resumed bool          // the file has bytes of an earlier request
}

// permanentError is an answer that asking again will not change.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func (t *transfer) run(ctx context.Context, want string, delay time.Duration) error {
	if delay == 0 {
		delay = defaultRetryDelay
	}
	var best int64
	for failures := 0; ; {
		err := t.try(ctx)
		if err == nil {
			if err = t.verify(ctx, want); err == nil {
				return nil
			}
			var corrupt *DigestError
			if !errors.As(err, &corrupt) || !t.resumed {
				return err
			}
			// Parts of different files were joined: once more from the start.
			best = 0
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", t.url, context.Cause(ctx))
		}
		var permanent permanentError
		if errors.As(err, &permanent) {
			return err
		}
		if size := t.size(); size >= best+progressStep {
			best, failures = size, 0
		}
		if failures++; failures >= maxFailures {
			return fmt.Errorf("gave up after %d tries without progress: %w; run the command again to continue, %s", failures, err, ownBinary)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", t.url, context.Cause(ctx))
		case <-time.After(delay << (failures - 1)):
		}
	}
}

// try makes one request for what is missing and appends the answer.
func (t *transfer) try(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(t.stall, func() {
		cancel(fmt.Errorf("no data for %s", t.stall))
	})
	defer silence.Stop()

	have := t.size()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url, nil)
	if err != nil {
		return permanentError{err}
	}
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return t.explain(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing to learn from it

	switch resp.StatusCode {
	case http.StatusOK:
		have = 0
	case http.StatusPartialContent:
		var from int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &from); err != nil || from != have {
			return errors.Join(fmt.Errorf("%s: asked for bytes from %d, got %q", t.url, have, resp.Header.Get("Content-Range")), os.Remove(t.part))
		}
	case http.StatusRequestedRangeNotSatisfiable:
		t.resumed = true
		return nil // nothing is missing; the digest tells whether that is so
	default:
		err := fmt.Errorf("%s: %s", t.url, resp.Status)
		if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout {
			return err
		}
		return permanentError{fmt.Errorf("%w; check the address, %s", err, ownBinary)}
	}
	t.resumed = have > 0
	t.count(have, resp.ContentLength)

	// Mode 0600: a download is never executable, complete or not.
	out, err := os.OpenFile(t.part, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return permanentError{err}
	}
	defer func() {
		if cerr := out.Close(); cerr != nil {
			err = permanentError{errors.Join(err, cerr)}
		}
	}()
	if err := out.Truncate(have); err != nil {
		return permanentError{err}
	}
	if _, err := out.Seek(have, io.SeekStart); err != nil {
		return permanentError{err}
	}
	return t.copy(ctx, out, resp.Body, have, silence)
}

func (t *transfer) copy(ctx context.Context, out io.Writer, in io.Reader, have int64, silence *time.Timer) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := in.Read(buf)
		silence.Reset(t.stall)
		if n > 0 {
			if have += int64(n); have > maxFile {
				return permanentError{fmt.Errorf("%s: larger than %d bytes", t.url, int64(maxFile))}
			}
			if _, err := out.Write(buf[:n]); err != nil {
				return permanentError{err}
			}
			t.task.Add(int64(n))
			t.counted = have
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return t.explain(ctx, err)
		}
	}
}

// explain prefers the reason for which the request was cancelled.
func (t *transfer) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", t.url, cause)
	}
	return fmt.Errorf("%s: %w", t.url, err)
}

// count makes the task agree with what lies on disk.
func (t *transfer) count(have, more int64) {
	if t.task == nil {
		total := int64(0)
		if more > 0 {
			total = have + more
		}
		t.task = t.reporter.Start(t.name, total)
	}
	t.task.Add(have - t.counted)
	t.counted = have
}

func (t *transfer) size() int64 {
	info, err := os.Stat(t.part)
	if err != nil {
		return 0 // not begun, or unusable: opening it will tell
	}
	return info.Size()
}

// verify compares the file with its digest, and removes it if it is another.
func (t *transfer) verify(ctx context.Context, want string) error {
	got, err := fileDigest(ctx, t.part)
	if err != nil {
		return err
	}
	if got == want {
		return nil
	}
	if err := os.Remove(t.part); err != nil {
		return err
	}
	return &DigestError{File: t.url, Want: want, Got: got,
		Suggestion: "something between here and the publisher changed it: do not use it; check the proxy or mirror, " + ownBinary}
}
