package charts

import (
	"fmt"

	"github.com/egctl/egctl/pkg/crds"
)

// extensions stands for the definitions of egctl's own kinds, which are of no
// channel of the Gateway API.
const extensions = crds.Channel("extension")

// definitions are the YAML files of a channel by name, without the admission
// policy.
func definitions(channel crds.Channel) (map[string][]byte, error) {
	list, read := crds.Names, crds.YAML
	if channel == extensions {
		list = func(crds.Channel) ([]string, error) { return crds.ExtensionNames() }
		read = func(_ crds.Channel, name string) ([]byte, error) { return crds.ExtensionYAML(name) }
	}
	names, err := list(channel)
	if err != nil {
		return nil, fmt.Errorf("list the definitions: %w", err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		if name == policyFile {
			continue
		}
		if out[name], err = read(channel, name); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return out, nil
}
