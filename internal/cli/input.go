package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/complete"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// inputOptions say which manifests to read. They are the same for every command
// that reads some.
type inputOptions struct {
	Streams
	Files      []string
	Recursive  bool
	Namespace  string
	AddMissing bool
}

func (o *inputOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&o.Files, "filename", "f", nil, "manifest to read: a file, a folder, - for standard input, or a URL; may be repeated")
	cmd.Flags().BoolVarP(&o.Recursive, "recursive", "R", false, "read the folders in folders, too")
	cmd.Flags().StringVarP(&o.Namespace, "namespace", "n", "default", "namespace of objects that name none")
	cmd.Flags().BoolVar(&o.AddMissing, "add-missing-services", false, "make up the Services that routes name and that are not in the files")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json") // the flag is there: see above
}

func (o *inputOptions) validate() error {
	if len(o.Files) == 0 {
		return usagef("nothing to read: name a file, a folder, a URL or - with -f")
	}
	return checkNamespace(o.Namespace)
}

// world is what was read and what follows from it.
type world struct {
	set        *manifest.Set
	translator *translate.Translator
	snapshots  map[store.Key]*xds.Snapshot
	fleets     map[store.Key]*translate.Fleet
	endpoints  map[string]*xds.Resource
	reports    map[store.Key]translate.Report
}

// read reads and translates files. What is made up on the way is told once.
func (o *inputOptions) read(ctx context.Context, files []string, told map[string]bool) (*world, error) {
	set, err := manifest.Read(ctx, manifest.Options{
		Paths: files, Recursive: o.Recursive, Stdin: o.In, DefaultNamespace: o.Namespace,
	})
	if err != nil {
		return nil, err
	}
	objects := set.Objects()
	added, notes := complete.Objects(objects, complete.Options{Endpoints: true, Services: o.AddMissing})
	for _, n := range notes {
		if !told[n] {
			told[n] = true
			fmt.Fprintln(o.Err, "note: "+n)
		}
	}
	objects = append(objects, added...)
	settings := translate.DefaultSettings()
	settings.AssumeProgrammed = true
	w := &world{set: set, translator: translate.New(settings)}
	changes := make([]store.Change, len(objects))
	for i, ob := range objects {
		changes[i] = store.Put(ob)
	}
	w.translator.Store.Apply(changes...)
	ch := w.translator.Update()
	w.snapshots, w.fleets, w.endpoints, w.reports = ch.Snapshots, ch.Fleets, ch.Endpoints, ch.Reports
	return w, nil
}

// findings are those of reading and translating, in the order of the files.
func (w *world) findings(more ...finding.Finding) []finding.Finding {
	found := append(w.set.Findings(), more...)
	for _, r := range w.reports {
		found = append(found, r.Findings...)
	}
	return byPosition(found, w.set)
}
