package v1alpha1

// EnvoyProxySpec says how the proxies of a Gateway are to run.
type EnvoyProxySpec struct{}
