package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Streams are a command's connections to the world. Data goes to Out; all that
// is said about it, progress included, to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Getenv reads the environment.
	Getenv func(string) string
	// Terminal says that Err is a terminal: colours and progress lines fit there.
	Terminal bool
}

// System returns the streams of the process.
func System() Streams {
	terminal := term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Terminal: terminal}
}
