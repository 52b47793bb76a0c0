package controllers

import "testing"

func TestTag(t *testing.T) {
	for image, want := range map[string]string{
		"docker.io/envoyproxy/gateway:v1.9.0":       "v1.9.0",
		"registry:5000/gateway":                     "",
		"registry:5000/egctl:v1@sha256:0123":        "v1",
		"registry:5000/egctl@sha256:0123456789abcd": "",
		"": "",
	} {
		if have := tag(image); have != want {
			t.Errorf("%s: %q", image, have)
		}
	}
}

func TestParse(t *testing.T) {
	v := Version{Namespace: "system", Name: "pod", Image: "image"}
	err := parse([]byte(`{"envoyGatewayVersion":"v1.9.0","gatewayAPIVersion":"v1.5.0","envoyProxyVersion":"1.38.0","gitCommitID":"abc","golangVersion":"go1.26","name":"other"}`), &v)
	want := Version{"system", "pod", "image", "v1.9.0", "v1.5.0", "1.38.0", "abc", "go1.26"}
	if err != nil || v != want {
		t.Errorf("%+v, %v", v, err)
	}
	if err := parse([]byte("not found"), &v); err == nil || v.EnvoyGatewayVersion != "v1.9.0" {
		t.Errorf("%+v, %v", v, err)
	}
}
