{{- define "eg.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "eg.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "eg.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "eg.selectorLabels" -}}
app.kubernetes.io/name: {{ include "eg.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "eg.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "eg.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
An image from global.imageRegistry, if that is set. What stands before the first
slash is a registry if it looks like a host.
Takes {root, image}.
*/}}
{{- define "eg.registry" -}}
{{- $registry := .root.Values.global.imageRegistry | default "" | trimSuffix "/" -}}
{{- if not $registry -}}
{{ .image }}
{{- else -}}
{{- $parts := splitList "/" .image -}}
{{- $first := first $parts -}}
{{- if and (gt (len $parts) 1) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) -}}
{{ $registry }}/{{ rest $parts | join "/" }}
{{- else -}}
{{ $registry }}/{{ .image }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The controller's image. */}}
{{- define "eg.image" -}}
{{- $own := .Values.deployment.envoyGateway.image -}}
{{- $default := "docker.io/egctl/egctl" -}}
{{- $image := printf "%s:%s" $default (default .Chart.AppVersion $own.tag) -}}
{{- if $own.repository -}}
{{- $image = printf "%s:%s" $own.repository (default .Chart.AppVersion $own.tag) -}}
{{- else if and .Values.global.images.envoyGateway.image (not $own.tag) -}}
{{- $image = .Values.global.images.envoyGateway.image -}}
{{- end -}}
{{- include "eg.registry" (dict "root" . "image" $image) -}}
{{- end }}

{{- define "eg.imagePullPolicy" -}}
{{- $set := coalesce .Values.deployment.envoyGateway.imagePullPolicy .Values.global.images.envoyGateway.pullPolicy -}}
{{- default (ternary "Always" "IfNotPresent" (hasSuffix ":latest" (include "eg.image" .))) $set -}}
{{- end }}

{{/*
Pull secrets as Kubernetes wants them, from names or {name: …}.
Takes {root, secrets}; global.imagePullSecrets wins.
*/}}
{{- define "eg.pullSecrets" -}}
{{- $list := list -}}
{{- range (.root.Values.global.imagePullSecrets | default .secrets) -}}
{{- if kindIs "map" . }}{{ $list = append $list . }}{{ else }}{{ $list = append $list (dict "name" .) }}{{ end -}}
{{- end -}}
{{- toJson $list -}}
{{- end }}

{{- define "eg.imagePullSecrets" -}}
{{- $own := .Values.deployment.envoyGateway.imagePullSecrets | default .Values.global.images.envoyGateway.pullSecrets -}}
{{- include "eg.pullSecrets" (dict "root" . "secrets" $own) -}}
{{- end }}

{{/* A patch that sets the imagePullPolicy of one container of a Deployment, for
which an EnvoyProxy has no field. Takes {container, policy}. */}}
{{- define "eg.pullPolicyPatch" -}}
type: StrategicMerge
value:
  spec:
    template:
      spec:
        containers:
          - name: {{ .container }}
            imagePullPolicy: {{ .policy }}
{{- end }}

{{/* What the values say of the rate limit service's Deployment. */}}
{{- define "eg.rateLimitDeployment" -}}
{{- $rl := .Values.global.images.ratelimit -}}
{{- $out := dict "container" (dict "image" (include "eg.registry" (dict "root" . "image" $rl.image))) -}}
{{- with include "eg.pullSecrets" (dict "root" . "secrets" $rl.pullSecrets) | fromJsonArray -}}
{{- $_ := set $out "pod" (dict "imagePullSecrets" .) -}}
{{- end -}}
{{- with $rl.pullPolicy -}}
{{- $_ := set $out "patch" (include "eg.pullPolicyPatch" (dict "container" "envoy-ratelimit" "policy" .) | fromYaml) -}}
{{- end -}}
{{- toJson $out -}}
{{- end }}

{{/* The proxies' image if none is named but all images come from one registry. */}}
{{- define "eg.defaultProxyImage" -}}
docker.io/envoyproxy/envoy:distroless-v1.40.0
{{- end }}

{{/* What the values say of the proxies' Deployments; {} if nothing. */}}
{{- define "eg.proxyDeployment" -}}
{{- $proxy := .Values.global.images.envoyProxy -}}
{{- $image := $proxy.image -}}
{{- if and (not $image) .Values.global.imageRegistry -}}
{{- $image = include "eg.defaultProxyImage" . -}}
{{- end -}}
{{- $out := dict -}}
{{- with $image -}}
{{- $_ := set $out "container" (dict "image" (include "eg.registry" (dict "root" $ "image" .))) -}}
{{- end -}}
{{- with include "eg.pullSecrets" (dict "root" . "secrets" $proxy.pullSecrets) | fromJsonArray -}}
{{- $_ := set $out "pod" (dict "imagePullSecrets" .) -}}
{{- end -}}
{{- with $proxy.pullPolicy -}}
{{- $_ := set $out "patch" (include "eg.pullPolicyPatch" (dict "container" "envoy" "policy" .) | fromYaml) -}}
{{- end -}}
{{- toJson $out -}}
{{- end }}

{{/* The controller's configuration: the user's over what the values imply. */}}
{{- define "eg.config" -}}
{{- $kubernetes := dict -}}
{{- if .Values.config.envoyGateway.rateLimit -}}
{{- $_ := set $kubernetes "rateLimitDeployment" (include "eg.rateLimitDeployment" . | fromJson) -}}
{{- end -}}
{{- $config := dict
  "apiVersion" "gateway.envoyproxy.io/v1alpha1"
  "kind" "EnvoyGateway"
  "provider" (dict "type" "Kubernetes" "kubernetes" $kubernetes) -}}
{{- with include "eg.proxyDeployment" . | fromJson -}}
{{- $_ := set $config "envoyProxy" (dict "provider" (dict "type" "Kubernetes" "kubernetes" (dict "envoyDeployment" .))) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config (deepCopy .Values.config.envoyGateway)) -}}
{{- end }}

{{/* The namespaces that the controller watches, as JSON; [] is all of them. */}}
{{- define "eg.watchNamespaces" -}}
{{- $watch := dig "provider" "kubernetes" "watch" dict .Values.config.envoyGateway | default dict -}}
{{- if eq (get $watch "type" | default "Namespaces") "Namespaces" -}}
{{- get $watch "namespaces" | default list | uniq | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end }}

{{/* "true" if proxies run in the namespaces of their Gateways. */}}
{{- define "eg.gatewayNamespaceMode" -}}
{{- eq (dig "provider" "kubernetes" "deploy" "type" "" .Values.config.envoyGateway) "GatewayNamespace" -}}
{{- end }}
