package status

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// World is the objects of several resources.
type World struct {
	Resources []Resource
	// Objects are those of the resource at the same place.
	Objects [][]*Object
	// Denied are the errors of resources that could not be read while others were.
	Denied []error

	versions []string
}

// Has says whether there are objects of a family.
func (w *World) Has(f Family) bool {
	for i, r := range w.Resources {
		if r.Family == f && len(w.Objects[i]) > 0 {
			return true
		}
	}
	return false
}

// parallel is how many resources are read at once.
const parallel = 8

// Read reads the objects of resources. A resource that cannot be read makes it fail only
// when there is no other.
func (c *Client) Read(ctx context.Context, resources []Resource, q Query) (*World, error) {
	w := &World{Resources: resources, Objects: make([][]*Object, len(resources)), versions: make([]string, len(resources))}
	denied := make([]error, len(resources))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, r := range resources {
		g.Go(func() error {
			objects, version, err := c.List(ctx, r, q)
			if Unavailable(err) && len(resources) > 1 {
				denied[i] = err
				return nil
			}
			w.Objects[i], w.versions[i] = objects, version
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, err := range denied {
		if err != nil {
			w.Denied = append(w.Denied, err)
		}
	}
	return w, nil
}

// Change is an object that is another than before.
type Change struct {
	// Resource is the place of its resource in [World].
	Resource int
	Object   *Object
	Gone     bool
}

// settle is how long changes are gathered: one edit changes many statuses.
const settle = 100 * time.Millisecond

// Follow calls do with the changes after a world, in order and a few at a time, until the
// context ends or do returns false. It survives lost connections.
func (c *Client) Follow(ctx context.Context, w *World, q Query, do func([]Change) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	changes := make(chan Change)
	failed := make(chan error, len(w.Resources))
	for i := range w.Resources {
		if w.versions[i] == "" {
			continue // it could not be read
		}
		watching.Go(func() {
			if err := c.follow(ctx, w, i, q, changes); err != nil {
				failed <- err
			}
		})
	}
	var pending []Change
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case change := <-changes:
			if pending = append(pending, change); settled == nil {
				settled = time.After(settle)
			}
		case <-settled:
			if !do(pending) {
				return nil
			}
			pending, settled = nil, nil
		}
	}
}

// follow watches one resource, and lists it again when the watch cannot go on.
func (c *Client) follow(ctx context.Context, w *World, i int, q Query, changes chan<- Change) error {
	known := map[string]*Object{}
	for _, o := range w.Objects[i] {
		known[o.id()] = o
	}
	version := w.versions[i]
	send := func(o *Object, gone bool) {
		if old := known[o.id()]; !gone && old != nil && old.Metadata.ResourceVersion == o.Metadata.ResourceVersion {
			return
		}
		if gone {
			delete(known, o.id())
		} else {
			known[o.id()] = o
		}
		select {
		case changes <- Change{i, o, gone}:
		case <-ctx.Done():
		}
	}
	for failures := 0; ctx.Err() == nil; {
		at, err := c.Watch(ctx, w.Resources[i], q, version, send)
		if version = at; err == nil {
			failures = 0
			pause(ctx, settle) // a server that ends every watch at once is not to be asked all the time
			continue
		}
		if Unavailable(err) {
			return err
		}
		objects, at, err := c.List(ctx, w.Resources[i], q)
		if err != nil {
			if Unavailable(err) {
				return err
			}
			failures++
			pause(ctx, min(time.Duration(failures)*time.Second, 10*time.Second))
			continue
		}
		there := map[string]bool{}
		for _, o := range objects {
			there[o.id()] = true
			send(o, false)
		}
		for id, o := range known {
			if !there[id] {
				send(o, true)
			}
		}
		version = at
	}
	return nil
}

func (o *Object) id() string { return o.Metadata.Namespace + "/" + o.Metadata.Name }

// apply makes a change to the world.
func (w *World) apply(c Change) {
	list := w.Objects[c.Resource]
	for i, o := range list {
		if o.Metadata.Name == c.Object.Metadata.Name && o.Metadata.Namespace == c.Object.Metadata.Namespace {
			if c.Gone {
				w.Objects[c.Resource] = append(list[:i:i], list[i+1:]...)
			} else {
				list[i] = c.Object
			}
			return
		}
	}
	if !c.Gone {
		w.Objects[c.Resource] = append(list, c.Object)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
