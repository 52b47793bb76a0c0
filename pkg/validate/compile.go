package validate

import (
	"encoding/json"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/egctl/egctl/pkg/crds"
)

// compiled is one version of a kind, ready to check objects.
type compiled struct {
	namespaced bool
	versions   []string // served, newest first
	// schema is nil when the version is not served.
	schema    *structural.Structural
	validator schemavalidation.SchemaValidator
	rules     *cel.Validator // nil without rules
	// ruleText has the expression of each rule by its message.
	ruleText map[string]string
}

// compile returns nil for a kind that the channel does not have.
func compile(channel crds.Channel, k kindVersion) (*compiled, error) {
	d, err := crds.Find(channel, k.group, k.kind)
	if d == nil || err != nil {
		return nil, err
	}
	c := &compiled{namespaced: d.Namespaced, versions: newestFirst(d.Schemas), ruleText: map[string]string{}}
	raw, served := d.Schemas[k.version]
	if !served {
		return c, nil
	}
	wrap := func(err error) error { return fmt.Errorf("schema of %s %s: %w", k.version, k.kind, err) }
	var props extensions.JSONSchemaProps
	var internal apiextensions.JSONSchemaProps
	if err := json.Unmarshal(raw, &props); err != nil {
		return nil, wrap(err)
	}
	if err := extensions.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&props, &internal, nil); err != nil {
		return nil, wrap(err)
	}
	if c.schema, err = structural.NewStructural(&internal); err != nil {
		return nil, wrap(err)
	}
	if c.validator, _, err = schemavalidation.NewSchemaValidator(&internal); err != nil {
		return nil, wrap(err)
	}
	c.rules = cel.NewValidator(c.schema, true, celconfig.PerCallLimit)
	collectRules(c.schema, c.ruleText)
	return c, nil
}

func collectRules(s *structural.Structural, to map[string]string) {
	for _, r := range s.XValidations {
		if r.Message != "" {
			to[r.Message] = r.Rule
		}
	}
	for _, p := range s.Properties {
		collectRules(&p, to)
	}
	if s.Items != nil {
		collectRules(s.Items, to)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		collectRules(s.AdditionalProperties.Structural, to)
	}
}
