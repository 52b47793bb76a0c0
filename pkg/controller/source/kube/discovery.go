package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/pkg/store"
)

// resource is how the API server serves a kind.
type resource struct{ version, plural string }

// looks are the pauses before each look at a group after something happened to
// its CRDs: at once, and again, since the server takes a moment to serve what it
// has accepted.
var looks = []time.Duration{0, 200 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond, time.Second, 3 * time.Second}

const (
	// patience is how many looks in a row must miss a kind before it is gone.
	patience = 3
	// recheck is how often to look without a reason, and blindRecheck how often
	// where CRDs cannot be watched.
	recheck      = 5 * time.Minute
	blindRecheck = 10 * time.Second
	// again is the pause after a look that failed or missed something.
	again = 500 * time.Millisecond
)

// discovery knows which kinds the API server serves, and in which version. Each
// group is looked at by itself: what fails for one says nothing of others.
type discovery struct {
	clients *clients
	// changed is called when there is something new.
	changed func()
	trouble func(about string, err error)
	crds    *crdWatch
	pokes   map[string]chan struct{} // by group

	mu     sync.Mutex
	found  map[store.Kind]resource
	missed map[store.Kind]int
	seen   map[string]bool // groups looked at
}

func newDiscovery(c *clients) (*discovery, error) {
	d := &discovery{
		clients: c, pokes: map[string]chan struct{}{},
		found: map[store.Kind]resource{}, missed: map[store.Kind]int{}, seen: map[string]bool{},
	}
	for _, i := range store.Kinds {
		if d.pokes[i.Group] == nil {
			d.pokes[i.Group] = make(chan struct{}, 1)
		}
	}
	var err error
	d.crds, err = newCRDWatch(c, d.look)
	return d, err
}

// resource returns how a kind is served.
func (d *discovery) resource(k store.Kind) (resource, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.found[k]
	return r, ok
}

// served returns what is served, and whether that is all.
func (d *discovery) served() (map[store.Kind]resource, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.found), len(d.seen) == len(d.pokes)
}

// look has a group looked at; it returns at once.
func (d *discovery) look(group string) {
	select {
	case d.pokes[group] <- struct{}{}: // blocks, so that default is taken, for groups that are of no interest
	default:
	}
}

func (d *discovery) run(ctx context.Context) {
	go d.crds.run(ctx)
	for g := range d.pokes {
		go d.follow(ctx, g)
	}
}

func (d *discovery) follow(ctx context.Context, group string) {
	step := len(looks) // of looks; beyond: nothing happened of late
	for {
		content, err := d.ask(ctx, group)
		pause := recheck
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.trouble("discovery of "+groupName(group), err)
			pause = again
		default:
			d.trouble("discovery of "+groupName(group), nil)
			certain := d.take(group, content)
			switch {
			case step < len(looks):
				pause = looks[step]
				step++
			case !certain:
				pause = again
			case !builtIn(group) && !d.crds.sighted():
				pause = blindRecheck
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-d.pokes[group]:
			step = 1 // the first look is now
		case <-time.After(pause):
		}
	}
}

func groupName(group string) string {
	if group == "" {
		return "the core group"
	}
	return group
}

// take compares what a group serves with what is known. It returns false if a
// kind was missed that may yet turn up.
func (d *discovery) take(group string, content map[store.Kind]resource) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	news, certain := !d.seen[group], true
	d.seen[group] = true
	for _, i := range store.Kinds {
		if i.Group != group {
			continue
		}
		was, known := d.found[i.Kind]
		is, ok := content[i.Kind]
		switch {
		case ok:
			delete(d.missed, i.Kind)
			news = news || is != was
			d.found[i.Kind] = is
		case known:
			d.missed[i.Kind]++
			if d.missed[i.Kind] < patience && !d.crds.gone(was.plural+"."+group) {
				certain = false
				continue
			}
			if d.crds.exists(was.plural + "." + group) {
				continue // and so do its objects, though they are not served just now
			}
			delete(d.missed, i.Kind)
			delete(d.found, i.Kind)
			news = true
		}
	}
	if news {
		d.changed()
	}
	return certain
}

// ask returns the kinds of a group that are served, each in the best version.
func (d *discovery) ask(ctx context.Context, group string) (map[store.Kind]resource, error) {
	versions := []string{"v1"}
	if group != "" {
		var g metav1.APIGroup
		if err := d.get(ctx, &g, "apis", group); err != nil {
			return nil, err
		}
		versions = nil
		for _, v := range g.Versions {
			versions = append(versions, v.Version)
		}
	}
	served := map[store.Kind]map[string]string{} // plurals by version
	for _, v := range versions {
		if !slices.ContainsFunc(store.Kinds, func(i store.KindInfo) bool { return i.Group == group && slices.Contains(i.Versions, v) }) {
			continue
		}
		var l metav1.APIResourceList
		path := []string{"apis", group, v}
		if group == "" {
			path = []string{"api", v}
		}
		if err := d.get(ctx, &l, path...); err != nil {
			return nil, err
		}
		for _, r := range l.APIResources {
			k := store.Kind{Group: group, Kind: r.Kind}
			if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "watch") {
				continue
			}
			if served[k] == nil {
				served[k] = map[string]string{}
			}
			served[k][v] = r.Name
		}
	}
	content := map[store.Kind]resource{}
	for _, i := range store.Kinds {
		for _, v := range slices.Backward(i.Versions) {
			if plural, ok := served[i.Kind][v]; ok {
				content[i.Kind] = resource{v, plural}
			}
		}
	}
	return content, nil
}

// get reads a discovery document. What does not exist is empty; anything else
// that goes wrong says nothing about what exists, and is an error.
func (d *discovery) get(ctx context.Context, into any, path ...string) error {
	c, err := d.clients.client("", "v1")
	if err != nil {
		return err
	}
	b, err := c.Get().AbsPath(path...).SetHeader("Accept", "application/json").Timeout(10 * time.Second).Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read /%s: %w", strings.Join(path, "/"), err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read /%s: %w", strings.Join(path, "/"), err)
	}
	return nil
}
