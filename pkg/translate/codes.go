package translate

import "github.com/egctl/egctl/pkg/finding"

const (
	accepted     = "Accepted"
	resolvedRefs = "ResolvedRefs"
	programmed   = "Programmed"
	conflicted   = "Conflicted"
)

// What the translator says. The explanations are for people in a hurry: what
// was seen, what follows for traffic, what to do.
var (
	// EG2xxx: classes, Gateways, listeners.
	classParameters = define("EG2001", finding.Error, accepted, "InvalidParameters", "parametersRef cannot be used",
		"The GatewayClass or Gateway names parameters that do not exist, are not an EnvoyProxy of the group gateway.envoyproxy.io, or hold values that cannot work. The Gateway is not accepted and no proxies are started for it. Proxies that already run are left as they are, and are still told of routes and endpoints. Create or correct the EnvoyProxy, or the reference.")
	classNotFound = define("EG2002", finding.Warning, "", "", "no GatewayClass",
		"No GatewayClass of the Gateway's gatewayClassName exists, or another controller owns it. Nothing is served for the Gateway. Create the class with this controller's controllerName.")
	addressUnsupported = define("EG2003", finding.Error, accepted, "UnsupportedAddress", "address type not supported",
		"Only addresses of the types IPAddress and Hostname can be asked for. The Gateway is not accepted. Remove the address or change its type.")
	addressNotUsable = define("EG2004", finding.Error, programmed, "AddressNotUsable", "address cannot be assigned",
		"spec.addresses asks for a hostname, which nothing here can assign, or for a value that is no IP address. The Gateway is served under the addresses that its status shows, and is not reported as programmed. Ask for an IP address that the Service can have, or for none.")
	gatewayParameters = define("EG2005", finding.Error, accepted, "InvalidParameters", "Gateway of a merged class has parameters of its own",
		"The EnvoyProxy of the GatewayClass puts all its Gateways on one fleet of proxies, which can run in one way only. The Gateway is left out. Remove its spec.infrastructure.parametersRef.")
	proxyInvalid = define("EG2006", finding.Error, accepted, "InvalidParameters", "EnvoyProxy cannot be used",
		"A field of the EnvoyProxy holds a value that cannot work. What runs by it is left as it is, and is still told of routes and endpoints; nothing new is started by it. Correct the field.")
	proxyIgnored = define("EG2007", finding.Warning, "", "", "EnvoyProxy has fields without effect",
		"egctl knows these fields and does not act on them yet. Everything else of the EnvoyProxy is in force.")
	listenerProtocol = define("EG2010", finding.Error, accepted, "UnsupportedProtocol", "protocol not supported",
		"A listener's protocol must be one of HTTP, HTTPS, TLS, TCP, UDP. The listener is left out; its neighbours are served.")
	listenerProtocolConflict = define("EG2011", finding.Error, conflicted, "ProtocolConflict", "listeners of one port disagree on the protocol",
		"Listeners that share a port must speak protocols that can be told apart: HTTP only with HTTP; HTTPS and TLS with each other by server name; TCP alone; UDP on its own transport. Within a Gateway all conflicting listeners are left out; a listener of the Gateway wins over one of a ListenerSet, and an older ListenerSet over a younger. Of Gateways that mergeGateways puts on one fleet the older one's listener wins.")
	listenerHostnameConflict = define("EG2012", finding.Error, conflicted, "HostnameConflict", "two listeners have the same port and hostname",
		"Listeners on one port are told apart by hostname, so no two may have the same one. Within a Gateway both are left out; a listener of the Gateway wins over one of a ListenerSet, and an older ListenerSet over a younger. Of Gateways that mergeGateways puts on one fleet the older one's listener wins.")
	listenerTLSMissing = define("EG2013", finding.Error, accepted, "UnsupportedValue", "TLS settings do not fit the protocol",
		"HTTPS listeners terminate TLS and need certificateRefs; TLS listeners need mode Terminate with certificateRefs or mode Passthrough without; other protocols take no TLS settings. The listener is left out.")
	listenerCertificate = define("EG2014", finding.Error, resolvedRefs, "InvalidCertificateRef", "certificate cannot be used",
		"A certificateRefs entry does not name an existing Secret with a usable tls.crt and tls.key. The other certificates of the listener stay in force; without any, the listener is not programmed.")
	listenerRefNotPermitted = define("EG2015", finding.Error, resolvedRefs, "RefNotPermitted", "reference into another namespace is not permitted",
		"A reference crosses namespaces and no ReferenceGrant in the target's namespace allows it. Create the ReferenceGrant or move the object.")
	listenerRouteKinds = define("EG2016", finding.Error, resolvedRefs, "InvalidRouteKinds", "allowedRoutes names kinds that the protocol cannot carry",
		"Each protocol carries certain route kinds: HTTP and HTTPS carry HTTPRoute and GRPCRoute, TLS carries TLSRoute (and TCPRoute when it terminates), TCP carries TCPRoute, UDP carries UDPRoute. The other kinds of the list stay allowed.")
	listenerCAKind = define("EG2017", finding.Error, resolvedRefs, "InvalidCACertificateKind", "kind of a CA certificate reference is not supported",
		"CA certificates are read from a ConfigMap (key ca.crt), a Secret (key ca.crt) or a ClusterTrustBundle. Without a usable CA certificate the listener is not accepted.")
	listenerCA = define("EG2018", finding.Error, resolvedRefs, "InvalidCACertificateRef", "CA certificate cannot be used",
		"A caCertificateRefs entry names an object that does not exist or holds no PEM certificates under ca.crt. Without a usable CA certificate the listener is not accepted.")
	listenerNoCA = define("EG2019", finding.Error, accepted, "NoValidCACertificate", "no usable CA certificate",
		"Client certificates must be verified, and none of the CA certificates can be used. The listener is left out rather than served without verification.")
	listenerSelector = define("EG2020", finding.Error, accepted, "UnsupportedValue", "label selector is invalid",
		"A namespace selector cannot be parsed, so it selects nothing. Correct the operator or the values.")
	listenerFilter = define("EG2021", finding.Error, accepted, "UnsupportedValue", "listener filter is not supported",
		"Listener filters may be of the type ExternalAuth with an existing backend. The listener is left out rather than served without its filter.")
	listenerOverlap = define("EG2022", finding.Info, "", "", "TLS listeners overlap",
		"Two TLS listeners of a port have hostnames that match common names. Clients may reuse a connection for a name of the other listener; such requests are answered 421, which makes them open a new connection.")
	listenerInvalid = define("EG2023", finding.Error, accepted, "UnsupportedValue", "listener value cannot be used",
		"A listener's name, port or hostname is one that no API server would admit: names must be unique and not empty, ports between 1 and 65535, hostnames DNS names that may begin with \"*.\". The listener is left out; its neighbours are served.")
	listenerPortTaken = define("EG2024", finding.Error, accepted, "PortUnavailable", "port is taken by another listener",
		"Ports below 1024 are served on a port of their own above, to which the Service maps them, so that the proxy needs no privileges. A listener that asks for that very port cannot be served beside, nor can one on the port on which proxies say that they are ready. The listener is left out; use another port.")
	gatewayClientCertificate = define("EG2030", finding.Error, resolvedRefs, "InvalidClientCertificateRef", "client certificate for backends cannot be used",
		"spec.tls.backend.clientCertificateRef does not name an existing Secret with a usable tls.crt and tls.key. TLS connections to backends are made without a client certificate.")
	gatewayClientCertificateNotPermitted = define("EG2031", finding.Error, resolvedRefs, "RefNotPermitted", "client certificate for backends is not permitted",
		"spec.tls.backend.clientCertificateRef crosses namespaces and no ReferenceGrant allows it. TLS connections to backends are made without a client certificate.")
	gatewayInsecureFrontend = define("EG2032", finding.Warning, "", "", "client certificates are not enforced",
		"With mode AllowInsecureFallback connections pass even if the client's certificate is missing or does not verify.")
	listenerSetNotAllowed = define("EG2040", finding.Error, accepted, "NotAllowed", "Gateway does not admit the ListenerSet",
		"The Gateway's allowedListeners does not admit ListenerSets of this namespace (by default it admits none). Its listeners are left out.")
	listenerSetParentInvalid = define("EG2041", finding.Error, accepted, "ParentNotAccepted", "parent Gateway is not accepted",
		"The Gateway that the ListenerSet joins is itself not accepted; see its findings.")

	// EG3xxx: routes.
	routeNoParent = define("EG3001", finding.Error, accepted, "NoMatchingParent", "parentRef matches no listener",
		"The parentRef names a Gateway or ListenerSet that has no listener of that sectionName and port. The route is not attached there.")
	routeNotAllowed = define("EG3002", finding.Error, accepted, "NotAllowedByListeners", "listeners do not admit the route",
		"The listener's allowedRoutes admits neither this kind nor this namespace (by default only routes of the Gateway's namespace). The route is not attached there.")
	routeNoHostname = define("EG3003", finding.Error, accepted, "NoMatchingListenerHostname", "no hostname in common with a listener",
		"None of the route's hostnames matches the hostname of an admitting listener. The route is not attached there.")
	routeParentMissing = define("EG3004", finding.Warning, "", "", "parent does not exist",
		"The parentRef names a Gateway or ListenerSet that does not exist, or that another controller owns. No status is written for it.")
	routeDetached = define("EG3006", finding.Warning, "", "", "route has no parent",
		"A route without parentRefs is attached to nothing and receives no traffic. No status is written for it.")
	routeMatchInvalid = define("EG3010", finding.Error, accepted, "UnsupportedValue", "match cannot be used",
		"A match holds a value that cannot work, such as a regular expression that does not compile. The rule is left out; the route's other rules are served.")
	routeFilterInvalid = define("EG3011", finding.Error, accepted, "UnsupportedValue", "filter cannot be used",
		"A filter is incomplete or holds a value that cannot work. Requests that match the rule are answered 500, since serving them without the filter could be unsafe.")
	routeFilterIncompatible = define("EG3012", finding.Error, accepted, "IncompatibleFilters", "filters cannot be combined",
		"The rule combines filters that exclude each other, such as a redirect and a rewrite. Requests that match it are answered 500.")
	routeFilterUnknown = define("EG3013", finding.Error, resolvedRefs, "InvalidKind", "extension filter is not known",
		"The rule names an extensionRef that is not supported or does not exist. Requests that match it are answered 500: a filter must not be skipped.")
	routeTimeout = define("EG3014", finding.Error, accepted, "UnsupportedValue", "timeout or retry value cannot be used",
		"A duration cannot be parsed or exceeds its limit. Requests that match the rule are answered 500.")
	routeRuleCount = define("EG3015", finding.Error, accepted, "UnsupportedValue", "route must have exactly one rule",
		"TCPRoute, UDPRoute and TLSRoute carry connections, so that there is nothing to choose a rule by. The route carries nothing.")
	routeShadowed = define("EG3016", finding.Warning, "", "", "route never receives traffic",
		"An older TCPRoute or UDPRoute on the same listener takes all connections.")
	routeSession = define("EG3017", finding.Error, accepted, "UnsupportedValue", "session persistence cannot be used",
		"The session persistence settings cannot be combined with the rest of the rule. Requests are balanced without it.")
	routeWeight = define("EG3019", finding.Error, resolvedRefs, "UnsupportedValue", "weight out of range",
		"A weight must be between 0 and 1000000. The backend's share of the requests is answered 500.")
	routeSessionTimeout = define("EG3020", finding.Warning, "", "", "session timeout has no effect",
		"Envoy keeps no list of sessions, so that an absolute timeout can be kept only by the client: in a permanent cookie. The session is kept without the timeout.")
	routeHostname = define("EG3005", finding.Warning, "", "", "hostname cannot be used",
		"A hostname of the route is not a DNS name, so that no request can have it. The route's other hostnames are served.")

	// EG4xxx: backends.
	backendNotFound = define("EG4001", finding.Error, resolvedRefs, "BackendNotFound", "backend does not exist",
		"A backendRef names a Service that does not exist, or a port that it does not have. Its share of the requests is answered 500. Without a cluster, egctl run --backend NAME:PORT=HOST:PORT stands in for a Service that is not in the files, and so does egctl translate --add-missing-services.")
	backendKind = define("EG4002", finding.Error, resolvedRefs, "InvalidKind", "kind of backend is not supported",
		"Backends may be a Service or a ServiceImport. The reference's share of the requests is answered 500.")
	backendNotPermitted = define("EG4003", finding.Error, resolvedRefs, "RefNotPermitted", "backend in another namespace is not permitted",
		"The backendRef crosses namespaces and no ReferenceGrant in the backend's namespace allows it. Its share of the requests is answered 500.")
	backendPort = define("EG4004", finding.Error, resolvedRefs, "BackendNotFound", "backend port is missing",
		"A reference to a Service needs a port that the Service has. Its share of the requests is answered 500.")
	backendExternalName = define("EG4005", finding.Error, resolvedRefs, "UnsupportedValue", "ExternalName Services are refused",
		"A Service of type ExternalName could point a route at anything a DNS name can reach, across every namespace border. Its share of the requests is answered 500. Use a Service with EndpointSlices instead.")
	backendProtocol = define("EG4006", finding.Error, resolvedRefs, "UnsupportedProtocol", "backend protocol does not fit the route",
		"The Service port's protocol or appProtocol cannot carry this kind of route. Its share of the traffic is refused.")
	backendNoEndpoints = define("EG4007", finding.Info, "", "", "backend has no endpoints",
		"The backend exists and has no ready endpoint; requests to it are answered 503 until one appears.")
	backendTLSInvalid = define("EG4008", finding.Error, "", "", "backend cannot be verified",
		"The BackendTLSPolicy of this backend has no usable CA certificate. Requests are answered 500 rather than sent without verification.")

	// EG5xxx: policies.
	policyConflicted = define("EG5001", finding.Error, accepted, "Conflicted", "an older policy covers the target",
		"Two policies target the same object and section. The older one is in force, by name where they are of one age.")
	policyNoCA = define("EG5002", finding.Error, accepted, "NoValidCACertificate", "no usable CA certificate",
		"None of the policy's CA certificates can be used. Requests to its targets are answered 500 rather than sent without verification.")
	policyCARef = define("EG5003", finding.Error, resolvedRefs, "InvalidCACertificateRef", "CA certificate cannot be used",
		"A caCertificateRefs entry names an object that does not exist or holds no PEM certificates under ca.crt.")
	policyCAKind = define("EG5004", finding.Error, resolvedRefs, "InvalidKind", "kind of a CA certificate reference is not supported",
		"CA certificates are read from a ConfigMap (key ca.crt), a Secret (key ca.crt) or a ClusterTrustBundle.")
	policyTargetNotFound = define("EG5005", finding.Warning, "", "", "policy target does not exist",
		"The policy names a Service, or a port of one, that does not exist, so that it does nothing.")

	policyWellKnown = define("EG5007", finding.Error, accepted, "Invalid", "set of CA certificates is not known",
		"wellKnownCACertificates names a set other than System. Requests to the policy's targets are answered 500 rather than sent without verification.")
	policyHostname = define("EG5008", finding.Error, accepted, "Invalid", "hostname of a policy cannot be used",
		"spec.validation.hostname is not a DNS name, so that nothing could be asked for by SNI and nothing verified. Requests to the policy's targets are answered 500 rather than sent without verification.")

	// EG6xxx: Envoy.
	envoyRejected = define("EG6001", finding.Error, accepted, "UnsupportedValue", "Envoy refused the configuration",
		"Envoy did not accept what was made from this object; of a listener mostly because another program has its port. A route is left out until it changes; any other object's part stays as Envoy last accepted it, if it did. Everything else is served. Envoy's own words are in the message.")

	// EG9xxx: ourselves.
	internalFault = define("EG9001", finding.Error, accepted, "UnsupportedValue", "egctl could not translate the object",
		"A fault in egctl. The object's part is left out, everything else is served. Please report it with the object.")
)
