package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// SyntaxError is text that is neither YAML nor JSON.
type SyntaxError struct {
	File    string
	Line    int // where the parser gave up
	Message string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message) }

// syntaxLine finds the line in the messages of the YAML parser.
var syntaxLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

func (d *Document) syntax(err error) {
	m := syntaxLine.FindStringSubmatch(err.Error())
	message := strings.TrimPrefix(err.Error(), m[0])
	line := d.Line
	if grammar.MatchString(message) {
		line = d.src.line + d.src.firstBadLine(message) - 1
	} else if n, err := strconv.Atoi(m[1]); err == nil {
		line = d.src.line + n - 1
	}
	d.src.err = &SyntaxError{File: d.File, Line: line, Message: message}
	d.say(CodeSyntax, "", message, "")
}

// grammar matches the messages of the YAML parser proper, as opposed to those
// of its scanner. With them it gives the line on which the mapping or list
// began in which it got stuck, which may be a long way up.
var grammar = regexp.MustCompile(`^did not find expected (key|'-' indicator|node content|<document start>|'[,}\]]' or '[,}\]]')`)

// firstBadLine finds the 1-based line that the parser got stuck on: the first
// lines of a document up to it, and no fewer, fail with the same message.
func (s *source) firstBadLine(message string) int {
	lines := bytes.SplitAfter(s.raw, []byte{'\n'})
	ends := make([]int, len(lines))
	end := 0
	for i, l := range lines {
		end += len(l)
		ends[i] = end
	}
	i := sort.Search(len(ends)-1, func(i int) bool {
		_, err := (&source{chunk: chunk{raw: s.raw[:ends[i]]}}).parse()
		return err != nil && strings.HasSuffix(err.Error(), message)
	})
	return i + 1
}
