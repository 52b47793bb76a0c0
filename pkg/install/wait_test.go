package install

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// What is said of a pod that does not run.
func TestPodState(t *testing.T) {
	for status, want := range map[string]string{
		`phase: Pending
conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/1 nodes are available: 1 Insufficient memory."}]`: "Unschedulable: 0/1 nodes are available: 1 Insufficient memory.",
		`phase: Pending
containerStatuses: [{name: envoy-gateway, ready: false, state: {waiting: {reason: ImagePullBackOff, message: Back-off pulling image}}}]`: "container envoy-gateway: ImagePullBackOff: Back-off pulling image",
		`phase: Running
containerStatuses: [{name: envoy-gateway, ready: false, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, reason: Error}}}]`: "container envoy-gateway: CrashLoopBackOff; it ended with code 1 (Error), 3 times so far",
		`phase: Running
containerStatuses: [{name: envoy-gateway, ready: false, started: false, state: {running: {}}}]`: "container envoy-gateway: runs, not started by its startup probe yet",
		`phase: Running
conditions: [{type: Ready, status: "False", reason: ContainersNotReady, message: "containers with unready status: [envoy-gateway]"}]
containerStatuses: [{name: envoy-gateway, ready: false, started: true, state: {running: {}}}]`: "ContainersNotReady: containers with unready status: [envoy-gateway]",
		`phase: Running
conditions: [{type: Ready, status: "True"}]
containerStatuses: [{name: envoy-gateway, ready: true, started: true, state: {running: {}}}]`: "",
	} {
		var s corev1.PodStatus
		if err := yaml.Unmarshal([]byte(status), &s); err != nil {
			t.Fatal(err)
		}
		if got := podState(&corev1.Pod{Status: s}); got != want {
			t.Errorf("%s\ngot  %q\nwant %q", status, got, want)
		}
	}
}
