package install

import (
	"errors"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/release"

	"github.com/egctl/egctl/charts"
)

// What somebody else has made of a release since the plan is neither upgraded nor rolled
// back.
func TestOthersUpgrades(t *testing.T) {
	revision := func(version int, status release.Status) *release.Release {
		return &release.Release{Name: "eg", Version: version, Chart: of(charts.Gateway), Info: &release.Info{Status: status}}
	}
	first := revision(1, release.StatusDeployed)
	plan := &Plan{Previous: first, Request: Request{Name: "eg", Chart: Chart{Program: "v0.9.0"}}}

	i, _ := recorded(t, revision(1, release.StatusSuperseded), revision(2, release.StatusDeployed))
	if _, err := i.Apply(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "somebody has upgraded") || !strings.Contains(err.Error(), "revision 2") {
		t.Errorf("a plan that is not of the last revision: %v", err)
	}
	// Helm refuses before it makes a revision: there is nothing to go back from.
	i, said := recorded(t, first)
	if _, err := i.Apply(t.Context(), plan); err == nil || strings.Contains(err.Error(), "roll") || len(*said) > 0 {
		t.Errorf("an upgrade that Helm refuses: %v; said %q", err, *said)
	}
	cause := errors.New("it does not run")
	for name, test := range map[string]struct {
		made   int
		stored []*release.Release
	}{
		"after ours":   {2, []*release.Release{revision(2, release.StatusSuperseded), revision(3, release.StatusDeployed)}},
		"between them": {3, []*release.Release{revision(2, release.StatusDeployed), revision(3, release.StatusFailed)}},
	} {
		i, said = recorded(t, append(test.stored, revision(1, release.StatusSuperseded))...)
		err := i.rollback(t.Context(), plan, revision(test.made, release.StatusFailed), cause)
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "not rolled back") || len(*said) > 0 {
			t.Errorf("somebody's revision came %s: %v; said %q", name, err, *said)
		}
	}
	i, said = recorded(t, revision(2, release.StatusFailed), revision(1, release.StatusDeployed))
	if err := i.rollback(t.Context(), plan, revision(2, release.StatusFailed), cause); !errors.Is(err, cause) || len(*said) != 1 {
		t.Errorf("ours was not to be rolled back: %v; said %q", err, *said)
	}
}
