package charts

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/egctl/egctl/pkg/crds"
)

// extensions is where package crds keeps the definitions of egctl's own kinds,
// which are of no channel of the Gateway API.
const extensions = crds.Channel("extension")

// definitions are the YAML files of a channel by name, without the admission
// policy.
func definitions(channel crds.Channel) (map[string][]byte, error) {
	names, err := crds.Names(channel)
	if errors.Is(err, fs.ErrNotExist) && channel == extensions {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the definitions: %w", err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		if name == policyFile {
			continue
		}
		if out[name], err = crds.YAML(channel, name); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return out, nil
}
