// Package config reads the controller's configuration file, kind EnvoyGateway.
//
// It is as helpful as it can be with files made for Envoy Gateway: what egctl
// does not know or does not do yet is a warning that names the field and the
// line, and what contradicts itself is refused with all that is wrong at once.
package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	kjson "sigs.k8s.io/json"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/manifest"
)

// Defaults of fields, where they are not the zero value.
const (
	DefaultAdminHost             = "127.0.0.1"
	DefaultAdminPort             = 19000
	DefaultLeaseDuration         = gwapiv1.Duration("15s")
	DefaultRenewDeadline         = gwapiv1.Duration("10s")
	DefaultRetryPeriod           = gwapiv1.Duration("2s")
	DefaultQPS                   = 50
	DefaultBurst                 = 100
	DefaultMaxConnectionAgeGrace = gwapiv1.Duration("2m")
	// DefaultMaxReceiveMessageSize is in bytes.
	DefaultMaxReceiveMessageSize = 32 << 20
)

// Default returns what an empty file means.
func Default() *v1alpha1.EnvoyGateway {
	c := &v1alpha1.EnvoyGateway{}
	setDefaults(c)
	return c
}

// Load reads a file and fills in the defaults; the groups of settings that
// egctl supports are never nil after it. The warnings, each "file:line: field:
// what is wrong", name what is in the file and has no effect. The error, of the
// same form and with a line for everything that is wrong, says that the file
// cannot be used.
func Load(path string) (*v1alpha1.EnvoyGateway, []string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse is [Load] for text that is in memory already; name stands for the file
// in messages.
func Parse(name string, data []byte) (*v1alpha1.EnvoyGateway, []string, error) {
	doc, value, err := document(name, data)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{doc: doc}
	r.duplicates(data)
	c := r.config(value)
	if len(r.errs) > 0 {
		return nil, inOrder(r.warnings), errors.New(strings.Join(inOrder(r.errs), "\n"))
	}
	return c, inOrder(r.warnings), nil
}

// document finds the one document of a file.
func document(name string, data []byte) (*manifest.Document, map[string]any, error) {
	docs := manifest.Parse(name, data, "")
	switch len(docs) {
	case 0:
		return nil, nil, fmt.Errorf("%s: the file is empty; it needs at least apiVersion: %s and kind: %s", name, v1alpha1.GroupVersion, v1alpha1.KindEnvoyGateway)
	case 1:
	default:
		return nil, nil, fmt.Errorf("%s:%d: there is a second document; the file may hold only one", name, docs[1].Line)
	}
	doc := docs[0]
	for _, f := range doc.Findings() {
		if f.Code == manifest.CodeSyntax {
			pos, _ := doc.Position("")
			return nil, nil, fmt.Errorf("%s:%d: %s", name, pos.Line, f.Message)
		}
	}
	value, err := doc.Value()
	if err != nil {
		return nil, nil, fmt.Errorf("%s:%d: the file is no mapping; it needs at least apiVersion: %s and kind: %s", name, doc.Line, v1alpha1.GroupVersion, v1alpha1.KindEnvoyGateway)
	}
	return doc, value, nil
}

// config reads the whole file; the result counts only if nothing was refused.
func (r *reader) config(value map[string]any) *v1alpha1.EnvoyGateway {
	r.identity(value)
	injector := r.takeInjector(value)
	r.root(value)
	if len(r.errs) > 0 {
		return nil
	}
	c := &v1alpha1.EnvoyGateway{}
	text, err := json.Marshal(value)
	if err == nil {
		err = kjson.UnmarshalCaseSensitivePreserveInts(text, c)
	}
	if err != nil {
		// Each value has been tried against its type before.
		r.refuse("", err.Error(), "")
		return nil
	}
	if r.proxy != nil {
		c.EnvoyProxy = r.proxy
	}
	setDefaults(c)
	if injector != nil && c.Provider.Kubernetes.ProxyTopologyInjector == nil {
		c.Provider.Kubernetes.ProxyTopologyInjector = injector
	}
	r.check(c)
	return c
}

func setDefaults(c *v1alpha1.EnvoyGateway) {
	c.APIVersion, c.Kind = v1alpha1.GroupVersion.String(), v1alpha1.KindEnvoyGateway
	orNew(&c.Gateway)
	orValue(&c.Gateway.ControllerName, v1alpha1.GatewayControllerName)

	orNew(&c.Provider)
	orValue(&c.Provider.Type, v1alpha1.ProviderTypeKubernetes)
	orNew(&c.Provider.Kubernetes)
	k := c.Provider.Kubernetes
	orNew(&k.Deploy)
	orDefault(&k.Deploy.Type, v1alpha1.KubernetesDeployModeTypeControllerNamespace)
	orNew(&k.LeaderElection)
	orDefault(&k.LeaderElection.LeaseDuration, DefaultLeaseDuration)
	orDefault(&k.LeaderElection.RenewDeadline, DefaultRenewDeadline)
	orDefault(&k.LeaderElection.RetryPeriod, DefaultRetryPeriod)
	orDefault(&k.LeaderElection.Disable, false)
	orNew(&k.Client)
	orNew(&k.Client.RateLimit)
	orDefault(&k.Client.RateLimit.QPS, DefaultQPS)
	orDefault(&k.Client.RateLimit.Burst, DefaultBurst)
	orNew(&k.ShutdownManager)

	orNew(&c.Logging)
	if c.Logging.Level == nil {
		c.Logging.Level = map[v1alpha1.EnvoyGatewayLogComponent]v1alpha1.LogLevel{}
	}
	if c.Logging.Level[v1alpha1.LogComponentDefault] == "" {
		c.Logging.Level[v1alpha1.LogComponentDefault] = v1alpha1.LogLevelInfo
	}
	orValue(&c.Logging.Encoder, v1alpha1.LogEncoderText)

	orNew(&c.Admin)
	orNew(&c.Admin.Address)
	orValue(&c.Admin.Address.Host, DefaultAdminHost)
	orValue(&c.Admin.Address.Port, DefaultAdminPort)

	orNew(&c.Telemetry)
	orNew(&c.Telemetry.Metrics)
	orNew(&c.Telemetry.Metrics.Prometheus)

	orNew(&c.XDSServer)
	orDefault(&c.XDSServer.MaxConnectionAgeGrace, DefaultMaxConnectionAgeGrace)
	if c.XDSServer.MaxReceiveMessageSize == nil {
		c.XDSServer.MaxReceiveMessageSize = resource.NewQuantity(DefaultMaxReceiveMessageSize, resource.BinarySI)
	}
}

func orNew[T any](p **T) {
	if *p == nil {
		*p = new(T)
	}
}

func orValue[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func orDefault[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}
