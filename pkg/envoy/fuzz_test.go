package envoy

import "testing"

// FuzzParseLine reads arbitrary lines as Envoy's log, and demands that nothing of
// what Envoy said is lost.
func FuzzParseLine(f *testing.F) {
	f.Add("warning\tmain\tsomething is odd")
	f.Add("plain text of a library")
	f.Add("")
	f.Fuzz(func(t *testing.T, line string) {
		_, component, message := parseLine(line)
		if len(message) > len(line) || len(component) > len(line) {
			t.Errorf("%q became %q %q", line, component, message)
		}
	})
}
