// Package xds serves Envoy its configuration: a cache of what each Gateway's
// proxies are to run, and a delta ADS server that brings them there without a
// moment in which a request could fail.
//
// # Why not the snapshot cache of go-control-plane
//
// Its wire types and generated service are used here; its cache and its stream
// handler are not, for three reasons. It marshals and hashes every resource of
// every new snapshot, so that a change costs what the whole configuration
// costs; here a resource arrives encoded and hashed, and is shared by all
// snapshots and streams. It answers each type by itself, while the order
// between types is what keeps requests alive. And it has no notion of what a
// proxy has acknowledged, on which both the order and the reports rest.
//
// # State
//
//	            Update (one goroutine)
//	               │  diff old/new once a gateway: names that changed
//	               ▼
//	Server ── gateway A: snapshot ── stream, stream, …     names go to inboxes;
//	       ── gateway B: snapshot ── stream                each stream looks up
//	       ── assignments, and which gateways name them    the newest by name
//
// An inbox holds names, never values, and is a set: however slow a proxy is,
// what waits for it is bounded by the size of its configuration, and what it
// gets next is the newest state. A changed endpoint costs a look-up of the
// gateways that name its assignment and one name an inbox; nothing else of a
// snapshot is touched.
//
// A stream is one goroutine around a machine without locks (stream.go). For
// each type, a subscription (subscription.go) remembers by name what the proxy
// holds, what is on its way, and what it refused. A type has one response in
// flight; whatever moves meanwhile is sent, as a difference, after its
// acknowledgement. There is one exception: Envoy withholds the acknowledgement
// of clusters while any of them is warming, so that one that cannot warm would
// hold up all later ones. After a tenth of the warm timeout another response
// of clusters may follow, up to maxFlight.
//
// # Make before break
//
//	make   1  clusters     added, changed
//	       2  assignments  subscribed, changed; again for each changed cluster,
//	                       because Envoy warms that anew without asking again
//	          secrets      subscribed, changed
//	       3  listeners    added, changed: not those that refer to a cold cluster;
//	                       removed, once none of the former is held back, so that
//	                       an address passes from one listener to another in
//	                       one response
//	       4  routes       added, changed: not those that refer to a cold cluster
//	break  5  routes       removed, when listeners are settled
//	       6  clusters     removed, when listeners and routes are settled and
//	                       nothing that the proxy still runs refers to them
//	       7  assignments, secrets   removed, when 6 is done and the proxy has
//	                       not unsubscribed by itself, as Envoy does
//
// A cluster is cold from its appearance until the proxy has acknowledged both
// it and its assignment. Only what refers to a cold cluster waits; a cluster
// that was refused is not waited for, and none is longer than the warm
// timeout. References are found in the encoded bytes (refs.go), so that any
// field of any filter counts without a list of them.
//
// Settled means: all sent and all answered. What a proxy "still runs" beyond
// that is the last good version of a refused listener or route configuration,
// and a removed route configuration to which it is still subscribed: Envoy is
// so until the listener that used it has drained, and keep-alive connections
// on it are routed by the old table until then. Clusters that a listener names
// itself outlive its replacement by the drain time.
//
// A proxy that reconnects between a changed cluster and its assignment, and
// says that it has both, gets neither: Envoy then falls back on the assignment
// that it has kept, after its own timeout.
//
// Pure endpoint changes pass through 2 alone.
//
// # Refusals
//
// Envoy applies the good part of a response of clusters or listeners and names
// the bad ("Error adding/updating cluster(s) …"). In every other case (a
// message that does not decode or validate, or the other types, which stop at
// the first error) nothing is certain about any resource of the response, so
// they are sent again in halves until a refused response holds a single
// resource. That one is refused: it is reported, and not sent again until it
// changes. So a bad resource costs its neighbours some round trips, and
// nothing more. Envoy keeps running the last good version.
//
// # Names nobody has
//
// A name that is subscribed to but absent from the proxy's own snapshot is
// answered in removed_resources, whether it does not exist or belongs to
// another gateway: the two look the same to the asker. Envoy takes this for an
// assignment as "warm without hosts". It does not drop hosts for it, so that
// a Service that lost its last endpoint must have an empty assignment, not
// none. Envoy ignores removals of routes and secrets while it uses them.
//
// A gateway without a snapshot so far gets no answer at all: a controller that
// has just started must not tell a running proxy that its configuration is
// gone.
//
// Nor is a proxy told so whose gateway was deleted. It is about to end, and drains
// with what it has: its listeners, and the one for probes most of all. The snapshot
// goes with the last proxy.
package xds
