package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// BenchmarkTranslate runs the real program, from start to exit, over a file of
// so many HTTPRoutes with a Service and an EndpointSlice each. wall-ms and
// cpu-ms are means; peak-rss-MB is the most memory that any run had resident.
func BenchmarkTranslate(b *testing.B) {
	dir := b.TempDir()
	egctl := filepath.Join(dir, "egctl")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", egctl, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	for _, routes := range []int{1, 100, 1000, 5000} {
		file := filepath.Join(dir, fmt.Sprintf("routes-%d.yaml", routes))
		write(b, file, routes)
		for _, command := range []string{"translate", "validate"} {
			if command == "validate" && routes > 1000 {
				continue // its cost is that of one route times their number
			}
			b.Run(fmt.Sprintf("%s/routes=%d", command, routes), func(b *testing.B) {
				var wall, cpu time.Duration
				var peak int64
				n := 0
				for b.Loop() {
					var said bytes.Buffer
					cmd := exec.Command(egctl, command, "-f", file)
					cmd.Stdout, cmd.Stderr = io.Discard, &said
					begin := time.Now()
					if err := cmd.Run(); err != nil {
						b.Fatalf("%v\n%s", err, said.Bytes())
					}
					wall += time.Since(begin)
					cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
					if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
						peak = max(peak, use.Maxrss)
					}
					n++
				}
				mean := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(n) }
				b.ReportMetric(mean(wall), "wall-ms")
				b.ReportMetric(mean(cpu), "cpu-ms")
				b.ReportMetric(float64(peak)*1024/1e6, "peak-rss-MB")
			})
		}
	}
}

// write has the file written by another process: the kernel counts the memory of
// a process that starts another as the other's until that runs its own program,
// so this one stays small.
func write(b *testing.B, file string, routes int) {
	b.Helper()
	out, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("go", "run", "../../hack/gen-routes", fmt.Sprint(routes))
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := errors.Join(cmd.Run(), out.Close()); err != nil {
		b.Fatal(err)
	}
}
