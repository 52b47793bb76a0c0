package install

import (
	"slices"
	"testing"
)

// What the API server keeps of an object is no change by hand, and a Secret's is not told.
func TestChangedByHand(t *testing.T) {
	const live = `{"kind": "Deployment", "metadata": {"name": "a", "namespace": "ns", "resourceVersion": "1", "generation": 1, "managedFields": [{}]}, "spec": {"replicas": 0}, "status": {"replicas": 0}}`
	for name, test := range map[string]struct {
		before, after string
		want          []FieldChange
	}{
		"only the server's": {live, `{"kind": "Deployment", "metadata": {"name": "a", "namespace": "ns", "resourceVersion": "2", "generation": 2}, "spec": {"replicas": 0}, "status": {}}`, nil},
		"scaled":            {live, `{"kind": "Deployment", "metadata": {"name": "a", "namespace": "ns"}, "spec": {"replicas": 1}}`, []FieldChange{{Path: "spec.replicas", Old: "0", New: "1"}}},
		"a Secret":          {`{"kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "b2xk"}}`, `{"kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "bmV3"}}`, []FieldChange{{Path: "data.a", Old: hidden, New: hidden}}},
	} {
		got, err := changed([]byte(test.before), []byte(test.after))
		if err != nil || !slices.Equal(got.Fields, test.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if c, err := changed([]byte(live), []byte(live)); err != nil || c.Object != "Deployment ns/a" {
		t.Errorf("it is called %q, %v", c.Object, err)
	}
}
