package conformance

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// transcript keeps all that the suite says in a file, and shows verdicts, and why a
// test failed, as they come. The suite says so much that nobody would find them.
type transcript struct {
	file *os.File
	line []byte
	// test is whose lines these are, why counts the lines of a reason still to come.
	test string
	why  int
}

// reasonLines is how long the suite's accounts of a failed assertion are at most.
const reasonLines = 15

func newTranscript(path string) (*transcript, error) {
	file, err := os.Create(path)
	return &transcript{file: file}, err
}

func (tr *transcript) Write(p []byte) (int, error) {
	for rest := p; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			tr.line = append(tr.line, rest...)
			break
		}
		tr.show(string(append(tr.line, rest[:i]...)))
		tr.line, rest = tr.line[:0], rest[i+1:]
	}
	return tr.file.Write(p)
}

func (tr *transcript) show(line string) {
	for _, verdict := range []string{"passed ", "FAILED ", "skipped ", "panic", "fatal error"} {
		if strings.HasPrefix(line, verdict) {
			fmt.Println(line)
			return
		}
	}
	// RUN, NAME, CONT, PAUSE: what follows is of another test.
	if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "===" {
		tr.test, tr.why = fields[2], 0
		return
	}
	if strings.Contains(line, "Error Trace:") {
		fmt.Println("--", tr.test)
		tr.why = reasonLines
	}
	if tr.why > 0 {
		fmt.Println(line)
		tr.why--
	}
}

func (tr *transcript) Close() error { return tr.file.Close() }
