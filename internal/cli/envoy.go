package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/envoy"
	"github.com/egctl/egctl/pkg/progress"
)

// envoyOptions say which Envoy to run, for the commands that run one.
type envoyOptions struct {
	Streams
	Path, BaseURL, SHA256 string
	LogLevel              string
	Verbose               bool
}

func (o *envoyOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.Path, "envoy-path", "", "Envoy binary to run; without it $"+envoy.EnvVar+", egctl's cache, PATH and a download are tried, in this order")
	cmd.Flags().StringVar(&o.BaseURL, "envoy-mirror", "", "URL of a folder to download Envoy from")
	cmd.Flags().StringVar(&o.SHA256, "envoy-sha256", "", "digest of the file to download, where it is not the one egctl knows")
	choiceFlag(cmd, &o.LogLevel, "envoy-log-level", "", "error", envoyLogLevels(), "what Envoy logs")
	cmd.Flags().BoolVarP(&o.Verbose, "verbose", "v", false, "say what egctl does, step by step")
}

func envoyLogLevels() []string {
	return []string{"trace", "debug", "info", "warning", "error", "critical", "off"}
}

func (o *envoyOptions) validate() error {
	return choice("envoy-log-level", o.LogLevel, envoyLogLevels())
}

// find returns the binary, after a download if it must be, and says which it is.
func (o *envoyOptions) find(ctx context.Context) (string, error) {
	cache, err := envoy.DefaultCacheDir(o.Getenv)
	if err != nil {
		return "", err
	}
	binary, err := (&envoy.Locator{
		Path: o.Path, Getenv: o.Getenv, CacheDir: cache, LookPath: exec.LookPath,
		BaseURL: o.BaseURL, SHA256: o.SHA256, Progress: progress.For(o.Err),
	}).Find(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range binary.Notes {
		fmt.Fprintln(o.Err, "note: "+n)
	}
	fmt.Fprintln(o.Err, binary)
	return binary.Path, nil
}

func (o *envoyOptions) logger() *slog.Logger {
	level := slog.LevelError
	if o.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(o.Err, &slog.HandlerOptions{Level: level}))
}
