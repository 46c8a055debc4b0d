package convert

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// rulesCRD is the definition of Rules that is installed.
const rulesCRD = "../../../config/crd/bases/hookstorm.dev_rules.yaml"

// ruleSchema returns the schema of Rules, in both forms that the API server uses.
var ruleSchema = sync.OnceValues(func() (*apiextensions.JSONSchemaProps, error) {
	content, err := os.ReadFile(rulesCRD)
	if err != nil {
		return nil, err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(content, &crd); err != nil {
		return nil, err
	}
	internal := &apiextensions.JSONSchemaProps{}
	return internal, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema, internal, nil)
})

// acceptable returns why the API server, or HookStorm, would not accept a Rule.
func acceptable(t *testing.T, document string) error {
	t.Helper()
	schema, err := ruleSchema()
	if err != nil {
		t.Fatal(err)
	}
	structural, err := structuralschema.NewStructural(schema)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(schema)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		return err
	}
	refused := validation.ValidateCustomResource(nil, object, validator)
	ruled, _ := cel.NewValidator(structural, true, celconfig.PerCallLimit).
		Validate(t.Context(), field.NewPath(""), structural, object, nil, celconfig.RuntimeCELCostBudget)
	if all := append(refused, ruled...); len(all) > 0 {
		return fmt.Errorf("the API server refuses it: %w", all.ToAggregate())
	}
	_, _, err = decodeRule(document)
	return err
}
