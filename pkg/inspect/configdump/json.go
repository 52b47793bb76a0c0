package configdump

import (
	"bufio"
	"bytes"
)

// writeIndented writes JSON text with one field or item a line, two spaces a
// level. Spacing of the source is dropped: protojson varies it on purpose, and
// equal configurations shall give equal bytes. The first line is not indented.
func writeIndented(w *bufio.Writer, src []byte, depth int) {
	fresh := false // behind an opening bracket
	newline := func() {
		w.WriteByte('\n')
		writeSpaces(w, depth)
	}
	for i := 0; i < len(src); i++ {
		switch c := src[i]; c {
		case ' ', '\n', '\r', '\t':
			continue
		case '}', ']':
			depth--
			if !fresh {
				newline()
			}
			fresh = false
			w.WriteByte(c)
			continue
		case ',':
			w.WriteByte(c)
			newline()
			continue
		case ':':
			w.WriteString(": ")
			continue
		}
		if fresh {
			newline()
			fresh = false
		}
		switch c := src[i]; c {
		case '{', '[':
			w.WriteByte(c)
			depth++
			fresh = true
		case '"':
			n := stringLen(src[i:])
			w.Write(src[i : i+n])
			i += n - 1
		default:
			w.WriteByte(c)
		}
	}
}

// stringLen is the length of the string literal that src begins with, quotes
// included.
func stringLen(src []byte) int {
	for i := 1; i < len(src); i++ {
		n := bytes.IndexByte(src[i:], '"')
		if n < 0 {
			break
		}
		i += n
		slashes := 0
		for src[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
	return len(src)
}
