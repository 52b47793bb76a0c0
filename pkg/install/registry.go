package install

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/Masterminds/semver/v3"
	"helm.sh/helm/v3/pkg/helmpath"
	"helm.sh/helm/v3/pkg/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// pull gets a chart's archive from its registry.
func (c *Chart) pull(ctx context.Context) ([]byte, error) {
	ref := strings.TrimPrefix(c.Ref, registry.OCIScheme+"://")
	if c.RegistryConfig == "" {
		c.RegistryConfig = helmpath.ConfigPath("registry", "config.json")
	}
	if c.Version == "" {
		newest, err := c.newest(ctx, ref)
		if err != nil {
			return nil, err
		}
		c.Version = newest
	}
	options := []registry.ClientOption{registry.ClientOptWriter(io.Discard), registry.ClientOptCredentialsFile(c.RegistryConfig)}
	if c.PlainHTTP {
		options = append(options, registry.ClientOptPlainHTTP())
	}
	if c.Username != "" {
		options = append(options, registry.ClientOptBasicAuth(c.Username, c.Password))
	}
	client, err := registry.NewClient(options...)
	if err != nil {
		return nil, err
	}
	// A tag cannot have a plus sign; Helm writes an underscore.
	result, err := client.Pull(ref + ":" + strings.ReplaceAll(c.Version, "+", "_"))
	if err != nil {
		return nil, err
	}
	return result.Chart.Data, nil
}

// newest is the tag with the highest version, of those that are no pre-releases
// if there are such. Helm's own list leaves out tags that begin with v, as Envoy
// Gateway's do.
func (c *Chart) newest(ctx context.Context, ref string) (string, error) {
	repository, err := remote.NewRepository(ref)
	if err != nil {
		return "", err
	}
	repository.PlainHTTP = c.PlainHTTP
	client := &auth.Client{Client: auth.DefaultClient.Client, Cache: auth.NewCache()}
	if c.Username != "" {
		client.Credential = auth.StaticCredential(repository.Reference.Host(), auth.Credential{Username: c.Username, Password: c.Password})
	} else {
		store, err := credentials.NewStore(c.RegistryConfig, credentials.StoreOptions{})
		if err != nil {
			return "", fmt.Errorf("read %s: %w", c.RegistryConfig, err)
		}
		docker, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
		if err != nil {
			return "", fmt.Errorf("read what docker login kept: %w", err)
		}
		client.Credential = credentials.Credential(credentials.NewStoreWithFallbacks(store, docker))
	}
	repository.Client = client
	var best *semver.Version
	err = repository.Tags(ctx, "", func(tags []string) error {
		for _, tag := range tags {
			v, err := semver.NewVersion(strings.ReplaceAll(tag, "_", "+"))
			if err != nil {
				continue
			}
			if best == nil || better(v, best) {
				best = v
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("list the versions: %w", err)
	}
	if best == nil {
		return "", fmt.Errorf("there is no version of it")
	}
	return best.Original(), nil
}

// better says that a release goes before a pre-release, and what is newer before
// what is older.
func better(a, b *semver.Version) bool {
	if released := a.Prerelease() == ""; released != (b.Prerelease() == "") {
		return released
	}
	return a.GreaterThan(b)
}
