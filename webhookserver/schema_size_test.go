package webhookserver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func TestASchemaThatIsTooLargeToCompile(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{"as many subschemas as there may be", `{"allOf": ` + elements(4_998, "true") + `, "type": "null"}`, ""},
		{"more subschemas", `{"allOf": ` + elements(5_000, "true") + `}`, "reading the schema: more than 5000 objects and booleans; describe less"},
		{"as many values as there may be", `{"examples": ` + numbered(49_998, "%d") + `}`, ""},
		{"more values", `{"examples": ` + numbered(49_999, "%d") + `}`, "reading the schema: more than 50000 values; describe less"},
		{"long names within each other", strings.Repeat(`{"properties": {"`+strings.Repeat("x", 300)+`": `, 4) + "true" + strings.Repeat("}}", 4),
			"reading the schema: a JSON pointer of more than 1024 bytes; nest less"},
		{"a schema too deep", strings.Repeat(`{"not": `, 300) + "true" + strings.Repeat("}", 300),
			"reading the schema: a JSON pointer of more than 1024 bytes; nest less"},
		{"an expression that is too long", `{"pattern": "` + strings.Repeat("x", 5_000) + `"}`,
			"compiling the schema: /pattern: '" + strings.Repeat("x", 100) + "' is not valid regex: more than 4096 bytes"},
		{"expressions that repeat too much", `{"properties": {"pattern": {"pattern": "` + strings.Repeat("x{1000}", 50) + `"}, "b": {"patternProperties": {"` + strings.Repeat("x{1000}", 51) + `": true}}}}`,
			"reading the schema: patterns of more than 100000 instructions; repeat less, as in x{1000}"},
		{"a reference that is resolved while validating", `{"properties": {"a": {"$dynamicRef": "#a"}}}`, "reading the schema: " + dynamic},
		{"such a reference of an older draft", `{"$schema": "https://json-schema.org/draft/2019-09/schema", "items": {"$recursiveRef": "#"}}`, "reading the schema: " + dynamic},
		{"a property of that name", `{"properties": {"$dynamicRef": {"type": "string"}}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if _, err := CompileSchema([]byte(c.schema)); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLargeSchemasAreOrdinary finds that what is written for the Kubernetes API is well within the limits.
func TestLargeSchemasAreOrdinary(t *testing.T) {
	files, err := filepath.Glob("../config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(crd.Spec.Versions[0].Schema.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := CompileSchema(document)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		const wrong = `{"spec": {}, "status": {"conditions": [{"message": 1}]}}`
		if got := schema.violation([]byte(wrong)); !strings.Contains(got, "is a required property") {
			t.Errorf("%s: %q", file, got)
		}
	}
}
