package complete

import (
	"fmt"
	"strings"

	core "k8s.io/api/core/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
)

// draft is a Gateway to be made up.
type draft struct {
	key   store.Key
	wants []want
	// sets says that a ListenerSet asks to join.
	sets bool
}

// want is what a parentRef tells of the listener it means.
type want struct {
	protocol gateway.ProtocolType
	// section and port are those of the parentRef; empty if it does not say.
	section string
	port    int32
	// fallback is the port if nothing says otherwise.
	fallback int32
}

// wantOf deduces the listener that a route needs from its kind: HTTP on port
// 80, TLS passed through on 443, connections and datagrams on the port of the
// backend. Port 443 or 8443, or a section of a name like "https", means HTTPS.
func wantOf(o store.Object, ref *gateway.ParentReference) want {
	w := want{section: string(or(ref.SectionName, "")), port: or(ref.Port, 0)}
	switch r := o.(type) {
	case *gateway.TLSRoute:
		w.protocol, w.fallback = gateway.TLSProtocolType, 443
	case *gateway.TCPRoute:
		w.protocol, w.fallback = gateway.TCPProtocolType, 9000
		if len(r.Spec.Rules) > 0 {
			w.fallback = backendPort(r.Spec.Rules[0].BackendRefs, w.fallback)
		}
	case *gateway.UDPRoute:
		w.protocol, w.fallback = gateway.UDPProtocolType, 9000
		if len(r.Spec.Rules) > 0 {
			w.fallback = backendPort(r.Spec.Rules[0].BackendRefs, w.fallback)
		}
	default:
		w.protocol, w.fallback = gateway.HTTPProtocolType, 80
		if w.port == 443 || w.port == 8443 || w.port == 0 && strings.Contains(strings.ToLower(w.section), "https") {
			w.protocol, w.fallback = gateway.HTTPSProtocolType, 443
		}
	}
	return w
}

func backendPort(refs []gateway.BackendRef, none int32) int32 {
	for i := range refs {
		if p := refs[i].Port; p != nil {
			return *p
		}
	}
	return none
}

// listeners makes the listeners that were asked for: one for each section name,
// and otherwise one for each protocol and port. certificate is for HTTPS; where
// there is none, HTTP is served instead.
func (d *draft) listeners(certificate string) []gateway.Listener {
	ls := &listenerList{}
	for _, named := range []bool{true, false} { // names first: others may do with those
		for _, w := range d.wants {
			if (w.section != "") != named {
				continue
			}
			if w.protocol == gateway.HTTPSProtocolType && certificate == "" {
				w.protocol = gateway.HTTPProtocolType
				if w.port == 0 {
					w.fallback = 80
				}
			}
			if !ls.serves(w) {
				ls.add(w, certificate)
			}
		}
	}
	return ls.list
}

type listenerList struct{ list []gateway.Listener }

// serves says whether a listener is there that the want can mean.
func (ls *listenerList) serves(w want) bool {
	for i := range ls.list {
		l := &ls.list[i]
		switch {
		case w.section != "" && string(l.Name) == w.section:
			return true // a listener that does not fit is for the translator to judge
		case w.section == "" && l.Protocol == w.protocol && (w.port == 0 && !connections(w.protocol) || l.Port == w.wanted()):
			return true
		}
	}
	return false
}

// connections are told apart by nothing but their port.
func connections(p gateway.ProtocolType) bool {
	return p == gateway.TCPProtocolType || p == gateway.UDPProtocolType
}

func (w want) wanted() int32 {
	if w.port != 0 {
		return w.port
	}
	return w.fallback
}

func (ls *listenerList) add(w want, certificate string) {
	port := w.wanted()
	for w.port == 0 && ls.taken(port, w.protocol) && port < 65535 {
		port++
	}
	name := w.section
	if name == "" {
		name = strings.ToLower(string(w.protocol))
		if connections(w.protocol) || ls.named(name) {
			name = fmt.Sprintf("%s-%d", name, port)
		}
	}
	all := gateway.NamespacesFromAll
	l := gateway.Listener{
		Name:          gateway.SectionName(name),
		Protocol:      w.protocol,
		Port:          port,
		AllowedRoutes: &gateway.AllowedRoutes{Namespaces: &gateway.RouteNamespaces{From: &all}},
	}
	switch w.protocol {
	case gateway.TLSProtocolType:
		mode := gateway.TLSModePassthrough
		l.TLS = &gateway.ListenerTLSConfig{Mode: &mode}
	case gateway.HTTPSProtocolType:
		mode := gateway.TLSModeTerminate
		l.TLS = &gateway.ListenerTLSConfig{Mode: &mode, CertificateRefs: []gateway.SecretObjectReference{{Name: gateway.ObjectName(certificate)}}}
	}
	ls.list = append(ls.list, l)
}

// taken says whether a port of the protocol's transport is in use.
func (ls *listenerList) taken(port int32, p gateway.ProtocolType) bool {
	for i := range ls.list {
		l := &ls.list[i]
		if l.Port == port && (l.Protocol == gateway.UDPProtocolType) == (p == gateway.UDPProtocolType) {
			return true
		}
	}
	return false
}

func (ls *listenerList) named(name string) bool {
	for i := range ls.list {
		if string(ls.list[i].Name) == name {
			return true
		}
	}
	return false
}

// certificate is the first TLS Secret of a namespace by name; empty if there is
// none.
func (c *completion) certificate(namespace string) string {
	name := ""
	for _, o := range c.objects {
		if s, ok := o.(*core.Secret); ok && s.Namespace == namespace && s.Type == core.SecretTypeTLS && (name == "" || s.Name < name) {
			name = s.Name
		}
	}
	return name
}
