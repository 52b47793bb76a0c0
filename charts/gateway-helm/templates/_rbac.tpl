{{/* What the controller reads that belongs to no namespace. */}}
{{- define "eg.rules.cluster" -}}
- apiGroups: [""]
  resources: [nodes, namespaces]
  verbs: [get, list, watch]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get, list, watch]
# The finalizer of a class that has Gateways.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [get, list, watch, patch, update]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses/status]
  verbs: [patch, update]
- apiGroups: [certificates.k8s.io]
  resources: [clustertrustbundles]
  verbs: [get, list, watch]
{{- end }}

{{/* What the controller reads in the namespaces that it watches, and the
statuses and events that it writes there. */}}
{{- define "eg.rules.namespaced" -}}
- apiGroups: [""]
  resources: [configmaps, secrets, services]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [multicluster.x-k8s.io]
  resources: [serviceimports]
  verbs: [get, list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources:
    - backendtlspolicies
    - gateways
    - grpcroutes
    - httproutes
    - listenersets
    - referencegrants
    - tcproutes
    - tlsroutes
    - udproutes
  verbs: [get, list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources:
    - backendtlspolicies/status
    - gateways/status
    - grpcroutes/status
    - httproutes/status
    - listenersets/status
    - tcproutes/status
    - tlsroutes/status
    - udproutes/status
  verbs: [patch, update]
- apiGroups: [gateway.envoyproxy.io]
  resources:
    - backends
    - backendtrafficpolicies
    - clienttrafficpolicies
    - envoyextensionpolicies
    - envoypatchpolicies
    - envoyproxies
    - httproutefilters
    - securitypolicies
  verbs: [get, list, watch]
- apiGroups: [gateway.envoyproxy.io]
  resources:
    - backends/status
    - backendtrafficpolicies/status
    - clienttrafficpolicies/status
    - envoyextensionpolicies/status
    - envoypatchpolicies/status
    - envoyproxies/status
    - securitypolicies/status
  verbs: [patch, update]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* What the controller makes for proxies, in a namespace where proxies run. */}}
{{- define "eg.rules.infra" -}}
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services]
  verbs: [create, delete, deletecollection, get, list, patch, watch]
- apiGroups: [apps]
  resources: [deployments, daemonsets]
  verbs: [create, delete, deletecollection, get, list, patch, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [create, delete, deletecollection, get, list, patch, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, delete, deletecollection, get, list, patch, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
{{- end }}

{{/* What tells, in the namespace of a Gateway, of proxies that are elsewhere. */}}
{{- define "eg.rules.marks" -}}
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [create, delete, get, list, patch, watch]
{{- end }}

{{- define "eg.rules.tokenreview" -}}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
{{- end }}

{{/*
A role and its binding to the controller.
Takes {root, name, namespace, rules}; no namespace: cluster-wide.
*/}}
{{- define "eg.role" -}}
{{- $prefix := ternary "" "Cluster" (not (empty .namespace)) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $prefix }}Role
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "eg.labels" .root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $prefix }}RoleBinding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "eg.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $prefix }}Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: envoy-gateway
    namespace: {{ include "eg.namespace" .root }}
{{- end }}

{{/* Certificates: the controller's own, and those by which proxies are known. */}}
{{- define "eg.rules.secrets" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, delete, get, list, patch, update, watch]
{{- end }}

{{- define "eg.rules.leaderElection" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create, get, list, patch, update, watch]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
