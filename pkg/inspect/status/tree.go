package status

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Node is a line of a tree, and what hangs on it.
type Node struct {
	// Label is what it is, Info a few words about it.
	Label, Info string
	// Issues are its own; Verdict is the worst of it and of what hangs on it.
	Issues   []Issue
	Verdict  Verdict
	Children []*Node
	// Remarks are as those of a [Row].
	Remarks []Issue
}

func (n *Node) add(child *Node) *Node {
	n.Children = append(n.Children, child)
	return child
}

// settle computes the verdicts.
func (n *Node) settle() Verdict {
	n.Verdict = worst(n.Issues)
	for _, c := range n.Children {
		n.Verdict = max(n.Verdict, c.settle())
	}
	return n.Verdict
}

// Endpoints are how many of a Service there are.
type Endpoints struct{ Ready, Total int }

// TreeOptions say what a tree is made of.
type TreeOptions struct {
	// Namespace and Names choose the Gateways; empty: all. The routes are those of these
	// Gateways, wherever they are.
	Namespace string
	Names     []string
	// Endpoints are those of the Services, by "namespace/name": of all, or of those in
	// the namespace Within.
	Endpoints map[string]Endpoints
	Within    string
	// NoEndpoints says that endpoints could not be read.
	NoEndpoints bool
	// Gone are parents and Services that do not exist.
	Gone Gone
	// Stuck are Gateways whose proxies do not run.
	Stuck Stuck
}

// NewTree hangs classes, Gateways, listeners, routes and backends on each other.
func NewTree(w *World, o TreeOptions) []*Node {
	t := &tree{TreeOptions: o, routes: map[string][]attachment{}, sets: map[string][]*Object{}, backends: map[string]*Object{}}
	var classes, gateways []*Object
	for i, r := range w.Resources {
		for _, ob := range w.Objects[i] {
			switch {
			case r.Family == Class:
				classes = append(classes, ob)
			case r.Family == Gateway:
				gateways = append(gateways, ob)
			case r.Family == ListenerSet && ob.Spec.ParentRef != nil:
				key := ob.Spec.ParentRef.key("Gateway", ob.Metadata.Namespace)
				t.sets[key] = append(t.sets[key], ob)
			case r.Family == Route:
				t.route(r, ob)
			case r.Group == ExtensionGroup && r.Kind == "Backend":
				t.backends[ob.id()] = ob
			}
		}
	}
	return t.build(classes, gateways)
}

type tree struct {
	TreeOptions
	routes   map[string][]attachment // by parent
	sets     map[string][]*Object    // by Gateway
	backends map[string]*Object
}

// attachment is a route with one of its parentRefs.
type attachment struct {
	resource Resource
	route    *Object
	ref      Ref
	accepted bool
}

// key is the object that is referred to.
func (r Ref) key(kind, namespace string) string {
	return or(r.Kind, kind) + "/" + or(r.Namespace, namespace) + "/" + r.Name
}

func (t *tree) route(r Resource, ob *Object) {
	for _, ref := range ob.Spec.ParentRefs {
		a := attachment{resource: r, route: ob, ref: ref}
		for i := range ob.Status.Parents {
			if p := &ob.Status.Parents[i]; p.ref().same(ref, "Gateway", ob.Metadata.Namespace) {
				c := find(p.Conditions, "Accepted")
				a.accepted = c != nil && c.Status == "True"
			}
		}
		key := ref.key("Gateway", ob.Metadata.Namespace)
		t.routes[key] = append(t.routes[key], a)
	}
}

func (t *tree) build(classes, gateways []*Object) []*Node {
	slices.SortFunc(classes, compareObjects)
	slices.SortFunc(gateways, compareObjects)
	all := t.Namespace == "" && len(t.Names) == 0
	var roots []*Node
	byClass := map[string]*Node{}
	for _, c := range classes {
		byClass[c.Metadata.Name] = &Node{Label: "gatewayclass/" + c.Metadata.Name, Info: c.Spec.ControllerName, Issues: review(Class, c, nil), Remarks: remarks(c)}
		if all {
			roots = append(roots, byClass[c.Metadata.Name])
		}
	}
	for _, g := range gateways {
		if t.Namespace != "" && g.Metadata.Namespace != t.Namespace || len(t.Names) > 0 && !slices.Contains(t.Names, g.Metadata.Name) {
			continue
		}
		class := byClass[g.Spec.GatewayClassName]
		if class == nil {
			class = &Node{Label: "gatewayclass/" + g.Spec.GatewayClassName, Issues: []Issue{missingIssue("", "GatewayClass", "", g.Spec.GatewayClassName)}}
			byClass[g.Spec.GatewayClassName] = class
		}
		if !slices.Contains(roots, class) {
			roots = append(roots, class)
		}
		class.add(t.gateway(g))
	}
	roots = append(roots, t.lost()...)
	for _, r := range roots {
		r.settle()
	}
	return roots
}

// lost are the parents that do not exist, with what wants to be on them: those that were
// asked for, and those of what is in the namespace that was.
func (t *tree) lost() []*Node {
	var nodes []*Node
	for _, key := range slices.Sorted(maps.Keys(t.Gone)) {
		kind, id, _ := strings.Cut(key, "/") // that of a Service has nothing on it
		namespace, name, _ := strings.Cut(id, "/")
		if len(t.Names) > 0 && !slices.Contains(t.Names, name) {
			continue
		}
		wanted := t.Namespace == "" || namespace == t.Namespace
		n := &Node{Label: strings.ToLower(kind) + "/" + id, Issues: []Issue{missingIssue("", kind, namespace, name)}}
		sets := t.sets[key]
		slices.SortFunc(sets, compareObjects)
		for _, s := range sets {
			wanted = wanted || s.Metadata.Namespace == t.Namespace
			t.listeners(n.add(&Node{Label: "listenerset/" + s.id()}), s, s.Kind)
		}
		routes := t.routes[key]
		slices.SortStableFunc(routes, func(a, b attachment) int { return compareObjects(a.route, b.route) })
		for _, a := range routes {
			wanted = wanted || a.route.Metadata.Namespace == t.Namespace
			n.add(t.routeNode(a))
		}
		if wanted && len(n.Children) > 0 {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (t *tree) gateway(g *Object) *Node {
	var addresses []string
	for _, a := range g.Status.Addresses {
		addresses = append(addresses, a.Value)
	}
	n := &Node{Label: "gateway/" + g.id(), Info: some(addresses, 3)}
	if len(addresses) == 0 {
		n.Info = "no address"
	}
	t.listeners(n, g, "Gateway")
	n.Issues = append(n.Issues, t.Stuck[g.id()]...)
	sets := t.sets["Gateway/"+g.id()]
	slices.SortFunc(sets, compareObjects)
	for _, s := range sets {
		child := n.add(&Node{Label: "listenerset/" + s.id()})
		t.listeners(child, s, s.Kind)
	}
	return n
}

// listeners adds those of a Gateway or ListenerSet, and the routes that want to be
// there and are not.
func (t *tree) listeners(n *Node, owner *Object, kind string) {
	split := func(all []Issue) (own []Issue, of map[string][]Issue) {
		of = map[string][]Issue{}
		for _, i := range all {
			name, listener := strings.CutPrefix(i.On, "listener ")
			if i.On = ""; listener {
				of[name] = append(of[name], i)
			} else {
				own = append(own, i)
			}
		}
		return own, of
	}
	var of, remarksOf map[string][]Issue
	n.Issues, of = split(review(Gateway, owner, nil))
	n.Remarks, remarksOf = split(remarks(owner))
	routes := t.routes[or(kind, "ListenerSet")+"/"+owner.id()]
	slices.SortStableFunc(routes, func(a, b attachment) int { return compareObjects(a.route, b.route) })
	placed := make([]bool, len(routes))
	for i := range owner.Spec.Listeners {
		l := &owner.Spec.Listeners[i]
		info := l.Protocol + " :" + strconv.Itoa(int(l.Port))
		if l.Hostname != "" {
			info += " " + l.Hostname
		}
		node := n.add(&Node{Label: "listener " + l.Name, Info: info, Issues: of[l.Name], Remarks: remarksOf[l.Name]})
		for j, a := range routes {
			if a.accepted && a.takes(l, owner) {
				placed[j] = true
				node.add(t.routeNode(a))
			}
		}
	}
	for j, a := range routes {
		if !placed[j] {
			n.add(t.routeNode(a))
		}
	}
}

// takes says whether an accepted route is on a listener. The status says on which Gateway a
// route is; on which of its listeners follows from what the two say.
func (a attachment) takes(l *Listener, owner *Object) bool {
	if a.ref.SectionName != "" && a.ref.SectionName != l.Name || a.ref.Port != 0 && a.ref.Port != l.Port {
		return false
	}
	if !slices.Contains(kindsOf(l.Protocol), a.resource.Kind) {
		return false
	}
	if ns := l.AllowedRoutes; ns == nil || ns.Namespaces == nil || or(ns.Namespaces.From, "Same") == "Same" {
		if a.route.Metadata.Namespace != owner.Metadata.Namespace {
			return false
		}
	}
	if l.Hostname == "" || len(a.route.Spec.Hostnames) == 0 {
		return true
	}
	return slices.ContainsFunc(a.route.Spec.Hostnames, func(h string) bool { return intersect(h, l.Hostname) })
}

func kindsOf(protocol string) []string {
	switch protocol {
	case "HTTP", "HTTPS":
		return []string{"HTTPRoute", "GRPCRoute"}
	case "TLS":
		return []string{"TLSRoute", "TCPRoute"}
	default:
		return []string{protocol + "Route"}
	}
}

func intersect(a, b string) bool {
	within := func(host, pattern string) bool {
		suffix, wild := strings.CutPrefix(pattern, "*")
		return wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix)
	}
	return a == b || within(a, b) || within(b, a)
}

func (t *tree) routeNode(a attachment) *Node {
	n := &Node{Label: a.resource.Name() + "/" + a.route.id(), Info: some(a.route.Spec.Hostnames, 3)}
	if len(a.route.Spec.Hostnames) == 0 {
		n.Info = ""
	}
	on := a.ref.text("Gateway", a.route.Metadata.Namespace)
	for _, i := range review(Route, a.route, t.Gone) {
		if i.On == on && i.Type != existence { // the node above says that
			i.On = ""
			n.Issues = append(n.Issues, i)
		}
	}
	for _, i := range remarks(a.route) {
		if i.On == on {
			i.On = ""
			n.Remarks = append(n.Remarks, i)
		}
	}
	seen := map[string]bool{}
	for _, r := range a.route.Spec.Rules {
		for _, b := range r.BackendRefs {
			if key := b.text("Service", ""); !seen[key] {
				seen[key] = true
				n.add(t.backend(b, a.route.Metadata.Namespace))
			}
		}
	}
	return n
}

func (t *tree) backend(b Ref, namespace string) *Node {
	b.Namespace = or(b.Namespace, namespace)
	n := &Node{Label: b.text("Service", "")}
	unused := b.Weight != nil && *b.Weight == 0
	if unused {
		n.Info = "weight 0"
	}
	key := b.Namespace + "/" + b.Name
	switch or(b.Kind, "Service") {
	case "Service":
		if t.Gone["Service/"+key] {
			n.Issues = append(n.Issues, missingIssue("", "Service", b.Namespace, b.Name))
			break
		}
		if t.NoEndpoints || t.Within != "" && b.Namespace != t.Within {
			break
		}
		e, there := t.Endpoints[key]
		n.Info = strings.TrimSpace(n.Info + " " + strconv.Itoa(e.Ready) + "/" + strconv.Itoa(e.Total) + " ready")
		if e.Ready == 0 && !unused { // one without requests may well be scaled to zero
			n.Issues = append(n.Issues, idleIssue("", there))
		}
	case "Backend":
		if ob := t.backends[key]; ob != nil {
			n.Issues, n.Remarks = review(Other, ob, nil), remarks(ob)
		}
	}
	return n
}
