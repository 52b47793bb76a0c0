package charts

import (
	"fmt"

	"github.com/egctl/egctl/pkg/crds"
)

// definitions are the YAML files of a channel by name, without the admission
// policy.
func definitions(channel crds.Channel) (map[string][]byte, error) {
	names, err := crds.Names(channel)
	if err != nil {
		return nil, fmt.Errorf("list the definitions: %w", err)
	}
	return read(names, func(name string) ([]byte, error) { return crds.YAML(channel, name) })
}

// extensions are the YAML files of egctl's own kinds by name. They are of no
// channel.
func extensions() (map[string][]byte, error) {
	names, err := crds.ExtensionNames()
	if err != nil {
		return nil, fmt.Errorf("list the extension's definitions: %w", err)
	}
	return read(names, crds.ExtensionYAML)
}

func read(names []string, one func(string) ([]byte, error)) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range names {
		if name == policyFile {
			continue
		}
		data, err := one(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		out[name] = data
	}
	return out, nil
}
