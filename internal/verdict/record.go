package verdict

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/egctl/egctl/pkg/crds"
)

// Record is an object and what an API server with each channel's definitions says
// to it.
type Record struct {
	Object   json.RawMessage          `json:"object"`
	Verdicts map[crds.Channel]Verdict `json:"verdicts"`
}

// Encode writes records as compressed lines of JSON.
func Encode(records []Record) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, r := range records {
		if err := e.Encode(r); err != nil {
			return nil, fmt.Errorf("encode %s: %w", r.Object, err)
		}
	}
	err = w.Close()
	return out.Bytes(), err
}

// Decode is the reverse.
func Decode(b []byte) ([]Record, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	var out []Record
	for d := json.NewDecoder(r); ; {
		var one Record
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("record %d: %w", len(out)+1, err)
		}
		out = append(out, one)
	}
}
