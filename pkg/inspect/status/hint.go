package status

// hint says what to do about a condition that is not fine, by its reason. The
// reasons are those of the Gateway API and of Envoy Gateway.
func hint(c Condition) string {
	if c.Type == existence {
		return "create it, or correct the name and the namespace of the reference"
	}
	switch c.Reason {
	case "NoAnswer", "Pending":
		return "is a controller for the GatewayClass running? `egctl status gatewayclass` shows which classes are accepted"
	case "Stale":
		return "look again in a moment; if it stays so, the controller is not running or is stuck"
	case "InvalidParameters":
		return "the object of parametersRef is missing or wrong; `egctl status envoyproxy -v` says how"
	case "AddressNotAssigned":
		return "the Service of the proxies has no address: does the cluster have a load balancer? `egctl port-forward gateway/NAME` works without one"
	case "AddressNotUsable":
		return "an address of spec.addresses cannot be had; leave it out, or name another"
	case "NoResources":
		return "no proxy is ready yet; look at the pods with the label gateway.envoyproxy.io/owning-gateway-name"
	case "ListenersNotValid":
		return "see the listeners that are named here"
	case "UnsupportedProtocol":
		return "use HTTP, HTTPS, TLS, TCP or UDP"
	case "InvalidCertificateRef":
		return "the Secret must exist, be of type kubernetes.io/tls and hold a certificate and its key"
	case "RefNotPermitted":
		return "a reference into another namespace needs a ReferenceGrant there"
	case "InvalidRouteKinds":
		return "allowedRoutes.kinds names a kind that this protocol does not carry"
	case "HostnameConflict", "ProtocolConflict":
		return "two listeners claim the same port with the same hostname or with protocols that exclude each other; change one"
	case "NoMatchingParent":
		return "sectionName or port of the parentRef match no listener"
	case "NotAllowedByListeners":
		return "allowedRoutes of the listener lets in no route of this kind or namespace"
	case "NoMatchingListenerHostname":
		return "no hostname of the route is within the listener's hostname"
	case "BackendNotFound":
		return "create the Service, or correct the name, the namespace or the port of the backendRef"
	case "InvalidKind":
		return "the reference names a kind that cannot be used there"
	case "PortNotFound", "PortNotSpecified":
		return "the backendRef needs a port that the Service has"
	case "EndpointsNotFound":
		return "no pod behind the Service is ready"
	case "TargetNotFound":
		return "the target, or the sectionName in it, does not exist"
	case "Conflicted":
		return "an older object has the same target; merge the two"
	case "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull":
		return "the node cannot get the image: is its name right, does the node reach the registry, does the pod need imagePullSecrets? An EnvoyProxy sets both"
	case "Unschedulable":
		return "no node takes the pod: free resources, or change the requests, nodeSelector, affinity or tolerations in the EnvoyProxy"
	case "CrashLoopBackOff", "Error", "OOMKilled", "RunContainerError", "CreateContainerError":
		return "`kubectl logs --all-containers --previous` of the pod says why it ended; where that is OOMKilled, raise the memory limit in the EnvoyProxy"
	case "CreateContainerConfigError":
		return "a ConfigMap or Secret that the pod needs is missing"
	case "ContainerCreating", "PodInitializing":
		return "it is starting; `kubectl describe` of the pod says what it waits for if it takes long"
	case "NotReady":
		return "a proxy is not ready until the controller has sent it its configuration: `kubectl logs` of its container envoy says whether it reaches the controller"
	case "FailedCreate":
		return "the API server lets no pod be made: a quota, Pod Security or another admission policy of the namespace is in the way"
	case "Disabled":
		return "the feature is switched off in the controller's configuration"
	default:
		return ""
	}
}
