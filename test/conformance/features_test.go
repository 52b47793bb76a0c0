package conformance

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/internal/testcert"
	"github.com/egctl/egctl/test/cluster"
	"github.com/egctl/egctl/test/e2e/suite"
)

// features are those of the Gateway API v1.7.0 for which the official suite has no
// test. They are of the experimental channel, but not all need a field of its CRDs.
var features = []struct {
	name     string
	standard bool
	test     func(t *testing.T, s *suite.Suite)
}{
	{"GatewayListenerFilters", false, listenerFilters},
	{"GatewayAddressRoutabilityCluster", false, addressRoutability},
	{"ClusterTrustBundle", true, clusterTrustBundle},
}

// untested runs the tests of features that the suite has none for; chosen is a
// pattern, empty for all.
func untested(t *testing.T, s *suite.Suite, channel, chosen string) {
	pattern, err := regexp.Compile(chosen)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range features {
		if !pattern.MatchString(f.name) || channel == "standard" && !f.standard {
			continue
		}
		passed := t.Run(f.name, func(t *testing.T) { f.test(t, s) })
		fmt.Println(map[bool]string{true: "passed", false: "FAILED"}[passed], f.name, "(a test of egctl's own)")
	}
}

// listenerFilters has a listener ask before it lets a request through, and its
// neighbours ask somebody else or nobody.
func listenerFilters(t *testing.T, s *suite.Suite) {
	namespace := s.Namespace(t)
	s.Apply(t, namespace, suite.EchoManifest("backend", 1)+`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: `+class+`
  listeners:
  - {name: open, protocol: HTTP, port: 80}
  - name: allowed
    protocol: HTTP
    port: 8081
    filters: {requests: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: backend, port: 80}, http: {path: /allowed}}}]}
  - name: denied
    protocol: HTTP
    port: 8082
    filters: {requests: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: backend, port: 80}, http: {path: /status/401}}}]}
---
`+suite.RouteManifest("web", "eg", "www.example.com", "backend"))
	address := s.Programmed(t, namespace, "eg")
	s.Answers(t, time.Minute, address+":80", "www.example.com", "/", http.StatusOK)
	s.Answers(t, time.Minute, address+":8081", "www.example.com", "/", http.StatusOK)
	// The echo server is asked for /status/401/, which it calls a bad request.
	s.Answers(t, time.Minute, address+":8082", "www.example.com", "/", http.StatusBadRequest)
}

// addressRoutability asks for an address that only the cluster reaches.
func addressRoutability(t *testing.T, s *suite.Suite) {
	namespace := s.Namespace(t)
	s.Apply(t, namespace, suite.EchoManifest("backend", 1)+suite.GatewayManifest("eg", class, "  addresses: [{type: IPAddress, routability: Cluster}]")+
		suite.RouteManifest("web", "eg", "www.example.com", "backend"))
	g := s.GatewayIs(t, namespace, "eg", gatewayv1.GatewayConditionProgrammed, metav1.ConditionTrue)
	if len(g.Status.Addresses) != 1 || ptr.Deref(g.Status.Addresses[0].Routability, "") != gatewayv1.GatewayAddressRoutabilityCluster {
		t.Fatalf("addresses are %+v", g.Status.Addresses)
	}
	_, services, err := net.ParseCIDR("10.96.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	address := g.Status.Addresses[0].Value
	if !services.Contains(net.ParseIP(address)) {
		t.Errorf("%s is no address of a Service in the cluster", address)
	}
	s.Answers(t, time.Minute, address+":80", "www.example.com", "/", http.StatusOK)
}

// clusterTrustBundle has a Gateway trust clients, and backends, that a
// ClusterTrustBundle vouches for.
func clusterTrustBundle(t *testing.T, s *suite.Suite) {
	namespace := s.Namespace(t)
	trusted, stranger := testcert.Authority("test authority"), testcert.Authority("test authority")
	bundle := func(name string, a *testcert.Pair) string {
		return fmt.Sprintf(`
apiVersion: certificates.k8s.io/v1
kind: ClusterTrustBundle
metadata: {name: %s}
spec:
  trustBundle: |
%s
---
`, name, "    "+strings.ReplaceAll(strings.TrimSpace(string(a.Certificate)), "\n", "\n    "))
	}
	clients, backends, others := suite.Unique("clients"), suite.Unique("backends"), suite.Unique("others")
	s.Apply(t, namespace, bundle(clients, trusted)+bundle(backends, trusted)+bundle(others, stranger)+
		secret("gateway", trusted.Issue("www.example.com"))+secret("backend", trusted.Issue("backend.example.com"))+
		fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: %s
  tls: {frontend: {default: {validation: {caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: %s}]}}}}
  listeners: [{name: https, protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: gateway}]}}]
---
`, class, clients)+tlsEcho("trusted")+suite.RouteManifest("trusted", "eg", "trusted.example.com", "trusted")+validate("trusted", backends)+
		tlsEcho("strange")+suite.RouteManifest("strange", "eg", "strange.example.com", "strange")+validate("strange", others))
	address := s.Programmed(t, namespace, "eg") + ":443"

	ask := func(host string, client *tls.Certificate) (int, error) {
		c := tls.Config{RootCAs: trusted.Pool(), ServerName: "www.example.com", MinVersion: tls.VersionTLS12}
		if client != nil {
			c.Certificates = []tls.Certificate{*client}
		}
		tr := &http.Transport{DialContext: s.Cluster.DialContext, TLSClientConfig: &c, DisableKeepAlives: true}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", nil)
		if err != nil {
			return 0, err
		}
		req.Host = host
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	status := func(host string, client *tls.Certificate, want int) {
		t.Helper()
		suite.Eventually(t, time.Minute, fmt.Sprintf("%d for %s", want, host), func(context.Context) error {
			got, err := ask(host, client)
			if err == nil && got != want {
				err = fmt.Errorf("status %d", got)
			}
			return err
		})
	}
	known, unknown := trusted.Issue("client").TLS(), stranger.Issue("client").TLS()
	status("trusted.example.com", &known, http.StatusOK)
	// Envoy answers for a backend whose certificate it does not accept.
	status("strange.example.com", &known, http.StatusServiceUnavailable)
	var refused *net.OpError
	for what, client := range map[string]*tls.Certificate{"without a certificate": nil, "with one of another authority": &unknown} {
		if got, err := ask("trusted.example.com", client); err == nil || !errors.As(err, &refused) {
			t.Errorf("a client %s got status %d, error %v; want an alert", what, got, err)
		}
	}
}

// tlsEcho is an echo server that speaks TLS with the Secret backend.
func tlsEcho(name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %[1]s, labels: {app: %[1]s}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: echo
    image: %[2]s
    env:
    - {name: POD_NAME, value: %[1]s}
    - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: TLS_SERVER_CERT, value: /certificate/tls.crt}
    - {name: TLS_SERVER_PRIVKEY, value: /certificate/tls.key}
    volumeMounts: [{name: certificate, mountPath: /certificate}]
    readinessProbe: {tcpSocket: {port: 8443}, periodSeconds: 1}
  volumes: [{name: certificate, secret: {secretName: backend}}]
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {app: %[1]s}
  ports: [{name: https, port: 80, targetPort: 8443}]
---
`, name, cluster.EchoImage)
}

// validate has the proxies of all Gateways believe a Service if a bundle vouches
// for it.
func validate(service, bundle string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: %[1]s}
spec:
  targetRefs: [{group: "", kind: Service, name: %[1]s}]
  validation:
    hostname: backend.example.com
    caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: %[2]s}]
---
`, service, bundle)
}

func secret(name string, p *testcert.Pair) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: %s}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
---
`, name, base64.StdEncoding.EncodeToString(p.Certificate), base64.StdEncoding.EncodeToString(p.Key))
}
