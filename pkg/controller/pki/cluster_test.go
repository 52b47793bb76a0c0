package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/egctl/egctl/internal/testkube"
)

// cluster returns a client of the real cluster and a namespace in it.
func cluster(t *testing.T) (kubernetes.Interface, string) {
	t.Helper()
	client := must(kubernetes.NewForConfig(testkube.Config(t)))(t)
	return client, testkube.Namespace(t, client)
}

// fast are the times of certificates that last for seconds.
func fast(client kubernetes.Interface, namespace string) Options {
	return Options{
		Client: client, Namespace: namespace,
		LeafValidity: 4 * time.Second, LeafRenewBefore: 2 * time.Second, Propagation: time.Second,
		CAValidity: 9 * time.Second, CARenewBefore: 6 * time.Second,
	}
}

// start runs a Manager as leader.
func startLeader(t *testing.T, o Options) (m *Manager, stop func()) {
	t.Helper()
	log := &syncBuffer{}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	m = must(New(o))(t)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for what, run := range map[string]func(context.Context) error{"lead": m.Lead, "watch": m.Watch} {
		all.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("the leader said:\n%s", log)
		}
	})
	ready, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	if err := m.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return m, stop
}

func secretOf(t *testing.T, client kubernetes.Interface, namespace, name string) *corev1.Secret {
	t.Helper()
	return must(client.CoreV1().Secrets(namespace).Get(t.Context(), name, metav1.GetOptions{}))(t)
}

// handshake lets a client with a Secret's certificate talk to the server.
func handshake(t *testing.T, m *Manager, data map[string][]byte) error {
	t.Helper()
	listener := must(tls.Listen("tcp", "127.0.0.1:0", m.ServerTLS()))(t)
	defer listener.Close()
	server := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
		server <- err
	}()
	cert := must(tls.X509KeyPair(data["tls.crt"], data["tls.key"]))(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data["ca.crt"])
	conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{ServerName: "envoy-gateway", RootCAs: roots, Certificates: []tls.Certificate{cert}})
	if err == nil {
		_ = conn.Close()
	}
	return errors.Join(err, <-server)
}

func TestLeaderKeepsSecrets(t *testing.T) {
	client, ns := cluster(t)
	o := Options{Client: client, Namespace: ns}
	var bundles [][]byte
	o.BundleChanged = func(b []byte) { bundles = append(bundles, b) }
	m, stop := startLeader(t, o)
	owner := must(client.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{}))(t)
	c := Client{
		Namespace: ns, Secret: "envoy-default-eg", Fleet: "default/eg", Labels: map[string]string{"app.kubernetes.io/name": "envoy"},
		Owners: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}},
	}
	if err := m.Ensure(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	mine := secretOf(t, client, ns, c.Secret)
	if mine.Type != corev1.SecretTypeTLS || mine.Labels[LabelKey] != LabelValue || mine.Labels["app.kubernetes.io/name"] != "envoy" || len(mine.OwnerReferences) != 1 {
		t.Errorf("the Secret is %s, labelled %v, owned by %v", mine.Type, mine.Labels, mine.OwnerReferences)
	}
	if err := handshake(t, m, mine.Data); err != nil {
		t.Fatal(err)
	}
	// Nothing is written again without need.
	names := []string{c.Secret, ServerSecret, CASecret}
	before := map[string]string{}
	for _, name := range names {
		before[name] = secretOf(t, client, ns, name).ResourceVersion
	}
	time.Sleep(300 * time.Millisecond)
	for range 3 {
		if err := m.Ensure(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if s := secretOf(t, client, ns, name); s.ResourceVersion != before[name] {
			t.Errorf("%s has been written again", name)
		}
	}

	secrets := client.CoreV1().Secrets(ns)
	replaced := func(what, name string, old []byte) map[string][]byte {
		t.Helper()
		var now map[string][]byte
		eventually(t, what+" is mended", func() bool {
			s, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				return false
			}
			now = s.Data
			_, err = parsePair(now["tls.crt"], now["tls.key"])
			return err == nil && s.Type == corev1.SecretTypeTLS && !bytes.Equal(now["tls.crt"], old) && s.Labels[LabelKey] == LabelValue
		})
		return now
	}
	remove := func(name string) {
		t.Helper()
		if err := secrets.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(name string, change func(*corev1.Secret)) {
		t.Helper()
		s := secretOf(t, client, ns, name)
		change(s)
		must(secrets.Update(t.Context(), s, metav1.UpdateOptions{}))(t)
	}
	remove(c.Secret)
	mine.Data = replaced("a deleted client Secret", c.Secret, mine.Data["tls.crt"])
	edit(c.Secret, func(s *corev1.Secret) { s.Data["tls.key"] = []byte("garbage") })
	mine.Data = replaced("a damaged client Secret", c.Secret, mine.Data["tls.crt"])
	server := secretOf(t, client, ns, ServerSecret).Data
	edit(ServerSecret, func(s *corev1.Secret) { s.Data = certgen(t) })
	server = replaced("a server Secret of certgen", ServerSecret, server["tls.crt"])
	edit(ServerSecret, func(s *corev1.Secret) { s.Immutable = ptr(true) })
	eventually(t, "one that cannot be changed is replaced", func() bool {
		s, err := secrets.Get(t.Context(), ServerSecret, metav1.GetOptions{})
		return err == nil && s.Immutable == nil && bytes.Equal(s.Data["tls.crt"], server["tls.crt"])
	})
	remove(ServerSecret)
	replaced("a deleted server Secret", ServerSecret, server["tls.crt"])
	eventually(t, "all trust each other", func() bool { return handshake(t, m, mine.Data) == nil })
	if n := len(bundles); n == 0 {
		t.Error("nobody was told of the bundle")
	}

	// Damage of the CA cuts nobody off, its deletion revokes everything.
	edit(CASecret, func(s *corev1.Secret) { s.Data["tls.key"] = []byte("garbage") })
	eventually(t, "a new signer", func() bool {
		return bytes.Count(secretOf(t, client, ns, c.Secret).Data["ca.crt"], []byte("BEGIN")) == 2
	})
	eventually(t, "the server knows both", func() bool { return bytes.Count(m.CABundle(), []byte("BEGIN")) == 2 })
	if err := handshake(t, m, mine.Data); err != nil {
		t.Errorf("who knows only the old CA is cut off: %v", err)
	}
	remove(CASecret)
	eventually(t, "one CA", func() bool { return bytes.Count(m.CABundle(), []byte("BEGIN")) == 1 })
	if err := handshake(t, m, mine.Data); err == nil {
		t.Error("a revoked certificate is good")
	}
	mine.Data = replaced("a client Secret whose CA is gone", c.Secret, mine.Data["tls.crt"])
	eventually(t, "all trust each other again", func() bool { return handshake(t, m, mine.Data) == nil })

	// What is forgotten stays away, and so does everything when nobody leads.
	m.Forget(ns, c.Secret)
	remove(c.Secret)
	stop()
	remove(ServerSecret)
	time.Sleep(500 * time.Millisecond)
	for _, name := range []string{c.Secret, ServerSecret} {
		if _, err := secrets.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s is back: %v", name, err)
		}
	}
	if err := handshake(t, m, mine.Data); err != nil {
		t.Errorf("a replica serves by what it knows: %v", err)
	}
	if err := m.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	secretOf(t, client, ns, ServerSecret)
}

func ptr[T any](v T) *T { return &v }

func TestForeignSecretsAreLeftAlone(t *testing.T) {
	client, ns := cluster(t)
	secrets := client.CoreV1().Secrets(ns)
	foreign := must(secrets.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "envoy-default-eg"}, Data: map[string][]byte{"password": []byte("x")},
	}, metav1.CreateOptions{}))(t)
	m, _ := startLeader(t, Options{Client: client, Namespace: ns})
	c := Client{Namespace: ns, Secret: foreign.Name, Fleet: "default/eg"}
	err := m.Ensure(t.Context(), c)
	if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), ns+"/envoy-default-eg") {
		t.Fatalf("got %v", err)
	}
	if now := secretOf(t, client, ns, foreign.Name); now.ResourceVersion != foreign.ResourceVersion {
		t.Error("it has been written")
	}
	// Its owner gives it up. It is of a type that cannot be changed.
	foreign.Labels = map[string]string{LabelKey: LabelValue}
	must(secrets.Update(t.Context(), foreign, metav1.UpdateOptions{}))(t)
	eventually(t, "it is replaced", func() bool {
		s, err := secrets.Get(t.Context(), foreign.Name, metav1.GetOptions{})
		return err == nil && s.Type == corev1.SecretTypeTLS && handshake(t, m, s.Data) == nil
	})
	for _, bad := range []Client{{Namespace: ns, Secret: ServerSecret, Fleet: "a/b"}, {Namespace: ns, Fleet: "a/b"}, {Namespace: ns, Secret: "x", Fleet: "a/b/c"}} {
		if err := m.Ensure(t.Context(), bad); err == nil {
			t.Errorf("%v is no Client", bad)
		}
	}
}

// TestReplicasThatDoNotLead have a certificate before anybody leads, as while Envoy
// Gateway still has the Lease; the leader takes over what they have made.
func TestReplicasThatDoNotLead(t *testing.T) {
	client, ns := cluster(t)
	// Envoy Gateway's, which it may need again.
	theirs := must(client.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "envoy-gateway", Labels: map[string]string{LabelKey: LabelValue}}, Type: corev1.SecretTypeTLS, Data: certgen(t),
	}, metav1.CreateOptions{}))(t)
	var all sync.WaitGroup
	for range 3 {
		m := must(New(Options{Client: client, Namespace: ns}))(t)
		all.Go(func() { m.Provide(t.Context()) })
	}
	all.Wait()
	server, ca := secretOf(t, client, ns, ServerSecret), secretOf(t, client, ns, CASecret)
	m, _ := startLeader(t, Options{Client: client, Namespace: ns})
	if err := m.Ensure(t.Context(), Client{Namespace: ns, Secret: "envoy-default-eg", Fleet: "default/eg"}); err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, m, secretOf(t, client, ns, "envoy-default-eg").Data); err != nil {
		t.Error(err)
	}
	for _, before := range []*corev1.Secret{server, ca, theirs} {
		if now := secretOf(t, client, ns, before.Name); !bytes.Equal(now.Data["tls.crt"], before.Data["tls.crt"]) {
			t.Errorf("Secret %s has another certificate now", before.Name)
		}
	}
}

// TestTwoLeaders has two replicas believe that they lead, while everything rotates.
func TestTwoLeaders(t *testing.T) {
	client, ns := cluster(t)
	a, _ := startLeader(t, fast(client, ns))
	b, _ := startLeader(t, fast(client, ns))
	c := Client{Namespace: ns, Secret: "envoy-default-eg", Fleet: "default/eg"}
	for _, m := range []*Manager{a, b} {
		if err := m.Ensure(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	signers, leaves, worst := map[string]bool{}, map[string]bool{}, 0
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		mine := secretOf(t, client, ns, c.Secret).Data
		for name, m := range map[string]*Manager{"first": a, "second": b} {
			if err := handshake(t, m, mine); err != nil {
				t.Fatalf("with the %s: %v", name, err)
			}
		}
		ca := secretOf(t, client, ns, CASecret).Data
		signers[string(ca["tls.crt"])], leaves[string(mine["tls.crt"])] = true, true
		worst = max(worst, bytes.Count(ca["ca.crt"], []byte("BEGIN")))
	}
	t.Logf("%d CAs, %d client certificates, at most %d CAs trusted", len(signers), len(leaves), worst)
	if len(signers) < 3 || len(leaves) < 5 {
		t.Error("that is too little to show anything")
	}
	// Two that take turns make one CA every 4 s, not two.
	if len(signers) > 6 || worst > 4 {
		t.Error("the two have worked against each other")
	}
}
