package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// LoadBalancer says how endpoints are chosen.
//
// +union
// +kubebuilder:validation:XValidation:rule="(self.type == 'ConsistentHash') == has(self.consistentHash)",message="consistentHash must be set if and only if type is ConsistentHash"
// +kubebuilder:validation:XValidation:rule="self.type == 'BackendUtilization' || !has(self.backendUtilization)",message="backendUtilization is only for type BackendUtilization"
// +kubebuilder:validation:XValidation:rule="(self.type == 'DynamicModule') == has(self.dynamicModule)",message="dynamicModule must be set if and only if type is DynamicModule"
// +kubebuilder:validation:XValidation:rule="!(self.type in ['Random', 'ConsistentHash', 'DynamicModule']) || !has(self.slowStart)",message="slowStart is only for types RoundRobin, LeastRequest and BackendUtilization"
// +kubebuilder:validation:XValidation:rule="!(self.type in ['ConsistentHash', 'BackendUtilization']) || !has(self.zoneAware) || !has(self.zoneAware.preferLocal)",message="zoneAware.preferLocal cannot be used with types ConsistentHash and BackendUtilization"
// +kubebuilder:validation:XValidation:rule="self.type != 'DynamicModule' || !(has(self.zoneAware) || has(self.endpointOverride))",message="zoneAware and endpointOverride cannot be used with type DynamicModule"
type LoadBalancer struct {
	// Type is the algorithm.
	// +unionDiscriminator
	// +required
	Type LoadBalancerType `json:"type"`

	// ConsistentHash sends alike requests to the same endpoint.
	// +optional
	ConsistentHash *ConsistentHash `json:"consistentHash,omitempty"`

	// BackendUtilization goes by the load that endpoints report (ORCA).
	// +optional
	BackendUtilization *BackendUtilization `json:"backendUtilization,omitempty"`

	// DynamicModule is an algorithm from a dynamic module.
	// +optional
	DynamicModule *DynamicModuleLBPolicy `json:"dynamicModule,omitempty"`

	// EndpointOverride lets a request name its endpoint.
	// +optional
	EndpointOverride *EndpointOverride `json:"endpointOverride,omitempty"`

	// SlowStart raises the traffic to new endpoints over some time.
	// +optional
	SlowStart *SlowStart `json:"slowStart,omitempty"`

	// ZoneAware goes by the zones of proxies and endpoints.
	// +optional
	ZoneAware *ZoneAware `json:"zoneAware,omitempty"`
}

// LoadBalancerType is an algorithm to choose endpoints.
//
// +kubebuilder:validation:Enum=ConsistentHash;LeastRequest;Random;RoundRobin;BackendUtilization;DynamicModule
type LoadBalancerType string

const (
	// ConsistentHashLoadBalancerType sends alike requests to the same endpoint.
	ConsistentHashLoadBalancerType LoadBalancerType = "ConsistentHash"
	// LeastRequestLoadBalancerType takes the less busy of two random endpoints.
	LeastRequestLoadBalancerType LoadBalancerType = "LeastRequest"
	// RandomLoadBalancerType takes a random endpoint.
	RandomLoadBalancerType LoadBalancerType = "Random"
	// RoundRobinLoadBalancerType takes one endpoint after the other.
	RoundRobinLoadBalancerType LoadBalancerType = "RoundRobin"
	// BackendUtilizationLoadBalancerType goes by the load that endpoints report.
	BackendUtilizationLoadBalancerType LoadBalancerType = "BackendUtilization"
	// DynamicModuleLoadBalancerType is an algorithm from a dynamic module.
	DynamicModuleLoadBalancerType LoadBalancerType = "DynamicModule"
)

// ConsistentHash sends alike requests to the same endpoint (Maglev).
//
// +union
// +kubebuilder:validation:XValidation:rule="(self.type == 'Header') == has(self.header)",message="header must be set if and only if type is Header"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Headers') == has(self.headers)",message="headers must be set if and only if type is Headers"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Cookie') == has(self.cookie)",message="cookie must be set if and only if type is Cookie"
// +kubebuilder:validation:XValidation:rule="(self.type == 'QueryParams') == has(self.queryParams)",message="queryParams must be set if and only if type is QueryParams"
type ConsistentHash struct {
	// Type says what makes requests alike.
	// +unionDiscriminator
	// +required
	Type ConsistentHashType `json:"type"`

	// Header is deprecated; use headers.
	// +optional
	Header *ConsistentHashKey `json:"header,omitempty"`

	// Headers are request headers.
	// +optional
	Headers []ConsistentHashKey `json:"headers,omitempty"`

	// Cookie is a cookie of the request.
	// +optional
	Cookie *ConsistentHashCookie `json:"cookie,omitempty"`

	// QueryParams are query parameters.
	// +optional
	QueryParams []ConsistentHashKey `json:"queryParams,omitempty"`

	// TableSize is the size of Maglev's table, a prime number.
	// +optional
	// +kubebuilder:default=65537
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=5000011
	TableSize *int64 `json:"tableSize,omitempty"`
}

// ConsistentHashType says what makes requests alike.
//
// +kubebuilder:validation:Enum=SourceIP;Header;Headers;Cookie;QueryParams
type ConsistentHashType string

const (
	// SourceIPConsistentHashType is the client's address.
	SourceIPConsistentHashType ConsistentHashType = "SourceIP"
	// HeaderConsistentHashType is a header.
	HeaderConsistentHashType ConsistentHashType = "Header"
	// HeadersConsistentHashType is several headers.
	HeadersConsistentHashType ConsistentHashType = "Headers"
	// CookieConsistentHashType is a cookie.
	CookieConsistentHashType ConsistentHashType = "Cookie"
	// QueryParamsConsistentHashType is query parameters.
	QueryParamsConsistentHashType ConsistentHashType = "QueryParams"
)

// ConsistentHashKey names a header or query parameter.
type ConsistentHashKey struct {
	// Name is the name of the header or query parameter.
	// +required
	Name string `json:"name"`
}

// ConsistentHashCookie is a cookie of the request.
type ConsistentHashCookie struct {
	// Name is the name of the cookie.
	// +required
	Name string `json:"name"`

	// TTL is the life of a cookie that the proxy sets where the request has none.
	// Absent: the proxy sets none. 0s: a cookie that ends with the session.
	// +optional
	TTL *gwapiv1.Duration `json:"ttl,omitempty"`

	// Attributes are those of the cookie that the proxy sets, such as SameSite.
	// +optional
	Attributes map[string]string `json:"attributes,omitempty"`
}

// BackendUtilization goes by the load that endpoints report (ORCA).
type BackendUtilization struct {
	// BlackoutPeriod is how long an endpoint has to report before its reports
	// count. Default: 10s.
	// +optional
	BlackoutPeriod *gwapiv1.Duration `json:"blackoutPeriod,omitempty"`

	// WeightExpirationPeriod is how long a report counts. Default: 3m.
	// +optional
	WeightExpirationPeriod *gwapiv1.Duration `json:"weightExpirationPeriod,omitempty"`

	// WeightUpdatePeriod is the time between new weights. Default: 1s.
	// +optional
	WeightUpdatePeriod *gwapiv1.Duration `json:"weightUpdatePeriod,omitempty"`

	// ErrorUtilizationPenaltyPercent is how much failed requests lower the weight
	// of an endpoint: 100 counts an error rate as as much utilization.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ErrorUtilizationPenaltyPercent *int32 `json:"errorUtilizationPenaltyPercent,omitempty"`

	// MetricNamesForComputingUtilization are named metrics to go by, where an
	// endpoint reports no application utilization.
	// +optional
	MetricNamesForComputingUtilization []string `json:"metricNamesForComputingUtilization,omitempty"`

	// KeepResponseHeaders lets clients see the headers with the reports.
	// +optional
	// +kubebuilder:default=false
	KeepResponseHeaders *bool `json:"keepResponseHeaders,omitempty"`

	// OutOfBand asks endpoints for reports by gRPC, instead of taking those in
	// responses.
	// +optional
	OutOfBand *BackendUtilizationOutOfBand `json:"outOfBand,omitempty"`
}

// BackendUtilizationOutOfBand asks endpoints for reports by gRPC.
//
// +kubebuilder:validation:XValidation:rule="!has(self.reportingPeriod) || duration(self.reportingPeriod) > duration('0s')",message="reportingPeriod must be greater than 0"
type BackendUtilizationOutOfBand struct {
	// Port is the port to ask at. Default: that of the endpoint.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// ReportingPeriod is the time between reports. Default: 10s.
	// +optional
	ReportingPeriod *gwapiv1.Duration `json:"reportingPeriod,omitempty"`

	// Authority is the :authority of the calls.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=259
	// +kubebuilder:validation:Pattern=`^[^\x00\n\r]*$`
	Authority *string `json:"authority,omitempty"`
}

// DynamicModuleLBPolicy is an algorithm from a dynamic module.
type DynamicModuleLBPolicy struct {
	// Name is that of the module among the dynamicModules of EnvoyProxy.
	// +required
	Name DynamicModuleName `json:"name"`

	// LBPolicyName is the name of the algorithm in the module.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LBPolicyName string `json:"lbPolicyName"`

	// Config is given to the algorithm.
	// +optional
	Config *apiextensionsv1.JSON `json:"config,omitempty"`
}

// EndpointOverride lets a request name its endpoint. Where it does not, or the
// endpoint is unknown, the algorithm chooses.
type EndpointOverride struct {
	// ExtractFrom are the places to look at, the first first.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	ExtractFrom []EndpointOverrideExtractFrom `json:"extractFrom"`
}

// EndpointOverrideExtractFrom is a place where a request names its endpoint.
type EndpointOverrideExtractFrom struct {
	// Header is a request header with address and port, or several with commas.
	// Clients can set it, too.
	// +optional
	Header *string `json:"header,omitempty"`
}

// SlowStart raises the traffic to new endpoints over some time.
type SlowStart struct {
	// Window is that time.
	// +required
	Window *gwapiv1.Duration `json:"window"`
}

// ZoneAware goes by the zones of proxies and endpoints.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.preferLocal) && has(self.weightedZones))",message="only one of preferLocal and weightedZones can be set"
type ZoneAware struct {
	// PreferLocal sends to endpoints in the proxy's own zone.
	// +optional
	PreferLocal *PreferLocalZone `json:"preferLocal,omitempty"`

	// WeightedZones give zones a share of the traffic; a zone that is not named
	// has the weight 1.
	// +optional
	// +listType=map
	// +listMapKey=zone
	WeightedZones []WeightedZone `json:"weightedZones,omitempty"`
}

// PreferLocalZone sends to endpoints in the proxy's own zone.
type PreferLocalZone struct {
	// MinEndpointsThreshold is the number of endpoints below which zones do not
	// count. Default: 6.
	// +optional
	MinEndpointsThreshold *int64 `json:"minEndpointsThreshold,omitempty"`

	// PercentageEnabled is the percentage of requests that go by zones. Default:
	// 100.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	PercentageEnabled *int32 `json:"percentageEnabled,omitempty"`

	// Force keeps traffic in the zone even where the load becomes uneven.
	// +optional
	Force *ForceLocalZone `json:"force,omitempty"`
}

// ForceLocalZone keeps traffic in the zone.
type ForceLocalZone struct {
	// MinEndpointsInZoneThreshold is the number of endpoints in the zone below
	// which it is not forced. Default: 1.
	// +optional
	MinEndpointsInZoneThreshold *int32 `json:"minEndpointsInZoneThreshold,omitempty"`
}

// WeightedZone gives a zone a share of the traffic.
type WeightedZone struct {
	// Zone is the name of the zone, the node label topology.kubernetes.io/zone.
	// +required
	Zone string `json:"zone"`

	// Weight is the share of the zone.
	// +required
	Weight int32 `json:"weight"`
}
