package envoy

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// logFormat makes Envoy write level, component and message with tabs between;
// the time is the reader's to add.
const logFormat = "%l\t%n\t%v"

// maxLine bounds the memory that a line without end can take, in bytes.
const maxLine = 64 << 10

// logLines passes Envoy's standard error on to a logger, line by line.
type logLines struct {
	log *slog.Logger

	mu     sync.Mutex
	rest   []byte
	level  slog.Level // of the last line, for those that continue it
	failed string     // the last message that was an error
}

// Write never fails: an error would make Envoy block or die on its own log.
func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for {
		line, after, found := bytes.Cut(b, []byte("\n"))
		l.rest = append(l.rest, line[:min(len(line), maxLine-len(l.rest))]...)
		if !found {
			return n, nil
		}
		l.emit()
		b = after
	}
}

// flush passes on a last line that has no end.
func (l *logLines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.emit()
	}
}

func (l *logLines) emit() {
	line := string(l.rest)
	l.rest = l.rest[:0]
	level, component, message := parseLine(line)
	if component == "" {
		// What does not come from Envoy's logger continues the line before, or
		// is the loader's or the command line parser's complaint, so it is a
		// warning at least.
		level, message = max(l.level, slog.LevelWarn), line
	}
	l.level = level
	if strings.TrimSpace(message) == "" {
		return
	}
	if level >= slog.LevelError || component == "" {
		l.failed = strings.TrimSpace(message)
	}
	if component == "" {
		l.log.Log(context.Background(), level, message)
		return
	}
	l.log.Log(context.Background(), level, message, "component", component)
}

func (l *logLines) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// parseLine takes a line of [logFormat] apart; component is empty for others.
func parseLine(line string) (level slog.Level, component, message string) {
	parts := strings.SplitN(line, "\t", 3)
	if len(parts) != 3 {
		return 0, "", ""
	}
	switch parts[0] {
	case "trace", "debug":
		level = slog.LevelDebug
	case "info":
		level = slog.LevelInfo
	case "warning":
		level = slog.LevelWarn
	case "error", "critical":
		level = slog.LevelError
	default:
		return 0, "", ""
	}
	return level, parts[1], parts[2]
}
