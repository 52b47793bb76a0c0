package configdump

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// yamlWriter turns JSON text into YAML as it reads it, in the order in which
// the fields stand. The YAML libraries build a tree first and sort its keys: a
// route table of some megabytes takes them seconds, and the reader of a virtual
// host wants its name first.
type yamlWriter struct {
	w   *bufio.Writer
	src []byte
	pos int
}

const spaces = "                                                                "

func (y *yamlWriter) indent(depth int) { writeSpaces(y.w, depth) }

// writeSpaces indents by two spaces a level.
func writeSpaces(w *bufio.Writer, depth int) {
	for n := 2 * depth; n > 0; n -= len(spaces) {
		w.WriteString(spaces[:min(n, len(spaces))])
	}
}

func (y *yamlWriter) skip() {
	for y.pos < len(y.src) {
		switch y.src[y.pos] {
		case ' ', '\n', '\t', '\r', ',', ':':
			y.pos++
		default:
			return
		}
	}
}

func (y *yamlWriter) peek() byte {
	y.skip()
	if y.pos >= len(y.src) {
		return 0
	}
	return y.src[y.pos]
}

// value writes the next value. inline says that the line has begun, behind a
// dash; otherwise the value begins lines of its own at depth.
func (y *yamlWriter) value(depth int, inline bool) {
	switch y.peek() {
	case '{':
		y.pos++
		if y.peek() == '}' {
			y.pos++
			y.w.WriteString("{}\n")
			return
		}
		for y.peek() != '}' && y.peek() != 0 {
			if !inline {
				y.indent(depth)
			}
			inline = false
			writeScalar(y.w, y.scalar())
			y.w.WriteByte(':')
			y.field(depth)
		}
		y.pos++
	case '[':
		y.pos++
		if y.peek() == ']' {
			y.pos++
			y.w.WriteString("[]\n")
			return
		}
		for y.peek() != ']' && y.peek() != 0 {
			if !inline {
				y.indent(depth)
			}
			inline = false
			y.w.WriteString("- ")
			y.value(depth+1, true)
		}
		y.pos++
	default:
		writeScalar(y.w, y.scalar())
		y.w.WriteByte('\n')
	}
}

// field writes the value behind a key. Lists stand below their key, as kubectl
// prints them.
func (y *yamlWriter) field(depth int) {
	c := y.peek()
	empty := false
	if c == '{' || c == '[' {
		rest := bytes.TrimLeft(y.src[y.pos+1:], " \n\t\r")
		empty = len(rest) > 0 && (rest[0] == '}' || rest[0] == ']')
	}
	switch {
	case c == '{' && !empty:
		y.w.WriteByte('\n')
		y.value(depth+1, false)
	case c == '[' && !empty:
		y.w.WriteByte('\n')
		y.value(depth, false)
	default:
		y.w.WriteByte(' ')
		y.value(depth, true)
	}
}

// scalar takes the next string, number or word from the source.
func (y *yamlWriter) scalar() []byte {
	quoted := y.peek() == '"'
	start := y.pos
	if quoted {
		y.pos += stringLen(y.src[start:])
		return y.src[start:y.pos]
	}
	for y.pos < len(y.src) && !strings.ContainsRune(" \n\t\r,:]}", rune(y.src[y.pos])) {
		y.pos++
	}
	return y.src[start:y.pos]
}

// writeScalar writes a JSON scalar. Strings lose their quotes where no reader
// of YAML 1.1 or 1.2 can take them for anything else.
func writeScalar(w *bufio.Writer, s []byte) {
	if len(s) < 2 || s[0] != '"' {
		w.Write(s)
		return
	}
	if inner := s[1 : len(s)-1]; plain(inner) {
		w.Write(inner)
		return
	}
	s = pairs(s)
	// JSON text is YAML, but for characters that YAML wants escaped.
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		if r >= 0x7f && (r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r >= 0xfffe && r <= 0xffff) {
			fmt.Fprintf(w, `\u%04x`, r)
		} else {
			w.Write(s[:n])
		}
		s = s[n:]
	}
}

// pairs rewrites a string with escaped surrogates, which YAML does not know.
func pairs(s []byte) []byte {
	if !bytes.Contains(bytes.ToLower(s), []byte(`\ud`)) {
		return s
	}
	var v string
	if json.Unmarshal(s, &v) != nil {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return s
	}
	return b
}

// plain says whether text may stand without quotes: letters, digits and a few
// signs, beginning with a letter or a slash, and no word with a meaning.
func plain(s []byte) bool {
	if duration(s) {
		return true
	}
	if len(s) == 0 || len(s) > 4096 || !letter(s[0]) && s[0] != '/' {
		return false
	}
	for _, c := range s {
		if !letter(c) && (c < '0' || c > '9') && !strings.ContainsRune("-_./", rune(c)) {
			return colons(s)
		}
	}
	return !reserved(s)
}

// colons allows "http://a:80" and the like: a colon with no space behind it.
func colons(s []byte) bool {
	for i, c := range s {
		if c == ':' && i+1 < len(s) {
			continue
		}
		if !letter(c) && (c < '0' || c > '9') && !strings.ContainsRune("-_./", rune(c)) {
			return false
		}
	}
	return true
}

// duration allows "10s" and "0.250s".
func duration(s []byte) bool {
	return len(s) > 1 && s[0] >= '0' && s[0] <= '9' && len(bytes.TrimLeft(s, "0123456789.")) == 1 && s[len(s)-1] == 's'
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func reserved(s []byte) bool {
	if len(s) > 5 {
		return false
	}
	switch strings.ToLower(string(s)) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return true
	}
	return false
}
