package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/metadata"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
)

const (
	// serviceAccountsGroup is what the API server puts every ServiceAccount into, and
	// no other user.
	serviceAccountsGroup = "system:serviceaccounts"
	userPrefix           = "system:serviceaccount:"
	// podNameExtra names the pod that a token is bound to (TokenReview,
	// ServiceAccountTokenPodNodeInfo).
	podNameExtra = "authentication.kubernetes.io/pod-name"

	// maxTokens bounds the memory for good answers; proxies are far fewer.
	maxTokens = 10000
	// reviewTimeout is how long a proxy may be kept waiting for the API server.
	reviewTimeout = 10 * time.Second
)

// DefaultTokenCache is how long a good answer is believed where [TokenOptions] says
// nothing: long enough for the reconnects of one moment, short enough that a pod which
// is deleted does not keep its rights.
const DefaultTokenCache = 5 * time.Second

// Audience is the audience of the tokens of proxies, for a controller in that namespace.
func Audience(controllerNamespace, clusterDomain string) string {
	return "envoy-gateway." + controllerNamespace + ".svc." + clusterDomain
}

// TokenOptions configure [Tokens]; all but Cache and Now are needed.
type TokenOptions struct {
	// Reviews asks the API server.
	Reviews authenticationclient.TokenReviewInterface
	// Audience is what a token must be for: see the function of that name.
	Audience string
	// Fleet says whose proxies run as a ServiceAccount; false: nobody's.
	Fleet func(namespace, serviceAccount string) (fleet string, ok bool)
	// Cache is how long a good answer is believed; [DefaultTokenCache] if zero, not
	// at all if negative. Bad answers are not kept.
	Cache time.Duration
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Tokens identifies proxies by the ServiceAccount token that each sends as
// "authorization: Bearer …". The token must be meant for Audience and bound to a pod
// whose name is the node id of the proxy: a token that was stolen is of no use to
// another pod as long as that pod's name is not claimed as well, and is of no use at all
// once its pod is gone.
func Tokens(o TokenOptions) Func {
	t := &tokens{TokenOptions: o, known: map[[sha256.Size]byte]answer{}}
	if t.Cache == 0 {
		t.Cache = DefaultTokenCache
	}
	if t.Now == nil {
		t.Now = time.Now
	}
	return t.identify
}

type tokens struct {
	TokenOptions

	mu sync.Mutex
	// known are good answers by the digest of the token, so that no token stays in
	// memory longer than its request.
	known map[[sha256.Size]byte]answer
}

type answer struct {
	status authenticationv1.TokenReviewStatus
	until  time.Time
}

func (t *tokens) identify(ctx context.Context, node *corev3.Node) (string, error) {
	token, err := bearer(ctx)
	if err != nil {
		return "", err
	}
	status, err := t.review(ctx, token)
	if err != nil {
		return "", err
	}
	namespace, account, err := holder(status, t.Audience, node.GetId())
	if err != nil {
		return "", err
	}
	// The fleet is not part of the cached answer: it may be gone by now.
	fleet, ok := t.Fleet(namespace, account)
	if !ok {
		return "", fmt.Errorf("no proxies run as ServiceAccount %s/%s", namespace, account)
	}
	return fleet, nil
}

// bearer takes the token out of the call's metadata.
func bearer(ctx context.Context) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return "", fmt.Errorf("the call has %d authorization headers, want one with a token", len(values))
	}
	kind, token, _ := strings.Cut(values[0], " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(kind, "bearer") || token == "" {
		return "", errors.New("the authorization header has no bearer token")
	}
	return token, nil
}

// review has the API server look at a token.
func (t *tokens) review(ctx context.Context, token string) (*authenticationv1.TokenReviewStatus, error) {
	key, now := sha256.Sum256([]byte(token)), t.Now()
	t.mu.Lock()
	kept, ok := t.known[key]
	t.mu.Unlock()
	if ok && now.Before(kept.until) {
		return &kept.status, nil
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review, err := t.Reviews.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{t.Audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("have a token reviewed: %w", err)
	}
	if review.Status.Authenticated && t.Cache > 0 {
		t.keep(key, answer{review.Status, now.Add(t.Cache)}, now)
	}
	return &review.Status, nil
}

func (t *tokens) keep(key [sha256.Size]byte, a answer, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, old := range t.known {
		if !now.Before(old.until) {
			delete(t.known, k)
		}
	}
	if len(t.known) < maxTokens {
		t.known[key] = a
	}
}

// holder says which ServiceAccount an answer speaks of, if it is a proof for a proxy
// with that node id.
func holder(s *authenticationv1.TokenReviewStatus, audience, nodeID string) (namespace, account string, err error) {
	user := s.User.Username
	switch {
	case !s.Authenticated && s.Error != "":
		return "", "", fmt.Errorf("the API server refuses the token: %s", s.Error)
	case !s.Authenticated:
		return "", "", errors.New("the API server refuses the token")
	case !slices.Contains(s.Audiences, audience):
		// An API server that knows no audiences answers without any: its word is not
		// enough (documentation of TokenReviewStatus).
		return "", "", fmt.Errorf("the token of %s is for %q, not for %q", user, s.Audiences, audience)
	case !slices.Contains(s.User.Groups, serviceAccountsGroup):
		return "", "", fmt.Errorf("the token of %s is not one of a ServiceAccount", user)
	}
	rest, ok := strings.CutPrefix(user, userPrefix)
	if !ok {
		return "", "", fmt.Errorf("the token of %s is not one of a ServiceAccount", user)
	}
	namespace, account, ok = strings.Cut(rest, ":")
	if !ok || namespace == "" || account == "" {
		return "", "", fmt.Errorf("%q is no name of a ServiceAccount", user)
	}
	switch pod := s.User.Extra[podNameExtra]; {
	case len(pod) != 1 || pod[0] == "":
		return "", "", fmt.Errorf("the token of %s is not bound to a pod", user)
	case pod[0] != nodeID:
		return "", "", fmt.Errorf("the token of %s is that of pod %s, the proxy calls itself %q", user, pod[0], nodeID)
	}
	return namespace, account, nil
}
