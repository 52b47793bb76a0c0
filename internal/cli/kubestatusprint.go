package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/egctl/egctl/pkg/inspect/status"
)

// several says that objects of more than one kind may be printed.
func (o *statusOptions) several(w *status.World) bool { return len(w.Resources) > 1 }

func (o *statusOptions) tableOptions(w *status.World, q status.Query) status.TableOptions {
	return status.TableOptions{
		AllNamespaces: o.AllNamespaces, Kinds: o.several(w), Wide: o.Output == "wide",
		Gone: o.gone, Stuck: o.stuck, Endpoints: o.endpoints, Within: q.Namespace, Now: o.now(),
	}
}

// tables are those that are not empty.
func (o *statusOptions) tables(w *status.World, q status.Query) []status.Table {
	var list []status.Table
	for i, r := range w.Resources {
		t := status.NewTable(r, w.Objects[i], o.tableOptions(w, q))
		if o.Quiet {
			t = t.Only()
		}
		if len(t.Rows) > 0 {
			list = append(list, t)
		}
	}
	return list
}

func (o *statusOptions) print(tables []status.Table, q status.Query) error {
	switch o.Output {
	case "json", "yaml":
		return status.Write(o.Out, o.Output, o.document(tables))
	case "name":
		return status.WriteNames(o.Out, tables)
	case "table", "wide":
	default:
		return o.printPath(o.document(tables))
	}
	if len(tables) == 0 {
		fmt.Fprintln(o.Err, o.nothing(q))
		return nil
	}
	for i, t := range tables {
		if i > 0 {
			fmt.Fprintln(o.Out)
		}
		p := status.Printer{W: o.Out, Verbose: o.Verbose}
		if err := p.Table(t); err != nil {
			return err
		}
	}
	return nil
}

// missing says which names no table has. What is fine is in none with --quiet.
func (o *statusOptions) missing(tables []status.Table, q status.Query) error {
	names := slices.DeleteFunc(slices.Clone(q.Names), func(n string) bool {
		return slices.ContainsFunc(tables, func(t status.Table) bool {
			return slices.ContainsFunc(t.Rows, func(r status.Row) bool { return r.Object.Metadata.Name == n })
		})
	})
	if len(names) == 0 || o.Quiet {
		return nil
	}
	return fmt.Errorf("%s %s: not found in namespace %s", o.Kinds[0], strings.Join(names, ", "), q.Namespace)
}

// nothing says that there is nothing, or nothing bad.
func (o *statusOptions) nothing(q status.Query) string {
	what := "No objects found"
	switch {
	case o.Quiet && o.alone:
		what = "Everything was fine when the controller went"
	case o.Quiet:
		what = "Everything is fine"
	}
	if q.Namespace == "" {
		return what + "."
	}
	return what + " in namespace " + q.Namespace + "; -A looks in all."
}

// noNamespace says that nothing can be where it was looked for.
func noNamespace(q status.Query) string { return "namespace " + q.Namespace + " does not exist" }

// document is what is printed for programs: an object where one is asked for by
// name, a list else.
func (o *statusOptions) document(tables []status.Table) any {
	d := status.NewDocument(tables)
	if len(o.Names) == 1 && len(d.Items) == 1 {
		return d.Items[0]
	}
	return d
}

func parseJSONPath(expression string) (*jsonpath.JSONPath, error) {
	if !strings.HasPrefix(expression, "{") {
		expression = "{" + expression + "}"
	}
	path := jsonpath.New("status").AllowMissingKeys(true)
	if err := path.Parse(expression); err != nil {
		return nil, fmt.Errorf("read the JSONPath %s: %w", expression, err)
	}
	return path, nil
}

func (o *statusOptions) printPath(document any) error {
	path, err := parseJSONPath(o.path)
	if err != nil {
		return err
	}
	b, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode as JSON: %w", err)
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return fmt.Errorf("encode as JSON: %w", err)
	}
	var out bytes.Buffer
	if err := path.Execute(&out, plain); err != nil {
		return fmt.Errorf("apply the JSONPath %s: %w", o.path, err)
	}
	if _, err := o.Out.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// tree prints Gateways with what hangs on them. Routes and backends may be anywhere, so
// everything is read, or what the user may read.
func (o *statusOptions) tree(ctx context.Context, a *statusAnswer) error {
	client, served, q := a.client, a.served, a.query
	everywhere := status.Query{}
	world, err := client.Read(ctx, served, everywhere)
	if err != nil {
		return err
	}
	if len(world.Denied) > 0 && q.Namespace != "" {
		everywhere.Namespace = q.Namespace
		if world, err = client.Read(ctx, served, everywhere); err != nil {
			return err
		}
		fmt.Fprintf(o.Err, "note: what is outside of namespace %s is left out\n", q.Namespace)
	}
	options := status.TreeOptions{Namespace: q.Namespace, Names: q.Names, Within: everywhere.Namespace, Stuck: o.stuck}
	if options.Endpoints, err = client.Endpoints(ctx, everywhere.Namespace); status.Unavailable(err) {
		fmt.Fprintf(o.Err, "note: %v\n", err)
		options.NoEndpoints = true
	} else if err != nil {
		return err
	}
	if options.NoEndpoints {
		options.Endpoints = nil
	}
	if options.Gone, err = client.FindGone(ctx, served, world, options.Endpoints); err != nil {
		return err
	}
	roots := status.NewTree(world, options)
	if len(roots) == 0 {
		fmt.Fprintln(o.Err, o.nothing(q))
		return nil
	}
	if err := status.WriteTree(o.Out, roots, status.TreePrint{Verbose: o.Verbose, Quiet: o.Quiet}); err != nil {
		return err
	}
	worst := status.Fine
	for _, r := range roots {
		worst = max(worst, r.Verdict)
	}
	return o.fails(worst)
}

// watch prints the rows that change, below the tables.
func (o *statusOptions) watch(ctx context.Context, a *statusAnswer) error {
	o.stuck, o.endpoints = nil, nil // so it was once, and these are not followed
	log := status.NewLog(o.Out, a.world, o.tableOptions(a.world, a.query), status.LogOptions{Verbose: o.Verbose, Quiet: o.Quiet})
	var failed error
	err := a.client.Follow(ctx, a.world, a.query, func(changes []status.Change) bool {
		failed = log.Write(changes, o.now())
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return err
}
