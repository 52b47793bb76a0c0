package image

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Push makes one image for several architectures of the tarballs, each of one
// architecture, and writes it to a registry under every name in refs. It logs in
// as "docker login" said. Registries of this machine are spoken to without TLS.
// It returns the digest of the whole.
func Push(ctx context.Context, tarballs, refs []string) (v1.Hash, error) {
	var tags []name.Tag
	for _, ref := range refs {
		tag, err := name.NewTag(ref, name.StrictValidation)
		if err != nil {
			return v1.Hash{}, err
		}
		tags = append(tags, tag)
	}
	index, err := together(tarballs)
	if err != nil {
		return v1.Hash{}, err
	}
	for _, tag := range tags {
		err := remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
		if err != nil {
			return v1.Hash{}, fmt.Errorf("push %s: %w", tag, err)
		}
	}
	return index.Digest()
}

// together lists images under one name.
func together(tarballs []string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	from := map[string]string{}
	for _, file := range tarballs {
		image, err := tarball.ImageFromPath(file, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		platform := config.Platform()
		if other, ok := from[platform.String()]; ok {
			return nil, fmt.Errorf("%s and %s are both for %s", other, file, platform)
		}
		from[platform.String()] = file
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}
