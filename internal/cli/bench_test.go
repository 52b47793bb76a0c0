package cli

import (
	"context"
	"io"
	"os"
	"testing"
)

// BenchmarkTranslate translates the file that EGCTL_BENCH_FILE names; make one
// with go run ./hack/gen-routes 5000.
func BenchmarkTranslate(b *testing.B) {
	file := os.Getenv("EGCTL_BENCH_FILE")
	if file == "" {
		b.Skip("EGCTL_BENCH_FILE names no file")
	}
	for _, format := range []string{"yaml", "json", "table"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := Streams{Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }}
				if code := Run(context.Background(), s, "test", []string{"egctl", "translate", "-f", file, "-o", format}); code != exitOK {
					b.Fatalf("exit code %d", code)
				}
			}
		})
	}
}
