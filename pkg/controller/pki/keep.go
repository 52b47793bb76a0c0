package pki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/egctl/egctl/pkg/controller/identity"
)

// attempts is how often a write is tried at once against writes of others.
const attempts = 5

// Ensure returns when the client certificate of a fleet is in its Secret. From then on
// it is kept so, while this replica leads, until it is told to Forget. Another Client of
// the same Secret replaces the one before. It is for the leader.
func (m *Manager) Ensure(ctx context.Context, c Client) error {
	key := types.NamespacedName{Namespace: c.Namespace, Name: c.Secret}
	uri, err := identity.URI(m.o.ClusterDomain, c.Fleet)
	if err != nil {
		return err
	}
	if key == m.ca || key == m.server || key.Name == "" || key.Namespace == "" {
		return fmt.Errorf("%s is no name for the Secret of fleet %s", key, c.Fleet)
	}
	m.mu.Lock()
	known := m.entries[key]
	if known != nil && known.client.equal(c) {
		if known.current && m.lead != nil {
			m.mu.Unlock()
			return nil
		}
	} else {
		m.entries[key] = &entry{leaf: clientLeaf(uri), client: c}
	}
	lead := m.lead
	m.mu.Unlock()
	if lead != nil {
		lead.follow(key.Namespace)
	}
	if err := m.insist(ctx, key); err != nil {
		if lead != nil {
			lead.queue.AddRateLimited(key)
		}
		return err
	}
	return nil
}

// Forget ends the care for a Secret. The Secret stays; whoever deletes the fleet's
// objects deletes it with them.
func (m *Manager) Forget(namespace, secret string) {
	key := types.NamespacedName{Namespace: namespace, Name: secret}
	m.mu.Lock()
	defer m.mu.Unlock()
	if key != m.server {
		delete(m.entries, key)
	}
}

// Once makes what the controller itself needs, its CA and its certificate, and returns.
// What is there and good stays.
func (m *Manager) Once(ctx context.Context) error {
	return errors.Join(m.insist(ctx, m.ca), m.insist(ctx, m.server))
}

// Provide makes what the controller itself needs if nobody has, and returns when it is
// there or ctx ends. It is for every replica: when a controller takes over from another
// program, that one leads until this one is ready, which it is not without a certificate.
func (m *Manager) Provide(ctx context.Context) {
	for wait := minRetry; ctx.Err() == nil; wait = min(2*wait, maxRetry) {
		found, err := m.get(ctx, m.server)
		if err == nil && found == nil {
			err = m.Once(ctx)
		}
		if err == nil {
			return
		}
		m.o.Logger.Error("the controller has no certificate; it is tried again", "secret", m.server, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// insist keeps a Secret once, and tries again if somebody else writes it meanwhile.
func (m *Manager) insist(ctx context.Context, key types.NamespacedName) error {
	var err error
	for range attempts {
		if err = m.keep(ctx, key); err == nil || !lost(err) || ctx.Err() != nil {
			break
		}
	}
	return err
}

// keep makes one Secret what it is to be.
func (m *Manager) keep(ctx context.Context, key types.NamespacedName) error {
	m.work.Lock()
	defer m.work.Unlock()
	if key == m.ca {
		return m.keepCA(ctx)
	}
	m.mu.Lock()
	e := m.entries[key]
	m.mu.Unlock()
	if e == nil {
		return nil // forgotten
	}
	if m.authority == nil {
		if err := m.keepCA(ctx); err != nil {
			return err
		}
	}
	return m.keepLeaf(ctx, key, e)
}

func (m *Manager) keepCA(ctx context.Context) error {
	found, err := m.get(ctx, m.ca)
	if err != nil {
		return err
	}
	now := m.o.Now()
	if m.settled.IsZero() {
		m.settled = now
	}
	a, why, err := m.current(found, now)
	if err != nil {
		return err
	}
	next, step, err := a.step(now, m.terms, m.known(a, now))
	if err != nil {
		return err
	}
	if step != "" {
		why = step
	}
	data, err := next.data()
	if err != nil {
		return err
	}
	written, err := m.put(ctx, m.ca, found, data, Client{})
	if err != nil {
		return err
	}
	if why != "" {
		m.o.Logger.Info("the CA has changed", "secret", m.ca, "reason", why, "trusted", len(next.bundle), "signsUntil", next.signer.cert.NotAfter)
	}
	before := m.authority
	m.authority = next
	lead := m.saw(m.ca, written.ResourceVersion)
	if lead == nil {
		return nil
	}
	if before == nil || !before.signer.cert.Equal(next.signer.cert) || !bytes.Equal(before.pem(), next.pem()) {
		for _, key := range m.leaves() {
			lead.queue.Add(key)
		}
	}
	wake := []time.Time{next.due(m.terms)}
	if next.next != nil {
		wake = append(wake, m.settled.Add(m.terms.propagation))
	}
	for _, at := range wake {
		// What is past waits for a Secret that could not be written yet, and is looked
		// at again when it is.
		if wait := at.Sub(now); wait > 0 {
			lead.queue.AddAfter(m.ca, wait)
		}
	}
	return nil
}

// current is the authority of the Secret that was found, or a new one and why.
func (m *Manager) current(found *corev1.Secret, now time.Time) (a *authority, why string, err error) {
	if found == nil {
		a, err = newAuthority(now, m.terms)
		return a, "there is none yet", err
	}
	a, trusted, err := parseAuthority(found.Data, now)
	if err == nil {
		return a, "", nil
	}
	m.o.Logger.Warn("the CA is damaged and gets a new signer", "secret", m.ca, "error", err, "stillTrusted", len(trusted))
	why = err.Error()
	a, err = newAuthority(now, m.terms, trusted...)
	return a, why, err
}

// known says that every Secret has held the bundle of a for the propagation time.
func (m *Manager) known(a *authority, now time.Time) bool {
	bundle := a.pem()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		if !bytes.Equal(e.bundle, bundle) {
			return false
		}
	}
	return now.Sub(m.settled) >= m.terms.propagation
}

func (m *Manager) keepLeaf(ctx context.Context, key types.NamespacedName, e *entry) error {
	found, err := m.get(ctx, key)
	if err != nil {
		return err
	}
	var data map[string][]byte
	if found != nil {
		data = found.Data
	}
	now := m.o.Now()
	want, why, err := m.authority.revise(now, m.terms, e.leaf, data)
	if err != nil {
		return fmt.Errorf("certificate of Secret %s: %w", key, err)
	}
	written, err := m.put(ctx, key, found, want, e.client)
	if err != nil {
		return err
	}
	if why == "" && (found == nil || found.ResourceVersion != written.ResourceVersion) {
		why = "what is around it was not as it is to be"
	}
	if why != "" {
		m.o.Logger.Info("certificate written", "secret", key, "fleet", e.client.Fleet, "reason", why)
	}
	if found != nil && !bytes.Equal(data[bundleKey], want[bundleKey]) {
		m.settled = now
	}
	at, err := renewal(want, m.terms)
	if err != nil {
		return fmt.Errorf("certificate of Secret %s: %w", key, err)
	}
	lead := m.saw(key, written.ResourceVersion)
	m.mu.Lock()
	e.bundle, e.current = want[bundleKey], true
	m.mu.Unlock()
	if lead == nil {
		return nil
	}
	if wait := at.Sub(now); wait > 0 {
		// One that cannot be renewed before another CA signs is looked at then.
		lead.queue.AddAfter(key, wait)
	}
	if m.authority.next != nil {
		lead.queue.AddAfter(m.ca, m.terms.propagation)
	}
	return nil
}

// saw notes what the watch will tell again, and returns the leadership.
func (m *Manager) saw(key types.NamespacedName, version string) *leadership {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lead != nil {
		m.lead.seen[key] = version
	}
	return m.lead
}

// leaves are the names of the Secrets that hold leaves, in order.
func (m *Manager) leaves() []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]types.NamespacedName, 0, len(m.entries))
	for key := range m.entries {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b types.NamespacedName) int {
		// The server first: it must trust before anybody else is to be trusted.
		switch {
		case a == b:
			return 0
		case a == m.server:
			return -1
		case b == m.server:
			return 1
		}
		return bytes.Compare([]byte(a.String()), []byte(b.String()))
	})
	return keys
}
