package status

import "testing"

// A namespace is asked for when nothing was found that could be in it.
func TestBarren(t *testing.T) {
	class, gateway := Known()[0], Known()[1]
	one := []*Object{{}}
	for name, c := range map[string]struct {
		world World
		want  bool
	}{
		"a class alone":          {World{Resources: []Resource{class}, Objects: [][]*Object{nil}}, false},
		"a class and no Gateway": {World{Resources: []Resource{class, gateway}, Objects: [][]*Object{one, nil}}, true},
		"a Gateway":              {World{Resources: []Resource{class, gateway}, Objects: [][]*Object{nil, one}}, false},
	} {
		if have := c.world.barren(); have != c.want {
			t.Errorf("%s: %t", name, have)
		}
	}
}
