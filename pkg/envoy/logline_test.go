package envoy

import (
	"log/slog"
	"strings"
	"testing"
)

func TestLogLines(t *testing.T) {
	var out strings.Builder
	l := &logLines{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))}
	for _, part := range []string{
		"trace\thttp\tin\tdetail\n", "info\tmain\tsta", "rted\nwarning\tmisc\tdeprec", "ated\n",
		"critical\tmain\tcannot bind\nand why\n", "\n", "error: unknown flag",
	} {
		if n, err := l.Write([]byte(part)); err != nil || n != len(part) {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	l.flush()
	if last := l.lastError(); last != "error: unknown flag" {
		t.Errorf("the last error is %q", last)
	}
	want := `level=DEBUG msg="in\tdetail" component=http
level=INFO msg=started component=main
level=WARN msg=deprecated component=misc
level=ERROR msg="cannot bind" component=main
level=ERROR msg="and why"
level=ERROR msg="error: unknown flag"
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	if _, err := l.Write([]byte(strings.Repeat("x", 3*maxLine))); err != nil {
		t.Fatal(err)
	}
	if len(l.rest) > maxLine {
		t.Errorf("a line without end takes %d bytes", len(l.rest))
	}
}
