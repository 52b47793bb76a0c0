package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/internal/testkube"
)

// TestVersions asks a pod that looks like a controller and has no answer: what is
// known is the tag of its image. A pod that does not run is only named.
func TestVersions(t *testing.T) {
	c := testkube.New(t)
	ctx := context.Background()
	pod := func(name, image string) {
		_, err := c.Client.CoreV1().Pods(c.Namespace).Create(ctx, &core.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"control-plane": "envoy-gateway"}},
			Spec: core.PodSpec{Containers: []core.Container{{
				Name: "envoy-gateway", Image: image, ImagePullPolicy: core.PullNever,
				Env: []core.EnvVar{{Name: "POD_NAME", Value: name}, {Name: "NAMESPACE", Value: c.Namespace}},
			}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	pod("b", testkube.EchoImage)
	pod("a", "none.example.com/none:v9")
	testkube.Eventually(t, "the pod", func() bool {
		p, err := c.Client.CoreV1().Pods(c.Namespace).Get(ctx, "b", metav1.GetOptions{})
		return err == nil && p.Status.Phase == core.PodRunning
	})
	var said []string
	all, err := Versions(ctx, c.Config, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	if err != nil {
		t.Fatal(err)
	}
	var found []Version
	for _, v := range all {
		if v.Namespace == c.Namespace {
			found = append(found, v)
		}
	}
	if len(found) != 1 || found[0].Name != "b" || found[0].EnvoyGatewayVersion != "v0.1.0" {
		t.Errorf("%+v", found)
	}
	for _, want := range []string{
		"pod " + c.Namespace + "/a does not run", "ask pod " + c.Namespace + "/b: ",
	} {
		if !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("%q is not in %q", want, said)
		}
	}
}
