package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serving is the server's Secret, ready for handshakes.
type serving struct {
	config *tls.Config
	bundle []byte
}

func newServing(data map[string][]byte, serverOnly bool) (*serving, error) {
	cert, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, err
	}
	trusted, err := parseCertificates(data[bundleKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bundleKey, err)
	}
	config := baseConfig()
	config.Certificates = []tls.Certificate{cert}
	if !serverOnly {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		for _, c := range trusted {
			config.ClientCAs.AddCert(c)
		}
	}
	return &serving{config: config, bundle: bytes.Clone(data[bundleKey])}, nil
}

// baseConfig is what holds for every handshake.
func baseConfig() *tls.Config {
	return &tls.Config{
		// All proxies are Envoys that know it.
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		// A proxy connects twice a day. A resumed session would only spare it the
		// question for the certificate, which is what matters here.
		SessionTicketsDisabled: true,
	}
}

// ServerTLS returns how the ADS server is to be served: at every handshake with the
// newest certificate, and by the newest CAs. A handshake waits for the first of these,
// which [Manager.Watch] brings.
func (m *Manager) ServerTLS() *tls.Config {
	config := baseConfig()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if err := m.Ready(hello.Context()); err != nil {
			return nil, err
		}
		return m.serving.Load().config, nil
	}
	return config
}

// Ready waits until there is a certificate to serve with.
func (m *Manager) Ready(ctx context.Context) error {
	select {
	case <-m.first:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no certificate yet in Secret %s: %w", m.server, context.Cause(ctx))
	}
}

// CABundle returns the CAs, in PEM, by which a proxy verifies the controller; nil while
// there are none. See BundleChanged of [Options].
func (m *Manager) CABundle() []byte {
	s := m.serving.Load()
	if s == nil {
		return nil
	}
	return bytes.Clone(s.bundle)
}

// Watch follows the server's Secret until ctx ends, and returns nil then. It is for
// every replica. A Secret that cannot be used, or that is deleted, changes nothing: the
// last good one serves until the leader has mended it.
func (m *Manager) Watch(ctx context.Context) error {
	var once sync.Once
	take := func(o any) {
		s, ok := o.(*corev1.Secret)
		if !ok {
			return
		}
		if err := m.serve(s.Data); err != nil {
			m.o.Logger.Error("the certificate cannot be used; the one before stays", "secret", m.server, "error", err)
			return
		}
		once.Do(func() { m.o.Logger.Info("the certificate is there", "secret", m.server) })
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: m.secrets(m.o.Namespace, func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", ServerSecret).String()
		}),
		ObjectType: &corev1.Secret{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    take,
			UpdateFunc: func(_, o any) { take(o) },
			DeleteFunc: func(any) {
				m.o.Logger.Warn("the certificate is deleted; the one before stays until there is a new one", "secret", m.server)
			},
		},
	})
	informer.RunWithContext(ctx)
	if ctx.Err() == nil {
		return errors.New("the watch of the server's Secret has ended by itself")
	}
	return nil
}

// serve makes the content of the server's Secret the one in force.
func (m *Manager) serve(data map[string][]byte) error {
	s, err := newServing(data, m.o.ServerOnly)
	if err != nil {
		return err
	}
	before := m.serving.Swap(s)
	if before == nil {
		close(m.first)
	}
	if m.o.BundleChanged != nil && (before == nil || !bytes.Equal(before.bundle, s.bundle)) {
		m.o.BundleChanged(bytes.Clone(s.bundle))
	}
	return nil
}
