package manifest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf16"
)

// chunk is the text of one document, with its place in the file.
type chunk struct {
	raw []byte
	// line is the 1-based line of the file on which raw begins, column the
	// number of bytes before raw on that line.
	line, column int
	// first is the 1-based line of the first text that is no comment.
	first int
	json  bool
}

// split cuts a file into documents as YAML 1.2 (chapter 9) says: a line that
// begins with "---" followed by white space starts a document, one that begins
// with "..." ends it, in whatever construct they stand. Chunks of nothing but
// comments are no documents. JSON values may follow one another without any mark.
func split(data []byte) []chunk {
	data = toUTF8(data)
	s := splitter{data: data, line: 1}
	s.begin(0)
	for at := 0; at < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		s.take(at, end)
		at = end
		s.line++
	}
	s.flush(len(data))
	return s.chunks
}

type splitter struct {
	data   []byte
	chunks []chunk
	line   int // of the text being looked at

	start, startLine int
	first            int // line of the first content, 0 if none yet
	directive        bool
}

func (s *splitter) begin(at int) {
	s.start, s.startLine, s.first, s.directive = at, s.line, 0, false
}

func (s *splitter) take(at, end int) {
	text := s.data[at:end]
	if at == s.start {
		// A byte order mark may stand before every document.
		if trimmed := bytes.TrimPrefix(text, bom); len(trimmed) < len(text) {
			text, s.start = trimmed, s.start+len(bom)
		}
	}
	switch {
	case isMarker(text, "---"):
		if s.directive && s.first == 0 {
			// The directives above belong to this document.
			s.directive = false
		} else {
			s.flush(at)
			if isContent(text[3:]) {
				s.begin(at)
			} else {
				s.begin(end)
				s.startLine = s.line + 1
			}
		}
		if isContent(text[3:]) {
			s.first = s.line
		}
	case isMarker(text, "..."):
		s.flush(at)
		s.begin(end)
		s.startLine = s.line + 1
	case s.first == 0 && !s.directive && len(text) > 0 && text[0] == '%':
		s.begin(at)
		s.directive = true
	case s.first == 0 && isContent(text) && text[0] != '%':
		s.first = s.line
	}
}

func (s *splitter) flush(end int) {
	if s.first == 0 || end <= s.start {
		return
	}
	c := chunk{raw: s.data[s.start:end:end], line: s.startLine, first: s.first}
	if parts := splitJSON(c); parts != nil {
		s.chunks = append(s.chunks, parts...)
		return
	}
	s.chunks = append(s.chunks, c)
}

var bom = []byte("\uFEFF")

func isMarker(text []byte, mark string) bool {
	if len(text) < 3 || string(text[:3]) != mark {
		return false
	}
	return len(text) == 3 || text[3] == ' ' || text[3] == '\t' || text[3] == '\n' || text[3] == '\r'
}

func isContent(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] != '#'
}

// splitJSON returns the JSON values of a chunk that consists of nothing else,
// or nil. JSON is not left to the YAML parser, which knows neither the escapes
// of characters beyond 16 bits nor keys longer than a kilobyte.
func splitJSON(c chunk) []chunk {
	if body := bytes.TrimLeft(c.raw, " \t\r\n"); len(body) == 0 || body[0] != '{' {
		return nil
	}
	var parts []chunk
	d := json.NewDecoder(bytes.NewReader(c.raw))
	at := 0
	line, column := c.line, 0
	for {
		var v json.RawMessage
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return parts
		}
		end := int(d.InputOffset())
		start := end - len(v)
		if err != nil || start < at {
			return nil
		}
		line, column = advance(c.raw[at:start], line, column)
		parts = append(parts, chunk{raw: c.raw[start:end:end], line: line, column: column, first: line, json: true})
		line, column = advance(c.raw[start:end], line, column)
		at = end
	}
}

// advance moves a position over text.
func advance(text []byte, line, column int) (int, int) {
	if n := bytes.Count(text, []byte{'\n'}); n > 0 {
		return line + n, len(text) - bytes.LastIndexByte(text, '\n') - 1
	}
	return line, column + len(text)
}

// toUTF8 converts UTF-16, which some Windows editors write, by its byte order mark.
func toUTF8(data []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		order = binary.LittleEndian
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		order = binary.BigEndian
	default:
		return data
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, order.Uint16(data[i:]))
	}
	return []byte(string(utf16.Decode(units)))
}
