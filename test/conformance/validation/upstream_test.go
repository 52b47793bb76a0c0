package validation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/egctl/egctl/pkg/crds"
)

// upstream runs the Gateway API's own tests of its rules, with a proxy between them
// and the API server, and adds the objects that they create. They are left in the
// server, which loses them with the definitions of their kinds.
//
// What they change and what they say in statuses is left out: egctl validate knows one
// state of an object, and statuses are not its business.
func (s *server) upstream(t *testing.T, channel crds.Channel, objects *pool) {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var bodies [][]byte
	changed := 0
	proxy := &httputil.ReverseProxy{
		Transport: s.client.Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if !strings.HasPrefix(r.In.URL.Path, "/apis/gateway.networking.") {
				return
			}
			switch r.In.Method {
			case http.MethodPost:
				body, err := io.ReadAll(r.In.Body)
				if err != nil {
					return // the server will say so
				}
				r.Out.Body = io.NopCloser(bytes.NewReader(body))
				mu.Lock()
				bodies = append(bodies, body)
				mu.Unlock()
			case http.MethodPut, http.MethodPatch:
				mu.Lock()
				changed++
				mu.Unlock()
			}
		},
	}
	recorder := httptest.NewServer(proxy)
	defer recorder.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	program := filepath.Join(dir, "upstream.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "-tags", string(channel), "sigs.k8s.io/gateway-api/pkg/test/cel")
	build.Dir = "../upstream"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the tests of the Gateway API: %v\n%s", err, out)
	}
	config := filepath.Join(dir, "kubeconfig")
	text := "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: " + recorder.URL + "}}]\ncontexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(ctx, program, "-test.v")
	run.Env = append(os.Environ(), "KUBECONFIG="+config)
	// They are of a release before the one whose definitions are served, and so not all
	// of what they expect is true any more; what the server says counts.
	out, err := run.CombinedOutput()
	recorder.Close() // returns when nothing is on its way any more
	mu.Lock()
	defer mu.Unlock()
	if !ended(run, string(out)) {
		t.Fatalf("the Gateway API's tests did not come to their end: %v\n%s", err, out)
	}
	for _, b := range bodies {
		o, err := plain(b)
		if err != nil {
			t.Fatalf("the Gateway API's tests sent %s: %v", b, err)
		}
		objects.normal(o)
	}
	if len(bodies) == 0 {
		t.Fatalf("the Gateway API's tests created nothing: %v\n%s", err, out)
	}
	failed := failure.FindAllString(string(out), -1)
	fmt.Printf("%s: the Gateway API's tests created %d objects and changed %d; of %d tests, what %d expect is not so in this release\n",
		channel, len(bodies), changed, strings.Count(string(out), "=== RUN"), len(failed))
	for _, f := range failed {
		t.Log(f)
	}
}

// ended says whether a test program has run all of its tests, whatever came of them. A
// panic or the time limit ends it earlier, with another status; os.Exit in a test does
// without the last line.
func ended(run *exec.Cmd, out string) bool {
	switch run.ProcessState.ExitCode() {
	case 0:
		return strings.HasSuffix(out, "\nPASS\n")
	case 1:
		return strings.HasSuffix(out, "\nFAIL\n")
	default:
		return false
	}
}

var failure = regexp.MustCompile(`(?m)^ *--- FAIL: .*$`)
