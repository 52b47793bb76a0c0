package validation

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/internal/verdict"
	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/test/cluster"
)

// server is an API server that has the definitions of one channel.
type server struct {
	client *http.Client
	url    string
	// resources have the path of a kind, in namespace default where it has one, with
	// a place for the version.
	resources map[kind]string
}

type kind struct{ group, kind string }

// start starts a cluster for the test.
func start(t *testing.T) *server {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("no cluster can be started without Linux and root")
		}
		t.Skip("SKIPPED, egctl validate was compared with no API server: that needs Linux and root")
	}
	o := cluster.Options{Name: cmp.Or(os.Getenv("EGCTL_VALIDATION_CLUSTER"), "validation"), Progress: os.Stderr}
	c, err := cluster.Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("EGCTL_VALIDATION_KEEP") != "1" {
		t.Cleanup(func() {
			if err := c.Down(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	config, err := c.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return &server{client: client, url: config.Host, resources: map[kind]string{}}
}

// do sends a request; an answer that is no success is no error.
func (s *server) do(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, answer, err
}

const definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// define replaces what definitions the server has by those of a channel and of the
// extension kinds.
func (s *server) define(t *testing.T, channel crds.Channel) {
	t.Helper()
	gateway, err := crds.GatewayAPI(channel)
	if err != nil {
		t.Fatal(err)
	}
	extension, err := crds.Extension()
	if err != nil {
		t.Fatal(err)
	}
	s.undefine(t)
	clear(s.resources)
	for _, m := range append(gateway, extension...) {
		if m.Kind != "CustomResourceDefinition" {
			continue // what guards the definitions says nothing to objects
		}
		resp, answer, err := s.do(t.Context(), http.MethodPatch, definitionsPath+"/"+m.Name+"?fieldManager=validation", "application/apply-patch+yaml", m.JSON)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("define %s: %v %s", m.Name, err, answer)
		}
		var d struct {
			Spec struct {
				Group, Scope string
				Names        struct{ Kind, Plural string }
				Versions     []struct {
					Name   string
					Served bool
				}
			}
		}
		if err := json.Unmarshal(m.JSON, &d); err != nil {
			t.Fatal(err)
		}
		namespace := ""
		if d.Spec.Scope == "Namespaced" {
			namespace = "/namespaces/default"
		}
		path := "/apis/" + d.Spec.Group + "/%s" + namespace + "/" + d.Spec.Names.Plural
		s.resources[kind{d.Spec.Group, d.Spec.Names.Kind}] = path
		for _, v := range d.Spec.Versions {
			if v.Served {
				s.until(t, "serves "+m.Name, http.StatusOK, fmt.Sprintf(path, v.Name))
			}
		}
	}
}

// undefine removes all definitions.
func (s *server) undefine(t *testing.T) {
	t.Helper()
	resp, answer, err := s.do(t.Context(), http.MethodGet, definitionsPath, "", nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("list definitions: %v %s", err, answer)
	}
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Items {
		path := definitionsPath + "/" + d.Metadata.Name
		if resp, answer, err := s.do(t.Context(), http.MethodDelete, path, "application/json", nil); err != nil || resp.StatusCode >= 300 {
			t.Fatalf("delete %s: %v %s", d.Metadata.Name, err, answer)
		}
		s.until(t, "has deleted "+d.Metadata.Name, http.StatusNotFound, path)
	}
}

func (s *server) until(t *testing.T, what string, status int, path string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, _, err := s.do(t.Context(), http.MethodGet, path, "", nil)
		if err == nil && resp.StatusCode == status {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never became true that the API server %s: %v", what, err)
		}
	}
}

// ask says what the API server says to an object. Nothing is created.
func (s *server) ask(ctx context.Context, object map[string]any) (verdict.Verdict, []byte, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return verdict.Verdict{}, nil, err
	}
	group, version, _ := strings.Cut(object["apiVersion"].(string), "/")
	path, known := s.resources[kind{group, object["kind"].(string)}]
	if !known {
		return verdict.Verdict{Status: http.StatusNotFound}, body, nil
	}
	resp, answer, err := s.do(ctx, http.MethodPost, fmt.Sprintf(path, version)+"?dryRun=All&fieldValidation=Warn", "application/json", body)
	if err != nil {
		return verdict.Verdict{}, nil, err
	}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusConflict {
		return verdict.Verdict{}, nil, errors.New(resp.Status + ": " + string(answer))
	}
	v, err := verdict.Parse(resp.StatusCode, answer, resp.Header.Values("Warning"))
	return v, body, err
}
