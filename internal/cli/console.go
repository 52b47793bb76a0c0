package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// console tells a person what goes on, on Err. What is being waited for stands on
// one line that goes away; off a terminal it is lines like the rest.
type console struct {
	s Streams
	// shown says that the last line is a state.
	shown bool
}

func (c *console) say(line string) {
	c.clear()
	fmt.Fprintln(c.s.Err, line)
}

func (c *console) state(line string) {
	if !c.s.Terminal {
		fmt.Fprintf(c.s.Err, "… %s\n", line)
		return
	}
	c.clear()
	// A line that wraps could not be taken back.
	const width = 100
	if runes := []rune(line); len(runes) > width {
		line = string(runes[:width]) + "…"
	}
	fmt.Fprintf(c.s.Err, "… %s", line)
	c.shown = true
}

// done takes the state back. It may be called twice.
func (c *console) done() { c.clear() }

func (c *console) clear() {
	if c.shown {
		fmt.Fprint(c.s.Err, "\r\x1b[K")
		c.shown = false
	}
}

// confirm asks a question whose answer may be no. Nobody there to answer is one.
func (c *console) confirm(question string) error {
	c.clear()
	fmt.Fprintf(c.s.Err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(c.s.In).ReadString('\n')
	if answer == "" && err != nil {
		fmt.Fprintln(c.s.Err)
		return fmt.Errorf("not confirmed: nobody answered; --yes does it without asking")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	default:
		return fmt.Errorf("not confirmed: nothing was changed")
	}
}

// readSecret reads a file with a secret, without the line break at its end.
func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
