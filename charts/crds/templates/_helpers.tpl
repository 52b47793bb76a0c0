{{/*
"true" if this release may make an object of the cluster: there is none of that
name, or this release made it. Without a cluster to look at, it may.
Takes {root, kind}.
*/}}
{{- define "crds.ours" -}}
{{- $live := lookup "admissionregistration.k8s.io/v1" .kind "" "safe-upgrades.gateway.networking.k8s.io" -}}
{{- $owner := dig "metadata" "annotations" dict ($live | default dict) | default dict -}}
{{- or (not $live) (and
  (eq (get $owner "meta.helm.sh/release-name") .root.Release.Name)
  (eq (get $owner "meta.helm.sh/release-namespace") .root.Release.Namespace)) -}}
{{- end }}
