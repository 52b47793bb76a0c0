package pki

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/egctl/egctl/pkg/wellknown"
)

// Names of the Secrets in the controller's namespace.
const (
	CASecret = "envoy-gateway-ca"
	// ServerSecret is not what Envoy Gateway has: who moves from it may go back.
	ServerSecret = "envoy-gateway-server"
)

// LabelKey and LabelValue mark the Secrets that this package may change.
const (
	LabelKey   = wellknown.ControllerLabel
	LabelValue = wellknown.ControllerLabelValue
)

// Defaults of [Options].
const (
	DefaultLeafValidity = 90 * 24 * time.Hour
	DefaultCAValidity   = 2 * 365 * 24 * time.Hour
	// DefaultPropagation is thrice what a kubelet takes at most: its sync period of
	// one minute and the delay of its cache.
	DefaultPropagation = 5 * time.Minute
)

// Options configure a [Manager]. Client and Namespace are needed.
type Options struct {
	Client kubernetes.Interface
	// Namespace is the controller's.
	Namespace string
	// ClusterDomain is the DNS domain of the cluster; cluster.local if empty.
	ClusterDomain string

	// LeafValidity is how long certificates of the controller and of fleets are good
	// for, and LeafRenewBefore how long before their end they are renewed:
	// [DefaultLeafValidity], and a third of the validity. That is how long a
	// controller may be away without any proxy being cut off.
	LeafValidity, LeafRenewBefore time.Duration
	// CAValidity is how long a CA is good for, and CARenewBefore how long before its
	// end its successor is announced: [DefaultCAValidity], and half of it. CARenewBefore
	// has room for LeafValidity and Propagation.
	CAValidity, CARenewBefore time.Duration
	// Propagation is how long a new CA has to be known before it signs;
	// [DefaultPropagation] if zero.
	Propagation time.Duration

	// ServerOnly is for proxies that have no certificate but a token: the server asks
	// for none.
	ServerOnly bool
	// BundleChanged is called with the trusted CAs in PEM when there are others than
	// before, and with the first. It is not called twice at the same time.
	BundleChanged func(bundle []byte)
	// Logger may be nil.
	Logger *slog.Logger
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// terms are the times of Options.
type terms struct{ leafValidity, leafRenew, caValidity, caRenew, propagation time.Duration }

func (o *Options) terms() (terms, error) {
	t := terms{o.LeafValidity, o.LeafRenewBefore, o.CAValidity, o.CARenewBefore, o.Propagation}
	byDefault := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	byDefault(&t.leafValidity, DefaultLeafValidity)
	byDefault(&t.leafRenew, t.leafValidity/3)
	byDefault(&t.caValidity, DefaultCAValidity)
	byDefault(&t.caRenew, t.caValidity/2)
	byDefault(&t.propagation, DefaultPropagation)
	switch {
	case t.leafRenew <= 0 || t.leafRenew >= t.leafValidity:
		return t, fmt.Errorf("certificates good for %v cannot be renewed %v before their end", t.leafValidity, t.leafRenew)
	case t.propagation < 0 || t.caRenew < t.leafValidity+t.propagation:
		return t, fmt.Errorf("a CA succeeded %v before its end leaves no room for certificates of %v and %v until all know it", t.caRenew, t.leafValidity, t.propagation)
	case t.caRenew >= t.caValidity:
		return t, fmt.Errorf("a CA good for %v cannot be succeeded %v before its end", t.caValidity, t.caRenew)
	}
	return t, nil
}

// Client is the client certificate of a fleet.
type Client struct {
	// Namespace and Secret are the name of the Secret.
	Namespace, Secret string
	// Fleet is "namespace/name" of the Gateway, or the name of the GatewayClass of
	// merged Gateways.
	Fleet string
	// Labels and Owners are put on the Secret. Labels that others have put there stay.
	Labels map[string]string
	Owners []metav1.OwnerReference
}

func (c Client) equal(o Client) bool {
	return c.Namespace == o.Namespace && c.Secret == o.Secret && c.Fleet == o.Fleet && maps.Equal(c.Labels, o.Labels) &&
		slices.EqualFunc(c.Owners, o.Owners, func(a, b metav1.OwnerReference) bool { return a.UID == b.UID && a.Kind == b.Kind && a.Name == b.Name })
}

// Manager keeps the Secrets, and serves by them.
type Manager struct {
	o          Options
	terms      terms
	ca, server types.NamespacedName
	// serving is what the server's Secret holds now.
	serving atomic.Pointer[serving]
	first   chan struct{}

	// work is held while Secrets are looked at and written.
	work      sync.Mutex
	authority *authority
	// settled is the last time that somebody was told of a bundle that is new to him.
	settled time.Time

	// mu is held for moments only; it may be taken while work is held.
	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
	// lead is nil while this replica does not lead.
	lead *leadership
	// owners are those of the controller's own Secrets.
	owners []metav1.OwnerReference
}

// OwnedBy has the controller's own Secrets, when they are written next, go with
// their owners: with the Deployment that an uninstallation removes, say.
func (m *Manager) OwnedBy(owners []metav1.OwnerReference) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owners = owners
}

func (m *Manager) ownOwners() []metav1.OwnerReference {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owners
}

// entry is a leaf that is kept.
type entry struct {
	leaf   leaf
	client Client // the zero value for the server's
	// bundle is the one in its Secret, as far as known.
	bundle []byte
	// current says that the Secret was as it is to be, and that nobody has been seen
	// to touch it since.
	current bool
}

// New returns a Manager that does nothing yet: [Manager.Watch] runs on every replica,
// [Manager.Lead] on the one that leads.
func New(o Options) (*Manager, error) {
	if o.Client == nil || o.Namespace == "" {
		return nil, errors.New("certificates: a client and the controller's namespace are needed")
	}
	if o.ClusterDomain == "" {
		o.ClusterDomain = "cluster.local"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	t, err := o.terms()
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	m := &Manager{
		o: o, terms: t, first: make(chan struct{}),
		ca:      types.NamespacedName{Namespace: o.Namespace, Name: CASecret},
		server:  types.NamespacedName{Namespace: o.Namespace, Name: ServerSecret},
		entries: map[types.NamespacedName]*entry{},
	}
	m.entries[m.server] = &entry{leaf: serverLeaf(o.Namespace, o.ClusterDomain)}
	return m, nil
}
