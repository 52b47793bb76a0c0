package validate_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/egctl/egctl/internal/verdict"
	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/validate"
)

// What an API server said to objects of the Gateway API's own tests, and to others
// chosen so that each reason to refuse an object is there, must be what is said here.
// test/conformance/validation asked it, and asks more.
func TestAnswersOfAnAPIServer(t *testing.T) {
	b, err := os.ReadFile("testdata/apiserver.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	records, err := verdict.Decode(b)
	if err != nil || len(records) < 1000 {
		t.Fatalf("%d answers, error %v", len(records), err)
	}
	var text bytes.Buffer
	for _, r := range records {
		text.Write(r.Object)
		text.WriteString("\n---\n")
	}
	docs := manifest.Parse("objects.yaml", text.Bytes(), "default")
	if len(docs) != len(records) {
		t.Fatalf("%d objects are %d documents", len(records), len(docs))
	}
	for _, channel := range []crds.Channel{crds.Standard, crds.Experimental} {
		t.Run(string(channel), func(t *testing.T) {
			t.Parallel()
			v, err := validate.New(validate.Channel(channel))
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range records {
				answer, ok := r.Verdicts[channel]
				if !ok {
					t.Fatalf("no answer for %s", r.Object)
				}
				for _, d := range verdict.Differences(v, docs[i], answer) {
					t.Errorf("%s\n\t%s", d, r.Object)
				}
			}
		})
	}
}
