package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
)

func TestURI(t *testing.T) {
	for fleet, want := range map[string]string{
		"default/eg":   "spiffe://cluster.local/gateway/default/eg",
		"eg":           "spiffe://cluster.local/gatewayclass/eg",
		"a.b-c/d.e":    "spiffe://cluster.local/gateway/a.b-c/d.e",
		"":             "",
		"default/":     "",
		"/eg":          "",
		"a/b/c":        "",
		"a/../b":       "",
		"de fault/eg":  "",
		"default/eg?x": "",
		"Default/eg":   "",
	} {
		u, err := URI("cluster.local", fleet)
		if want == "" {
			if err == nil {
				t.Errorf("%q is a fleet: %s", fleet, u)
			}
			continue
		}
		if err != nil || u.String() != want {
			t.Errorf("%q: got %v, %v, want %s", fleet, u, err, want)
			continue
		}
		if back, err := Fleet("cluster.local", u); err != nil || back != fleet {
			t.Errorf("%s: got %q, %v", u, back, err)
		}
	}
}

func TestURIsThatAreNoIdentity(t *testing.T) {
	for _, text := range []string{
		"spiffe://other.domain/gateway/default/eg",
		"spiffe://cluster.local.evil/gateway/default/eg",
		"https://cluster.local/gateway/default/eg",
		"spiffe://user@cluster.local/gateway/default/eg",
		"spiffe://cluster.local:80/gateway/default/eg",
		"spiffe://cluster.local/gateway/default/eg?x=y",
		"spiffe://cluster.local/gateway/default/eg#x",
		"spiffe://cluster.local/gateway/default/eg/",
		"spiffe://cluster.local/gateway/default%2feg",
		"spiffe://cluster.local/gateway/default/%65g",
		"spiffe://cluster.local/gatewayclass/default%2feg",
		"spiffe://cluster.local/gatewayclass/a/b",
		"spiffe://cluster.local/gateway/eg",
		"spiffe://cluster.local/gateway//eg",
		"spiffe://cluster.local/ns/default/sa/eg",
		"spiffe://cluster.local",
		"spiffe:cluster.local/gateway/default/eg",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if fleet, err := Fleet("cluster.local", u); err == nil {
			t.Errorf("%s is %q", text, fleet)
		}
	}
	if fleet, err := Fleet("", &url.URL{Scheme: "spiffe", Path: "/gateway/default/eg"}); err == nil {
		t.Errorf("without a domain: %q", fleet)
	}
}

func TestCertificates(t *testing.T) {
	identify := Certificates("cluster.local")
	with := func(p *peer.Peer) (string, error) {
		ctx := context.Background()
		if p != nil {
			p.Addr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
			ctx = peer.NewContext(ctx, p)
		}
		return identify(ctx, &corev3.Node{Id: "default/other", Cluster: "default/other"})
	}
	leaf := func(uris ...string) *x509.Certificate {
		c := &x509.Certificate{SerialNumber: big.NewInt(77)}
		for _, text := range uris {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
		return c
	}
	verified := func(c *x509.Certificate) *peer.Peer {
		return &peer.Peer{AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{c}}}}}
	}
	const good = "spiffe://cluster.local/gateway/default/eg"
	if fleet, err := with(verified(leaf(good))); err != nil || fleet != "default/eg" {
		t.Errorf("got %q, %v", fleet, err)
	}
	for want, p := range map[string]*peer.Peer{
		"says nothing":               nil,
		"without TLS":                {},
		"no verified certificate":    {AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf(good)}}}},
		"(serial 4d) has 0 URIs":     verified(leaf()),
		"has 2 URIs":                 verified(leaf(good, "spiffe://cluster.local/gateway/default/other")),
		"is the identity of neither": verified(leaf("spiffe://cluster.local/ns/default")),
	} {
		if fleet, err := with(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, %v, want %q", fleet, err, want)
		}
	}
}

const audience = "envoy-gateway.envoy-gateway-system.svc.cluster.local"

// answered is what an API server (1.37) answers for the token of a pod.
func answered(change ...func(*authenticationv1.TokenReviewStatus)) *authenticationv1.TokenReviewStatus {
	s := &authenticationv1.TokenReviewStatus{
		Authenticated: true,
		Audiences:     []string{audience},
		User: authenticationv1.UserInfo{
			Username: "system:serviceaccount:apps:eg", UID: "c5a7",
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:apps", "system:authenticated"},
			Extra: map[string]authenticationv1.ExtraValue{
				"authentication.kubernetes.io/pod-name": {"eg-7f9c-x2x4z"}, "authentication.kubernetes.io/pod-uid": {"b3"},
				"authentication.kubernetes.io/node-name": {"node"},
			},
		},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func TestHolder(t *testing.T) {
	type status = authenticationv1.TokenReviewStatus
	if ns, sa, err := holder(answered(), audience, "eg-7f9c-x2x4z"); err != nil || ns != "apps" || sa != "eg" {
		t.Errorf("got %q, %q, %v", ns, sa, err)
	}
	for want, change := range map[string]func(*status){
		"refuses the token: expired":      func(s *status) { s.Authenticated, s.Error = false, "expired" },
		"refuses the token":               func(s *status) { s.Authenticated = false },
		`is for ["api"], not for`:         func(s *status) { s.Audiences = []string{"api"} },
		`is for [], not for`:              func(s *status) { s.Audiences = nil },
		"is not one of a ServiceAccount":  func(s *status) { s.User.Groups = []string{"system:authenticated"} },
		"of admin is not one":             func(s *status) { s.User.Username = "admin" },
		"is no name of a ServiceAccount":  func(s *status) { s.User.Username = "system:serviceaccount:apps" },
		"is not bound to a pod":           func(s *status) { s.User.Extra = nil },
		"is that of pod other, the proxy": func(s *status) { s.User.Extra[podNameExtra] = []string{"other"} },
		"calls itself \"eg-7f9c-x2x4z\"":  func(s *status) { s.User.Extra[podNameExtra] = []string{"eg-7f9c-x2x4"} },
	} {
		if ns, sa, err := holder(answered(change), audience, "eg-7f9c-x2x4z"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, %q, %v, want %q", ns, sa, err, want)
		}
	}
	if _, _, err := holder(answered(func(s *status) { s.User.Extra[podNameExtra] = []string{""} }), audience, ""); err == nil {
		t.Error("a proxy without a name is a pod without a name")
	}
}

// reviews answers from memory, and counts.
type reviews struct {
	authenticationclient.TokenReviewInterface
	known map[string]*authenticationv1.TokenReviewStatus
	asked int
}

func (r *reviews) Create(_ context.Context, t *authenticationv1.TokenReview, _ metav1.CreateOptions) (*authenticationv1.TokenReview, error) {
	r.asked++
	if len(t.Spec.Audiences) != 1 || t.Spec.Audiences[0] != audience {
		return nil, errors.New("asked for another audience")
	}
	out := t.DeepCopy()
	if s := r.known[t.Spec.Token]; s != nil {
		out.Status = *s
	}
	return out, nil
}

func TestTokens(t *testing.T) {
	r := &reviews{known: map[string]*authenticationv1.TokenReviewStatus{"good": answered()}}
	now := time.Unix(1000, 0)
	gone := false
	identify := Tokens(TokenOptions{
		Reviews: r, Audience: audience, Now: func() time.Time { return now },
		Fleet: func(namespace, account string) (string, bool) { return namespace + "/gateway-of-" + account, !gone },
	})
	ask := func(node string, headers ...string) (string, error) {
		md := metadata.MD{}
		md.Append("authorization", headers...)
		return identify(metadata.NewIncomingContext(context.Background(), md), &corev3.Node{Id: node, Cluster: "other/gateway"})
	}
	const pod = "eg-7f9c-x2x4z"
	for range 3 {
		if fleet, err := ask(pod, "Bearer good"); err != nil || fleet != "apps/gateway-of-eg" {
			t.Fatalf("got %q, %v", fleet, err)
		}
	}
	if r.asked != 1 {
		t.Errorf("the API server was asked %d times at one moment", r.asked)
	}
	if fleet, err := ask("another-pod", "Bearer good"); err == nil {
		t.Errorf("another pod with a token that is known: %q", fleet)
	}
	gone = true
	if fleet, err := ask(pod, "Bearer good"); err == nil || !strings.Contains(err.Error(), "apps/eg") {
		t.Errorf("a fleet that is gone: %q, %v", fleet, err)
	}
	gone = false
	now = now.Add(DefaultTokenCache)
	r.known["good"] = nil // the pod is deleted
	if fleet, err := ask(pod, "Bearer good"); err == nil {
		t.Errorf("a token is good for longer than %v after its end: %q", DefaultTokenCache, fleet)
	}
	r.known["good"] = answered() // a bad answer is not kept
	if _, err := ask(pod, "bearer good"); err != nil {
		t.Error(err)
	}
	for _, headers := range [][]string{{}, {"good"}, {"Bearer "}, {"Basic good"}, {"Bearer good", "Bearer good"}, {"Bearer bad"}} {
		if fleet, err := ask(pod, headers...); err == nil {
			t.Errorf("%q: %q", headers, fleet)
		} else if strings.Contains(err.Error(), "Bearer bad") {
			t.Errorf("the log is told the token: %v", err)
		}
	}
	if _, err := identify(context.Background(), nil); err == nil {
		t.Error("a call without metadata and node")
	}
}
