// Package translate turns Gateway API objects into what Envoy is to do,
// statuses and findings. It is pure: no client, no clock, no log, no network.
//
// It is written as functions of package incr, one file a concept, each reading
// like the part of the specification it implements:
//
//	class, gateway, listener*, listenerset     what is served where
//	parameters*, fleet                         what runs for it, and how
//	attach, hostname                           which routes are on which listener
//	rule, httproute, grpcroute, filter         what a route says
//	connroute                                  the same of TLSRoute, TCPRoute, UDPRoute
//	service, endpoint, backendtls, grant       where it leads
//	table, cluster, envoylistener, snapshot    what Envoy gets, through package xds
//	report, *_status, condition, issue, codes  what the user is told
//	refusal                                    what Envoy did not accept
//
// A change recomputes the functions that read what changed; see package incr.
package translate

import (
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// Translator holds objects and keeps what follows from them up to date. It
// belongs to one goroutine.
type Translator struct {
	Store *store.Store

	db        *incr.DB
	snapshots *incr.Tracker[store.Key, *xds.Snapshot]
	fleets    *incr.Tracker[store.Key, *Fleet]
	endpoints *incr.Tracker[ir.AssignmentKey, *xds.Resource]
	reports   *incr.Tracker[store.Key, Report]
}

// New returns a translator without objects.
func New(s Settings) *Translator {
	db := incr.New()
	t := &Translator{
		db: db,
		Store: store.New(db, gatewaysByClass, referrersByParameters, listenerSetsByGateway, routesByParent, routesByBackend,
			backendTLSByTarget, slicesByService),
		snapshots: incr.Track(db, fleets, snapshot),
		fleets:    incr.Track(db, fleetsToRun, fleet),
		endpoints: incr.Track(db, allAssignments, loadAssignment),
		reports:   incr.Track(db, reportKeys, report),
	}
	t.Configure(s)
	return t
}

// Configure replaces the settings.
func (t *Translator) Configure(s Settings) { t.Store.Apply(store.PutValue(settingsKey, s)) }

// Changes is what became different since the last update. In each map a nil or
// zero value under a key means that it is gone.
type Changes struct {
	// Snapshots by fleet.
	Snapshots map[store.Key]*xds.Snapshot
	// Fleets are what is to run, by their Key.
	Fleets map[store.Key]*Fleet
	// Endpoints are load assignments by name.
	Endpoints map[string]*xds.Resource
	// Reports by object. An object that is gone has a Report without findings.
	Reports map[store.Key]Report
}

// Empty says whether nothing changed.
func (c *Changes) Empty() bool {
	return len(c.Snapshots)+len(c.Fleets)+len(c.Endpoints)+len(c.Reports) == 0
}

// Update brings everything up to date and returns the differences.
func (t *Translator) Update() Changes {
	var ch Changes
	if cs := t.snapshots.Update(); len(cs) > 0 {
		ch.Snapshots = make(map[store.Key]*xds.Snapshot, len(cs))
		for _, c := range cs {
			ch.Snapshots[c.Key] = c.Value
		}
	}
	if cs := t.fleets.Update(); len(cs) > 0 {
		ch.Fleets = make(map[store.Key]*Fleet, len(cs))
		for _, c := range cs {
			ch.Fleets[c.Key] = c.Value
		}
	}
	if cs := t.endpoints.Update(); len(cs) > 0 {
		ch.Endpoints = make(map[string]*xds.Resource, len(cs))
		for _, c := range cs {
			ch.Endpoints[c.Key.Name()] = c.Value
		}
	}
	if cs := t.reports.Update(); len(cs) > 0 {
		ch.Reports = make(map[store.Key]Report, len(cs))
		for _, c := range cs {
			ch.Reports[c.Key] = c.Value
		}
	}
	return ch
}

// Stats says how much the engine has computed and remembers.
func (t *Translator) Stats() incr.Stats { return t.db.Stats() }
