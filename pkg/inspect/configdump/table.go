package configdump

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"

	"github.com/egctl/egctl/pkg/translate/xds"
)

// httpOptions is the key of a cluster's HTTP settings.
const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

var headings = map[Type][]string{
	Endpoint: {"ENDPOINTS OF", "ADDRESS", "ZONE", "HEALTH"},
	Cluster:  {"CLUSTER", "TYPE", "PROTOCOL", "TLS", "ENDPOINTS"},
	Listener: {"LISTENER", "ADDRESS", "PORT", "TRANSPORT", "CHAINS"},
	Route:    {"ROUTES", "HOST", "MATCH", "DESTINATION"},
	Secret:   {"SECRET", "HOLDS"},
}

// Table writes one table a part, for people. The bootstrap has none.
func Table(out io.Writer, t Type, dumps ...*Dump) error {
	w := bufio.NewWriter(out)
	first := true
	for _, d := range dumps {
		for _, part := range []Type{Listener, Route, Cluster, Endpoint, Secret} {
			if t != All && t != part {
				continue
			}
			rows, err := d.rows(part)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				continue
			}
			if !first {
				w.WriteByte('\n')
			}
			first = false
			head := headings[part]
			if len(dumps) > 1 {
				head = append([]string{"GATEWAY"}, head...)
				for i := range rows {
					rows[i] = append([]string{d.Gateway}, rows[i]...)
				}
			}
			if err := WriteTable(w, head, rows); err != nil {
				return err
			}
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// WriteTable writes rows in columns three spaces apart, as kubectl does.
func WriteTable(w io.Writer, head []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		if _, err := fmt.Fprintln(tw, strings.Join(row, "\t")); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (d *Dump) rows(t Type) ([][]string, error) {
	counts := map[string]int{}
	for _, r := range d.Endpoints {
		n, err := endpointCount(r)
		if err != nil {
			return nil, err
		}
		counts[r.Name] = n
	}
	var rows [][]string
	for _, r := range d.resources(t) {
		m, _, err := message(r)
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *listener.Listener:
			rows = append(rows, listenerRow(m))
		case *route.RouteConfiguration:
			rows = append(rows, routeRows(m)...)
		case *cluster.Cluster:
			rows = append(rows, clusterRow(m, counts))
		case *endpoint.ClusterLoadAssignment:
			rows = append(rows, endpointRows(m)...)
		case *tls.Secret:
			rows = append(rows, []string{m.Name, secretKind(m)})
		}
	}
	return rows, nil
}

func endpointCount(r *xds.Resource) (int, error) {
	var a endpoint.ClusterLoadAssignment
	if err := proto.Unmarshal(r.Body, &a); err != nil {
		return 0, fmt.Errorf("read endpoints %q: %w", r.Name, err)
	}
	n := 0
	for _, l := range a.Endpoints {
		n += len(l.LbEndpoints)
	}
	return n, nil
}

func listenerRow(l *listener.Listener) []string {
	a := l.GetAddress().GetSocketAddress()
	var chains []string
	all := l.FilterChains
	if l.DefaultFilterChain != nil {
		all = append(slices.Clone(all), l.DefaultFilterChain)
	}
	for _, c := range all {
		s := c.Name
		if names := c.GetFilterChainMatch().GetServerNames(); len(names) > 0 {
			s += " (" + strings.Join(names, ",") + ")"
		}
		chains = append(chains, s)
	}
	if len(chains) == 0 {
		for _, f := range l.ListenerFilters { // datagrams know no chains
			chains = append(chains, f.Name)
		}
	}
	return []string{l.Name, a.GetAddress(), strconv.Itoa(int(a.GetPortValue())), a.GetProtocol().String(), dash(strings.Join(chains, ", "))}
}

func routeRows(t *route.RouteConfiguration) [][]string {
	var rows [][]string
	for _, vh := range t.VirtualHosts {
		hosts := strings.Join(vh.Domains, ",")
		if len(vh.Routes) == 0 {
			rows = append(rows, []string{t.Name, hosts, "-", "404"})
		}
		for _, r := range vh.Routes {
			rows = append(rows, []string{t.Name, hosts, matchText(r.Match), actionText(r)})
		}
	}
	return rows
}

func matchText(m *route.RouteMatch) string {
	var parts []string
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		parts = append(parts, p.Prefix+"*")
	case *route.RouteMatch_PathSeparatedPrefix:
		parts = append(parts, p.PathSeparatedPrefix+"/*")
	case *route.RouteMatch_Path:
		parts = append(parts, p.Path)
	case *route.RouteMatch_SafeRegex:
		parts = append(parts, "~"+p.SafeRegex.GetRegex())
	case *route.RouteMatch_ConnectMatcher_:
		parts = append(parts, "CONNECT")
	}
	for _, h := range m.GetHeaders() {
		value := h.GetStringMatch()
		text := cmp.Or(value.GetExact(), value.GetSafeRegex().GetRegex(), "*")
		if h.Name == ":method" {
			parts = append([]string{text}, parts...)
		} else {
			parts = append(parts, h.Name+"="+text)
		}
	}
	for _, q := range m.GetQueryParameters() {
		value := q.GetStringMatch()
		parts = append(parts, "?"+q.Name+"="+cmp.Or(value.GetExact(), value.GetSafeRegex().GetRegex(), "*"))
	}
	return dash(strings.Join(parts, " "))
}

func actionText(r *route.Route) string {
	switch a := r.Action.(type) {
	case *route.Route_DirectResponse:
		return strconv.Itoa(int(a.DirectResponse.Status))
	case *route.Route_Redirect:
		return "redirect"
	case *route.Route_Route:
		if c := a.Route.GetCluster(); c != "" {
			return c
		}
		var parts []string
		for _, c := range a.Route.GetWeightedClusters().GetClusters() {
			parts = append(parts, fmt.Sprintf("%s (%d)", c.Name, c.GetWeight().GetValue()))
		}
		return dash(strings.Join(parts, ", "))
	default:
		return "-"
	}
}

func clusterRow(c *cluster.Cluster, endpoints map[string]int) []string {
	n, ok := endpoints[cmp.Or(c.GetEdsClusterConfig().GetServiceName(), c.Name)]
	count := "-"
	if ok {
		count = strconv.Itoa(n)
	}
	secured := "no"
	if c.TransportSocket != nil || len(c.TransportSocketMatches) > 0 {
		secured = "yes"
	}
	return []string{c.Name, c.GetType().String(), clusterProtocol(c), secured, count}
}

func clusterProtocol(c *cluster.Cluster) string {
	packed := c.TypedExtensionProtocolOptions[httpOptions]
	if packed == nil {
		return "-"
	}
	var o upstream.HttpProtocolOptions
	if packed.UnmarshalTo(&o) != nil {
		return "?"
	}
	switch p := o.UpstreamProtocolOptions.(type) {
	case *upstream.HttpProtocolOptions_ExplicitHttpConfig_:
		if p.ExplicitHttpConfig.GetHttp2ProtocolOptions() != nil {
			return "HTTP/2"
		}
		return "HTTP/1.1"
	case *upstream.HttpProtocolOptions_AutoConfig:
		return "ALPN"
	case *upstream.HttpProtocolOptions_UseDownstreamProtocolConfig:
		return "as client"
	default:
		return "-"
	}
}

func endpointRows(a *endpoint.ClusterLoadAssignment) [][]string {
	var rows [][]string
	for _, l := range a.Endpoints {
		for _, e := range l.LbEndpoints {
			s := e.GetEndpoint().GetAddress().GetSocketAddress()
			rows = append(rows, []string{
				a.ClusterName, fmt.Sprintf("%s:%d", bracket(s.GetAddress()), s.GetPortValue()), dash(l.GetLocality().GetZone()), health(e.HealthStatus),
			})
		}
	}
	if len(rows) == 0 {
		rows = append(rows, []string{a.ClusterName, "-", "-", "-"})
	}
	return rows
}

func health(s core.HealthStatus) string {
	if s == core.HealthStatus_UNKNOWN {
		return "ready"
	}
	return strings.ToLower(s.String())
}

func bracket(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}

func secretKind(s *tls.Secret) string {
	switch s.Type.(type) {
	case *tls.Secret_TlsCertificate:
		return "certificate and private key"
	case *tls.Secret_ValidationContext:
		return "trusted CA certificates"
	case *tls.Secret_SessionTicketKeys:
		return "session ticket keys"
	default:
		return "secret"
	}
}

func dash(s string) string { return cmp.Or(s, "-") }
