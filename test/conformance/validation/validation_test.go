package validation

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/egctl/egctl/internal/verdict"
	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/validate"
)

var update = flag.Bool("update", false, "write the answers that the test of pkg/validate replays")

// recorded is what that test reads.
const recorded = "../../../pkg/validate/testdata/apiserver.jsonl.gz"

// TestValidation compares, for the definitions of either channel, what an API server
// says to the creation of an object with what egctl validate says. Objects are those
// of the Gateway API's own tests of its rules, its examples, valid and invalid, the
// manifests of its conformance suite, the inputs of the translator's golden files, and
// what mutants makes of all these.
func TestValidation(t *testing.T) {
	s := start(t)
	objects := &pool{seen: map[[32]byte]bool{}}
	for _, channel := range []crds.Channel{crds.Experimental, crds.Standard} {
		s.define(t, channel)
		s.upstream(t, channel, objects)
	}
	fromTests := len(objects.list)
	objects.manifests(t)
	good := len(objects.list)
	objects.mutate(t)
	byKind := map[string]int{}
	for _, o := range objects.list {
		byKind[fmt.Sprint(o["apiVersion"], o["kind"])]++
	}
	t.Log(byKind)
	t.Logf("%d objects: %d of the Gateway API's tests, %d of manifests, %d mutants", len(objects.list), fromTests, good-fromTests, len(objects.list)-good)

	records := make([]verdict.Record, len(objects.list))
	for i := range records {
		records[i].Verdicts = map[crds.Channel]verdict.Verdict{}
	}
	// The server has the standard channel's definitions by now.
	for _, channel := range []crds.Channel{crds.Standard, crds.Experimental} {
		t.Run(string(channel), func(t *testing.T) {
			if channel == crds.Experimental {
				s.define(t, channel)
			}
			compare(t, s, channel, objects.list, records)
			named, all, others := broken(t, channel, records)
			fmt.Printf("%s: of the %d rules in CEL of these kinds, the API server named %d\n", channel, all, named)
			t.Logf("not tried: %s", strings.Join(others, "\n\t"))
		})
	}
	if *update {
		write(t, records, fromTests)
	}
}

func compare(t *testing.T, s *server, channel crds.Channel, objects []map[string]any, records []verdict.Record) {
	v, err := validate.New(validate.Channel(channel))
	if err != nil {
		t.Fatal(err)
	}
	var next, refused, different atomic.Int64
	var mutex sync.Mutex
	kinds := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(objects)); i = next.Add(1) - 1 {
				answer, body, err := s.ask(t.Context(), objects[i])
				if err != nil {
					t.Errorf("%v: %s", err, body)
					return
				}
				if answer.Status != http.StatusCreated {
					refused.Add(1)
				}
				records[i].Object = body
				mutex.Lock()
				records[i].Verdicts[channel] = answer
				mutex.Unlock()
				if d := verdict.Differences(v, manifest.Parse("object.json", body, "default")[0], answer); len(d) > 0 {
					different.Add(1)
					// One of a kind is shown.
					mutex.Lock()
					key := fmt.Sprint(objects[i]["kind"], generic(d[0]))
					if kinds[key]++; kinds[key] == 1 {
						t.Errorf("%s\n\t%.2000s", strings.Join(d, "\n\t"), body)
					}
					mutex.Unlock()
				}
			}
		})
	}
	wg.Wait()
	fmt.Printf("%s: %d objects, the API server refuses %d; egctl validate differs on %d, in %d ways\n", channel, len(objects), refused.Load(), different.Load(), len(kinds))
}

var (
	index  = regexp.MustCompile(`\[\d+\]`)
	quoted = regexp.MustCompile(`"(\\.|[^"\\])*"|\d+`)
)

// generic is a text without indices and values.
func generic(text string) string {
	return quoted.ReplaceAllString(index.ReplaceAllString(text, "[]"), "_")
}

// write keeps the objects of the Gateway API's tests, and of the others one for each
// reason that the API server has to refuse objects of a kind.
func write(t *testing.T, records []verdict.Record, fromTests int) {
	reasons := map[string]bool{}
	var kept []verdict.Record
	for i, r := range records {
		isNew := false
		for channel, v := range r.Verdicts {
			var o struct{ Kind string }
			m, err := plain(r.Object)
			if err != nil {
				t.Fatal(err)
			}
			o.Kind = fmt.Sprint(m["apiVersion"], m["kind"])
			say := func(reason string) {
				key := string(channel) + o.Kind + generic(reason)
				isNew = isNew || !reasons[key]
				reasons[key] = true
			}
			for _, r := range v.Refusals {
				say(r.Field + r.Message)
			}
			for _, d := range v.Dropped {
				say(d)
			}
			say(fmt.Sprint(v.Status) + v.Message)
		}
		if (i < fromTests || isNew) && len(r.Object) < 1<<13 {
			kept = append(kept, r)
		}
	}
	b, err := verdict.Encode(kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recorded, b, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d reasons to refuse; %d objects written, %d bytes", len(reasons), len(kept), len(b))
}

// pool is objects, each once.
type pool struct {
	list []map[string]any
	seen map[[32]byte]bool
}

func (p *pool) add(o map[string]any) {
	h := sha256.Sum256(fmt.Append(nil, o)) // maps are printed in order
	if !p.seen[h] {
		p.seen[h] = true
		p.list = append(p.list, o)
	}
}

var ofPods = regexp.MustCompile(`\.(pod|container|initContainers)\b`)

// mutate adds mutants of all that is there: of each field of a kind, each change twice.
// Where a field was added with all that is in it, that has mutants in turn, so that no
// field is without because no manifest has it; except for the fields of pods in
// EnvoyProxies, which are thousands and not the gateway's.
func (p *pool) mutate(t *testing.T) {
	schemas := map[string]*schema{}
	done := map[string]int{}
	good := slices.Clone(p.list)
	for generation := range 2 {
		var grown []map[string]any
		for _, o := range good {
			id := fmt.Sprint(o["apiVersion"], " ", o["kind"])
			s, known := schemas[id]
			if !known {
				s = schemaOf(t, o)
				schemas[id] = s
			}
			if s == nil {
				continue
			}
			limit := 2
			if generation > 0 || o["kind"] == "EnvoyProxy" {
				limit = 1
			}
			for _, m := range mutants(s, o) {
				if done[id+m.place]++; done[id+m.place] > limit || generation > 0 && ofPods.MatchString(m.place) {
					continue
				}
				p.add(m.object)
				if m.whole {
					grown = append(grown, m.object)
				}
			}
		}
		good = grown
	}
}
