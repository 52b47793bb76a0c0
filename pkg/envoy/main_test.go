package envoy

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// childEnv makes the test binary a process that looks for Envoy and prints what
// it found: separate processes are what a lock and a kill -9 are about.
const childEnv = "EGCTL_TEST_FIND"

type childJob struct {
	CacheDir, BaseURL string
	Table             []artifact
}

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		os.Exit(findAsChild(job))
	}
	if job := os.Getenv(runEnv); job != "" {
		os.Exit(runAsParent(job))
	}
	os.Exit(m.Run())
}

// runEnv makes the test binary a process that runs an Envoy, prints its PID when
// it is ready, and waits to be killed.
const runEnv = "EGCTL_TEST_RUN"

type runJob struct{ Binary, Bootstrap, Dir string }

func runAsParent(text string) int {
	var job runJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := Start(ctx, ProcessConfig{Binary: job.Binary, Bootstrap: []byte(job.Bootstrap), Dir: job.Dir, Concurrency: 1})
	if err == nil {
		err = p.Ready(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(p.State().PID)
	_ = p.Wait()
	return 0
}

func newCommand(exe string, env ...string) *exec.Cmd {
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func findAsChild(text string) int {
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	l := &Locator{CacheDir: job.CacheDir, BaseURL: job.BaseURL, table: job.Table, platform: testPlatform}
	b, err := l.Find(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Print(b.Source)
	return 0
}

func startChild(t *testing.T, job childJob, env ...string) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out = &bytes.Buffer{}
	cmd = newCommand(exe, append(env, childEnv+"="+string(text))...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

const testPlatform = "test-cpu"

// fakeEnvoy is a program that answers --version like Envoy and is as long as
// wanted, with content that no compression or coincidence makes the same.
func fakeEnvoy(version string, size int) []byte {
	b := fmt.Appendf(nil, "#!/bin/sh\necho \"$0  version: 0123abcd/%s/Clean/RELEASE/BoringSSL\"\nexit 0\n", version)
	r := rand.New(rand.NewPCG(1, uint64(size)))
	for len(b) < size {
		b = append(b, byte('a'+r.IntN(26)))
	}
	return b
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// bareTable lists content as a bare binary.
func bareTable(content []byte) []artifact {
	d := digestOf(content)
	return []artifact{{Platform: testPlatform, Name: "envoy-bin", SHA256: d, Binary: d}}
}

func zipped(t *testing.T, member string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(member)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// writeProgram puts an executable into dir and returns its path. It is written
// under another name and renamed, as a file being written cannot be executed.
func writeProgram(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", content, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// executables lists files below dir that may be executed.
func executables(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&0o111 != 0 {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %s: %s", within, what)
}

// realEnvoy returns the Envoy that tests run: $EGCTL_ENVOY or the one that the
// project's set-up put into the cache.
func realEnvoy(t *testing.T) string {
	t.Helper()
	dir, err := DefaultCacheDir(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	l := &Locator{Getenv: os.Getenv, CacheDir: dir, table: append(artifacts, artifact{Platform: "none"})}
	if os.Getenv(EnvVar) == "" {
		c, err := l.newCache()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(c.binary()); errors.Is(err, os.ErrNotExist) {
			if os.Getenv("CI") == "true" {
				t.Fatalf("no Envoy at %s, and CI must not skip: go run ./hack/fetch-envoy", c.binary())
			}
			t.Skipf("no Envoy at %s: go run ./hack/fetch-envoy", c.binary())
		}
	}
	b, err := l.Find(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return b.Path
}
