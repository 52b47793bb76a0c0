package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// ProxyBootstrap changes the configuration that Envoy starts with.
//
// +kubebuilder:validation:XValidation:rule="(has(self.type) && self.type == 'JSONPatch') ? has(self.jsonPatches) : has(self.value)",message="type JSONPatch needs jsonPatches; the other types need value"
type ProxyBootstrap struct {
	// Type says how the change is made. Replace: value is the whole bootstrap.
	// Merge: value is merged into the default one as Protocol Buffers are (fields
	// replace, lists append). JSONPatch: jsonPatches are applied to it.
	// +optional
	// +kubebuilder:default=Replace
	Type *BootstrapType `json:"type,omitempty"`

	// Value is a bootstrap in YAML.
	// +optional
	Value *string `json:"value,omitempty"`

	// JSONPatches are applied in their order.
	// +optional
	JSONPatches []JSONPatchOperation `json:"jsonPatches,omitempty"`
}

// BootstrapType is a way to change the bootstrap.
//
// +kubebuilder:validation:Enum=Merge;Replace;JSONPatch
type BootstrapType string

const (
	// BootstrapTypeMerge merges into the default bootstrap.
	BootstrapTypeMerge BootstrapType = "Merge"
	// BootstrapTypeReplace takes the place of the default bootstrap.
	BootstrapTypeReplace BootstrapType = "Replace"
	// BootstrapTypeJSONPatch patches the default bootstrap.
	BootstrapTypeJSONPatch BootstrapType = "JSONPatch"
)

// JSONPatchOperation is one operation of RFC 6902.
type JSONPatchOperation struct {
	// Op is the operation.
	// +required
	Op JSONPatchOperationType `json:"op"`

	// Path is the JSON pointer (RFC 6901) to work on. With jsonPath it is relative
	// to each match.
	// +optional
	Path *string `json:"path,omitempty"`

	// JSONPath (RFC 9535) finds the places to work on.
	// +optional
	JSONPath *string `json:"jsonPath,omitempty"`

	// From is the JSON pointer that move and copy take from.
	// +optional
	From *string `json:"from,omitempty"`

	// Value is what add, replace and test use.
	// +optional
	Value *apiextensionsv1.JSON `json:"value,omitempty"`
}

// JSONPatchOperationType is the name of an operation of RFC 6902.
//
// +kubebuilder:validation:Enum=add;remove;replace;move;copy;test
type JSONPatchOperationType string

// ShutdownConfig sets how a proxy drains when it is told to end.
type ShutdownConfig struct {
	// DrainTimeout is the longest time to wait for open connections. Default: 60s.
	// +optional
	DrainTimeout *gwapiv1.Duration `json:"drainTimeout,omitempty"`

	// MinDrainDuration is the shortest time to keep serving, so that load
	// balancers notice. Default: 10s.
	// +optional
	MinDrainDuration *gwapiv1.Duration `json:"minDrainDuration,omitempty"`

	// HealthCheckFailureDelay is the time between the start of the drain and the
	// first failing health check. Default: 0s, health checks fail at once.
	// +optional
	HealthCheckFailureDelay *gwapiv1.Duration `json:"healthCheckFailureDelay,omitempty"`
}

// FilterPosition moves an HTTP filter before or behind another.
//
// +kubebuilder:validation:XValidation:rule="has(self.before) != has(self.after)",message="exactly one of before and after must be set"
type FilterPosition struct {
	// Name is the filter to move.
	// +required
	Name EnvoyFilter `json:"name"`

	// Before is the filter to move it ahead of.
	// +optional
	Before *EnvoyFilter `json:"before,omitempty"`

	// After is the filter to move it behind.
	// +optional
	After *EnvoyFilter `json:"after,omitempty"`
}

// EnvoyFilter is the name of a kind of HTTP filter. All filters of that kind in
// the chain move together.
//
// +kubebuilder:validation:Enum=envoy.filters.http.custom_response;envoy.filters.http.health_check;envoy.filters.http.fault;envoy.filters.http.cors;envoy.filters.http.csrf;envoy.filters.http.header_mutation;envoy.filters.http.ext_authz;envoy.filters.http.api_key_auth;envoy.filters.http.basic_auth;envoy.filters.http.oauth2;envoy.filters.http.jwt_authn;envoy.filters.http.stateful_session;envoy.filters.http.buffer;envoy.filters.http.lua;envoy.filters.http.ext_proc;envoy.filters.http.wasm;envoy.filters.http.dynamic_modules;envoy.filters.http.geoip;envoy.filters.http.rbac;envoy.filters.http.local_ratelimit;envoy.filters.http.ratelimit;envoy.filters.http.bandwidth_limit;envoy.filters.http.grpc_web;envoy.filters.http.grpc_stats;envoy.filters.http.credential_injector;envoy.filters.http.compressor;envoy.filters.http.dynamic_forward_proxy
type EnvoyFilter string

// LuaValidation says how Lua scripts are checked before proxies get them.
//
// +kubebuilder:validation:Enum=Strict;InsecureSyntax;Disabled
type LuaValidation string

const (
	// LuaValidationStrict runs scripts in a sandbox that lacks what is dangerous.
	LuaValidationStrict LuaValidation = "Strict"
	// LuaValidationInsecureSyntax checks the syntax alone.
	LuaValidationInsecureSyntax LuaValidation = "InsecureSyntax"
	// LuaValidationDisabled checks nothing.
	LuaValidationDisabled LuaValidation = "Disabled"
)

// LuaSettings sets how Lua scripts are checked.
type LuaSettings struct {
	// ValidationType is how scripts are checked.
	// +optional
	// +kubebuilder:default=Strict
	ValidationType *LuaValidation `json:"validationType,omitempty"`

	// StrictValidation widens what scripts may do under Strict.
	// +optional
	StrictValidation *LuaStrictValidation `json:"strictValidation,omitempty"`
}

// LuaStrictValidation widens what Lua scripts may do.
type LuaStrictValidation struct {
	// AllowedEnvVars are the environment variables that scripts may read.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	AllowedEnvVars []string `json:"allowedEnvVars,omitempty"`

	// AllowedPaths are the files and folders that scripts may read.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	AllowedPaths []string `json:"allowedPaths,omitempty"`
}

// DynamicModuleName is the name by which policies refer to a dynamic module.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`
type DynamicModuleName string

// DynamicModuleEntry is a shared library that may be loaded into Envoy.
type DynamicModuleEntry struct {
	// Name is what policies call the module.
	// +required
	Name DynamicModuleName `json:"name"`

	// Source is where the library comes from.
	// +required
	Source DynamicModuleSource `json:"source"`

	// DoNotClose keeps the library loaded when nothing uses it any more.
	// +optional
	// +kubebuilder:default=false
	DoNotClose *bool `json:"doNotClose,omitempty"`

	// LoadGlobally makes the library's symbols visible to others (RTLD_GLOBAL).
	// +optional
	// +kubebuilder:default=false
	LoadGlobally *bool `json:"loadGlobally,omitempty"`
}

// DynamicModuleSource is where a shared library comes from.
//
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'Local' ? has(self.local) && !has(self.remote) : has(self.remote) && !has(self.local)",message="type Local needs local alone; type Remote needs remote alone"
type DynamicModuleSource struct {
	// Type is Local or Remote.
	// +unionDiscriminator
	// +optional
	// +kubebuilder:default=Local
	Type *DynamicModuleSourceType `json:"type,omitempty"`

	// Local is a file in the Envoy container.
	// +optional
	Local *LocalDynamicModuleSource `json:"local,omitempty"`

	// Remote is fetched by HTTP.
	// +optional
	Remote *RemoteDynamicModuleSource `json:"remote,omitempty"`
}

// DynamicModuleSourceType tells sources of shared libraries apart.
//
// +kubebuilder:validation:Enum=Local;Remote
type DynamicModuleSourceType string

// LocalDynamicModuleSource is a file in the Envoy container.
type LocalDynamicModuleSource struct {
	// Path is the absolute path of the library.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`
}

// RemoteDynamicModuleSource is fetched by HTTP.
type RemoteDynamicModuleSource struct {
	// URL is an http or https address.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:Pattern=`^https?://[^/?#]+(?:[/?#].*)?$`
	URL string `json:"url"`

	// SHA256 is the checksum of the library, 64 hexadecimal digits.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-f0-9]{64}$`
	SHA256 string `json:"sha256"`
}

// GeoIP names the databases that tell a client's place by its address.
type GeoIP struct {
	// Provider is where the databases come from.
	// +required
	Provider GeoIPProvider `json:"provider"`
}

// GeoIPProvider is where the databases come from.
//
// +union
// +kubebuilder:validation:XValidation:rule="self.type != 'MaxMind' || has(self.maxMind)",message="type MaxMind needs maxMind"
type GeoIPProvider struct {
	// Type is MaxMind.
	// +unionDiscriminator
	// +required
	Type GeoIPProviderType `json:"type"`

	// MaxMind names databases in MaxMind's format.
	// +optional
	MaxMind *GeoIPMaxMind `json:"maxMind,omitempty"`
}

// GeoIPProviderType tells providers of databases apart.
//
// +kubebuilder:validation:Enum=MaxMind
type GeoIPProviderType string

// GeoIPMaxMind names databases in MaxMind's format.
//
// +kubebuilder:validation:XValidation:rule="has(self.cityDbSource) || has(self.countryDbSource) || has(self.asnDbSource) || has(self.ispDbSource) || has(self.anonymousIpDbSource)",message="at least one database must be set"
type GeoIPMaxMind struct {
	// CityDBSource tells city, region and country.
	// +optional
	CityDBSource *GeoIPDBSource `json:"cityDbSource,omitempty"`
	// CountryDBSource tells the country.
	// +optional
	CountryDBSource *GeoIPDBSource `json:"countryDbSource,omitempty"`
	// ASNDBSource tells the autonomous system.
	// +optional
	ASNDBSource *GeoIPDBSource `json:"asnDbSource,omitempty"`
	// ISPDBSource tells the provider of the client's connection.
	// +optional
	ISPDBSource *GeoIPDBSource `json:"ispDbSource,omitempty"`
	// AnonymousIPDBSource tells VPNs, proxies and the like.
	// +optional
	AnonymousIPDBSource *GeoIPDBSource `json:"anonymousIpDbSource,omitempty"`
}

// GeoIPDBSource is where a database comes from.
type GeoIPDBSource struct {
	// Local is a file in the Envoy container.
	// +required
	Local LocalGeoIPDBSource `json:"local"`
}

// LocalGeoIPDBSource is a database in the Envoy container.
type LocalGeoIPDBSource struct {
	// Path is the absolute path of the file, ending in .mmdb.
	// +required
	// +kubebuilder:validation:Pattern=`^.*\.mmdb$`
	Path string `json:"path"`
}

// BackendTLSConfig holds TLS settings for connections to all backends.
type BackendTLSConfig struct {
	// ClientCertificateRef names the Secret with the certificate that proxies
	// show to backends.
	// +optional
	ClientCertificateRef *gwapiv1.SecretObjectReference `json:"clientCertificateRef,omitempty"`

	TLSSettings `json:",inline"`
}
