package envoy

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// origin serves one file, first as each fault wants and then well.
type origin struct {
	content []byte
	pace    time.Duration // pause after every 64 KiB
	noRange bool          // answers every request with the whole

	mu       sync.Mutex
	faults   []fault
	requests []string // the Range header of each
}

// fault answers a request in place of the file.
type fault func(w http.ResponseWriter, r *http.Request, content []byte)

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.requests = append(o.requests, r.Header.Get("Range"))
	var f fault
	if len(o.faults) > 0 {
		f, o.faults = o.faults[0], o.faults[1:]
	}
	o.mu.Unlock()
	switch {
	case f != nil:
		f(w, r, o.content)
	case o.pace > 0:
		for part := range chunks(o.content) {
			if _, err := w.Write(part); err != nil {
				return
			}
			time.Sleep(o.pace)
		}
	default:
		if o.noRange {
			r.Header.Del("Range")
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(o.content))
	}
}

func (o *origin) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.requests...)
}

func chunks(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(len(b), 64<<10)
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// truncated promises the whole, or what is asked for, and sends some of it.
func truncated(n int) fault {
	return func(w http.ResponseWriter, r *http.Request, content []byte) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:n])
		panic(http.ErrAbortHandler)
	}
}

// stalled sends some and then nothing, for as long as the client waits.
func stalled(n int) fault {
	return func(w http.ResponseWriter, r *http.Request, content []byte) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:n])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func status(code int) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(code) }
}

func corrupt(w http.ResponseWriter, r *http.Request, content []byte) {
	bad := bytes.Clone(content)
	bad[len(bad)/2] ^= 1
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(bad))
}

func TestDownload(t *testing.T) {
	content := fakeEnvoy(Version, 3<<20)
	badDigest := func() string { b := bytes.Clone(content); b[len(b)/2] ^= 1; return digestOf(b) }()
	cases := map[string]struct {
		faults  []fault
		noRange bool
		ranges  []string // of the requests that the server is to see
		fails   []string // what the error says; empty: it succeeds
	}{
		"good":                            {ranges: []string{""}},
		"truncated, then resumed":         {faults: []fault{truncated(1 << 20)}, ranges: []string{"", "bytes=1048576-"}},
		"truncated, server cannot resume": {faults: []fault{truncated(1 << 20)}, noRange: true, ranges: []string{"", "bytes=1048576-"}},
		"stalled, then resumed":           {faults: []fault{stalled(2 << 20)}, ranges: []string{"", "bytes=2097152-"}},
		"stalled before any answer":       {faults: []fault{func(_ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() }}, ranges: []string{"", ""}},
		"unavailable, then good":          {faults: []fault{status(503), status(429)}, ranges: []string{"", "", ""}},
		"complete but for the end of the connection": {faults: []fault{func(w http.ResponseWriter, _ *http.Request, c []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(c)+1))
			_, _ = w.Write(c)
			panic(http.ErrAbortHandler)
		}}, ranges: []string{"", "bytes=3145728-"}},
		"resumed from another file, then whole": {faults: []fault{func(w http.ResponseWriter, r *http.Request, c []byte) {
			truncated(1<<20)(w, r, bytes.Repeat([]byte("x"), len(c)))
		}}, ranges: []string{"", "bytes=1048576-", ""}},
		"corrupt":            {faults: []fault{corrupt}, ranges: []string{""}, fails: []string{"expected sha256 " + digestOf(content), "got " + badDigest, "--envoy-path", "proxy or mirror"}},
		"not found":          {faults: []fault{status(404)}, ranges: []string{""}, fails: []string{"404 Not Found", "/envoy-bin", "--envoy-path"}},
		"always unavailable": {faults: []fault{status(503), status(503), status(503), status(503), status(503)}, ranges: []string{"", "", "", "", ""}, fails: []string{"gave up after 5 tries", "503"}},
		"always stalled": {faults: []fault{stalled(9), stalled(9), stalled(9), stalled(9), stalled(9)}, ranges: []string{"", "bytes=9-", "bytes=9-", "bytes=9-", "bytes=9-"},
			fails: []string{"gave up", "no data for 500ms"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &origin{content: content, faults: c.faults, noRange: c.noRange}
			server := httptest.NewServer(o)
			defer server.Close()
			l := &Locator{CacheDir: t.TempDir(), BaseURL: server.URL + "/", table: bareTable(content), platform: testPlatform, retryDelay: time.Millisecond}
			if strings.Contains(name, "stalled") { // elsewhere a busy machine is no stalled line
				l.stallTimeout = 500 * time.Millisecond
			}
			b, err := l.Find(t.Context())
			if got := o.seen(); strings.Join(got, ",") != strings.Join(c.ranges, ",") {
				t.Errorf("requests with ranges %q, want %q", got, c.ranges)
			}
			if len(c.fails) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(b.Path); err != nil || !bytes.Equal(got, content) {
					t.Errorf("the installed file is not the published one (%v)", err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.fails {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if found := executables(t, l.CacheDir); len(found) > 0 {
				t.Errorf("a failed download left executables: %v", found)
			}
		})
	}
}

// TestSlowIsFine: a line that keeps moving is never cut off, however long the
// whole takes.
func TestSlowIsFine(t *testing.T) {
	t.Parallel()
	content := fakeEnvoy(Version, 2<<20)
	o := &origin{content: content, pace: 40 * time.Millisecond}
	server := httptest.NewServer(o)
	defer server.Close()
	l := &Locator{CacheDir: t.TempDir(), BaseURL: server.URL, table: bareTable(content), platform: testPlatform, stallTimeout: time.Second}
	if _, err := l.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(o.seen()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	content := fakeEnvoy(Version, 1<<20)
	server := httptest.NewServer(&origin{content: content, faults: []fault{stalled(1000)}})
	defer server.Close()
	l := &Locator{CacheDir: t.TempDir(), BaseURL: server.URL, table: bareTable(content), platform: testPlatform}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := l.Find(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want the context's", err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %s to notice", d)
	}
}

// TestProxy: the default client goes through the proxy of the environment. A
// child process is needed, as the standard library reads it once.
func TestProxy(t *testing.T) {
	t.Parallel()
	content := fakeEnvoy(Version, 1000)
	o := &origin{content: content}
	proxy := httptest.NewServer(o)
	defer proxy.Close()
	t.Run("child", func(t *testing.T) {
		job := childJob{CacheDir: t.TempDir(), BaseURL: "http://mirror.invalid/envoy", Table: bareTable(content)}
		cmd, out := startChild(t, job, "HTTP_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=", "http_proxy="+proxy.URL)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if n := len(o.seen()); n != 1 {
			t.Errorf("the proxy saw %d requests, want 1", n)
		}
	})
}

// TestTwoProcesses: two that need Envoy at once fetch it once.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	content := fakeEnvoy(Version, 1<<20)
	o := &origin{content: content, pace: 20 * time.Millisecond}
	server := httptest.NewServer(o)
	defer server.Close()
	job := childJob{CacheDir: t.TempDir(), BaseURL: server.URL, Table: bareTable(content)}
	one, out1 := startChild(t, job)
	two, out2 := startChild(t, job)
	err1, err2 := one.Wait(), two.Wait()
	if err1 != nil || err2 != nil {
		t.Fatalf("%v: %s\n%v: %s", err1, out1, err2, out2)
	}
	if n := len(o.seen()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	got := out1.String() + out2.String()
	if got != "downloadcache" && got != "cachedownload" {
		t.Errorf("the two took Envoy from %q and %q, want one download and one cache", out1, out2)
	}
}

// TestKilled ends a process with SIGKILL in the middle of its download.
func TestKilled(t *testing.T) {
	t.Parallel()
	content := fakeEnvoy(Version, 2<<20)
	o := &origin{content: content, faults: []fault{stalled(1 << 20)}}
	server := httptest.NewServer(o)
	defer server.Close()
	job := childJob{CacheDir: t.TempDir(), BaseURL: server.URL, Table: bareTable(content)}
	child, _ := startChild(t, job)
	eventually(t, "half of the file on disk", 5*time.Second, func() bool {
		parts, _ := filepath.Glob(filepath.Join(job.CacheDir, "envoy", Version, testPlatform, ".download-*"))
		if len(parts) != 1 {
			return false
		}
		info, err := os.Stat(parts[0])
		return err == nil && info.Size() == 1<<20
	})
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	if found := executables(t, job.CacheDir); len(found) > 0 {
		t.Errorf("left executables: %v", found)
	}

	next, out := startChild(t, job)
	if err := next.Wait(); err != nil || out.String() != "download" {
		t.Fatalf("the next process: %v: %s", err, out)
	}
	if got := o.seen(); len(got) != 2 || got[1] != "bytes=1048576-" {
		t.Errorf("requests with ranges %q: the next process is to continue the first one's download", got)
	}
}
