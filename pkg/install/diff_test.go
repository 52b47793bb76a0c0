package install

import (
	"strings"
	"testing"
)

const before = `---
# Source: gateway-helm/templates/a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: eg, labels: {helm.sh/chart: gateway-helm-v1, app.kubernetes.io/version: v1}}
data:
  envoy-gateway.yaml: |
    gateway: {}
    logging:
      level: info
    provider: {}
    other: {}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: envoy-gateway, namespace: eg}
spec:
  replicas: 1
  template:
    spec:
      containers:
        - {name: envoy-gateway, image: "egctl:v1", args: [server, --debug]}
---
apiVersion: v1
kind: Secret
metadata: {name: secret, namespace: eg}
data: {password: b2xk}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: goes, namespace: eg}
---
apiVersion: v1
kind: Service
metadata: {name: same, namespace: eg, labels: {helm.sh/chart: gateway-helm-v1}}
`

const after = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: eg, labels: {helm.sh/chart: gateway-helm-v2, app.kubernetes.io/version: v2}}
data:
  envoy-gateway.yaml: |
    gateway: {}
    logging:
      level: debug
    provider: {}
    other: {}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: envoy-gateway, namespace: eg, annotations: {example.com/a: b}}
spec:
  replicas: 2
  template:
    spec:
      containers:
        - {name: sidecar, image: "x"}
        - {name: envoy-gateway, image: "egctl:v2", args: [server]}
---
apiVersion: v1
kind: Secret
metadata: {name: secret, namespace: eg}
data: {password: bmV3, more: bW9yZQ==}
---
apiVersion: v1
kind: Service
metadata: {name: same, namespace: eg, labels: {helm.sh/chart: gateway-helm-v2}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: comes, namespace: eg}
`

const differences = `~ ConfigMap eg/config
    data[envoy-gateway.yaml]:
        logging:
      -   level: info
      +   level: debug
        provider: {}
~ Deployment eg/envoy-gateway
    metadata.annotations: + example.com/a: b
    spec.replicas: 1 → 2
    spec.template.spec.containers[envoy-gateway].args[1]: - --debug
    spec.template.spec.containers[envoy-gateway].image: egctl:v1 → egctl:v2
    spec.template.spec.containers[sidecar]:
      + image: x
      + name: sidecar
+ PodDisruptionBudget eg/comes
~ Secret eg/secret
    data.more: + (hidden)
    data.password: (hidden) → (hidden)
- ServiceAccount eg/goes
`

func TestDiff(t *testing.T) {
	changes, err := Diff(before, after)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WriteChanges(&b, changes); err != nil {
		t.Fatal(err)
	}
	if b.String() != differences {
		t.Errorf("got\n%s\nwant\n%s", b.String(), differences)
	}
	if none, err := Diff(before, before); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
}
