package xds_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// TestSecretsAreNotPrinted prints a secret in every way that a log, an error or a
// test could.
func TestSecretsAreNotPrinted(t *testing.T) {
	const key = "very-private"
	r := xds.CertificateSecret("default/cert", []byte("chain"), []byte(key), finding.Object{Kind: "Secret", Name: "cert"})
	s := &xds.Snapshot{Secrets: []*xds.Resource{r}}
	bytes := strings.Trim(fmt.Sprintf("%d", []byte(key)), "[]")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{r, *r, s, []*xds.Resource{r}, map[string]*xds.Resource{"a": r}} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, key) || strings.Contains(out, bytes) || strings.Contains(out, fmt.Sprintf("%x", key)) {
				t.Errorf("%s of a %T prints the key: %s", verb, v, out)
			}
		}
	}
	out, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "dmVyeS1wcml2YXRl") {
		t.Errorf("JSON holds the key: %s", out)
	}
}
