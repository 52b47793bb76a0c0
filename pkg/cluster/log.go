package cluster

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"k8s.io/klog/v2"

	"github.com/egctl/egctl/api/v1alpha1"
)

// components are the parts of the controller whose level of logging can be set:
// the names are those of Envoy Gateway's configuration.
var components = []v1alpha1.EnvoyGatewayLogComponent{
	v1alpha1.LogComponentDefault,
	v1alpha1.LogComponentProvider,
	v1alpha1.LogComponentGatewayAPI,
	v1alpha1.LogComponentXDSServer,
	v1alpha1.LogComponentInfrastructure,
}

// Log is the controller's log, whose levels and form change with the configuration.
type Log struct {
	out    io.Writer
	json   atomic.Bool
	levels map[v1alpha1.EnvoyGatewayLogComponent]*slog.LevelVar
}

// NewLog writes to out, as text and from level info on until it is configured.
func NewLog(out io.Writer) *Log {
	l := &Log{out: out, levels: map[v1alpha1.EnvoyGatewayLogComponent]*slog.LevelVar{}}
	for _, c := range components {
		l.levels[c] = new(slog.LevelVar)
	}
	return l
}

// For returns the logger of a component.
func (l *Log) For(component v1alpha1.EnvoyGatewayLogComponent) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.levels[component]}
	return slog.New(form{slog.NewTextHandler(l.out, o), slog.NewJSONHandler(l.out, o), &l.json}).With("logger", string(component))
}

// Clients has the Kubernetes client library log here, too.
func (l *Log) Clients() { klog.SetSlogLogger(l.For(v1alpha1.LogComponentProvider)) }

func (l *Log) configure(c *v1alpha1.EnvoyGateway) {
	if c.Logging == nil {
		return
	}
	l.json.Store(c.Logging.Encoder == v1alpha1.LogEncoderJSON)
	for _, component := range components {
		level, ok := c.Logging.Level[component]
		if !ok {
			level = c.Logging.Level[v1alpha1.LogComponentDefault]
		}
		l.levels[component].Set(map[v1alpha1.LogLevel]slog.Level{
			v1alpha1.LogLevelDebug: slog.LevelDebug, v1alpha1.LogLevelWarn: slog.LevelWarn, v1alpha1.LogLevelError: slog.LevelError,
		}[level])
	}
}

// warn says what is wrong with a configuration and does no harm.
func (l *Log) warn(warnings []string) {
	for _, w := range warnings {
		l.For(v1alpha1.LogComponentDefault).Warn(w)
	}
}

// form is a handler that writes text or JSON, as is wanted at the moment.
type form struct {
	text, json slog.Handler
	useJSON    *atomic.Bool
}

func (f form) now() slog.Handler {
	if f.useJSON.Load() {
		return f.json
	}
	return f.text
}

func (f form) Enabled(ctx context.Context, level slog.Level) bool { return f.now().Enabled(ctx, level) }

func (f form) Handle(ctx context.Context, r slog.Record) error { return f.now().Handle(ctx, r) }

func (f form) WithAttrs(attrs []slog.Attr) slog.Handler {
	return form{f.text.WithAttrs(attrs), f.json.WithAttrs(attrs), f.useJSON}
}

func (f form) WithGroup(name string) slog.Handler {
	return form{f.text.WithGroup(name), f.json.WithGroup(name), f.useJSON}
}
