package pki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/egctl/egctl/pkg/wellknown"
)

// ErrForeign says that a Secret of the name that is needed belongs to somebody else.
var ErrForeign = errors.New("it lacks the label " + LabelKey + "=" + LabelValue +
	", so it is somebody else's and is left alone; delete it, or label it to have it replaced")

// get reads a Secret; nil: there is none.
func (m *Manager) get(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error) {
	s, err := m.o.Client.CoreV1().Secrets(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	case s.Labels[LabelKey] != LabelValue:
		return nil, fmt.Errorf("Secret %s: %w", key, ErrForeign) //nolint:staticcheck // the kind's name begins the sentence
	}
	return s, nil
}

// put makes a Secret hold data, if it does not. found is what is there, nil for
// nothing; somebody else's change since then makes it fail, and it is tried again.
func (m *Manager) put(ctx context.Context, key types.NamespacedName, found *corev1.Secret, data map[string][]byte, c Client) (*corev1.Secret, error) {
	want := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Type: corev1.SecretTypeTLS}
	secrets := m.o.Client.CoreV1().Secrets(key.Namespace)
	if found != nil {
		if found.Type != corev1.SecretTypeTLS || found.Immutable != nil && *found.Immutable {
			// Neither can be changed in place.
			gone := metav1.NewUIDPreconditions(string(found.UID))
			gone.ResourceVersion = &found.ResourceVersion
			if err := secrets.Delete(ctx, key.Name, metav1.DeleteOptions{Preconditions: gone}); err != nil && !apierrors.IsNotFound(err) {
				return nil, fmt.Errorf("replace Secret %s, which is of type %s and cannot be changed: %w", key, found.Type, err)
			}
			found = nil
		} else {
			want = found.DeepCopy()
		}
	}
	want.Labels = merged(merged(want.Labels, c.Labels), map[string]string{LabelKey: LabelValue})
	if key == m.ca || key == m.server {
		c.Owners = m.ownOwners()
	}
	if len(c.Owners) > 0 {
		want.OwnerReferences = c.Owners
	}
	if want.Data == nil {
		want.Data = map[string][]byte{}
	}
	for k, v := range data {
		if v == nil {
			delete(want.Data, k)
		} else {
			want.Data[k] = v
		}
	}
	if found == nil {
		made, err := secrets.Create(ctx, want, metav1.CreateOptions{FieldManager: wellknown.FieldManager})
		if err != nil {
			return nil, fmt.Errorf("make Secret %s: %w", key, err)
		}
		return made, nil
	}
	if maps.EqualFunc(found.Data, want.Data, bytes.Equal) && maps.Equal(found.Labels, want.Labels) &&
		(Client{Owners: found.OwnerReferences}).equal(Client{Owners: want.OwnerReferences}) {
		return found, nil
	}
	written, err := secrets.Update(ctx, want, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return nil, fmt.Errorf("write Secret %s: %w", key, err)
	}
	return written, nil
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}

// lost says that somebody else was faster, so that it is to be tried again at once.
func lost(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}
