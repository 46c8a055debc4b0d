package webhookserver

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHowAValueViolatesASchema(t *testing.T) {
	for _, c := range []struct{ name, schema, value, want string }{
		{"a type", `{"type": "object"}`, `[]`, "[] is not of type 'object'"},
		{"one of several types", `{"type": ["object", "null"]}`, `"x"`, "'x' is not of type 'null', 'object'"},
		{"a type deep inside", `{"properties": {"a/b": {"items": {"type": "string"}}}}`, `{"a/b": ["x", 1.50]}`, "/a~1b/1: 1.50 is not of type 'string'"},
		{"a missing member", `{"required": ["a"]}`, `{}`, "'a' is a required property"},
		{"members that are not described", `{"additionalProperties": false}`, `{"b": 1, "a": 1}`, "Additional properties are not allowed ('a', 'b' were unexpected)"},
		{"a member that is not described", `{"additionalProperties": false}`, `{"a": 1}`, "Additional properties are not allowed ('a' was unexpected)"},
		{"a value that is not listed", `{"properties": {"a": {"enum": ["x", null, true]}}}`, `{"a": 2}`, "/a: 2 is not one of ['x', None, True]"},
		{"no alternative", `{"anyOf": [{"type": "string"}, {"type": "null"}]}`, `1`, "1 is not valid under any of the given schemas"},
		{"a bound", `{"properties": {"a": {"maximum": 3}}}`, `{"a": 4}`, "/a: maximum: got 4, want 3"},
		{"the first of several by place", `{"properties": {"b": {"type": "null"}, "a": {"type": "null"}}}`, `{"a": 1, "b": 1}`, "/a: 1 is not of type 'null'"},
		{"through a reference", `{"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}`, `{"a": "x"}`, "/a: 'x' is not of type 'integer'"},
		{"a long text and a pattern", `{"pattern": "^x$"}`, `"` + strings.Repeat("x", 200) + `"`, "'" + strings.Repeat("x", 100) + "' does not match pattern '^x$'"},
		{"a place with a long name", `{"additionalProperties": {"type": "null"}}`, `{"` + strings.Repeat("x", 2000) + `": 1}`, "/" + strings.Repeat("x", 1023)},
		{"a format is not enforced", `{"format": "date-time"}`, `"nope"`, ""},
		{"a large integer is an integer", `{"type": "integer"}`, `12345678901234567890123`, ""},
		{"a number that is too large to calculate with", `{"type": "integer"}`, `1e999999999`, "number 1e999999999 is out of range"},
		{"such a number deep inside", `true`, `{"a": [1E-401]}`, "number 1E-401 is out of range"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expectViolation(t, c.schema, c.value, c.want)
		})
	}
}

// expectViolation expects what a schema says of a value.
func expectViolation(t *testing.T, schema, value, want string) {
	t.Helper()
	compiled, err := CompileSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, compiled.violation([]byte(value))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASchemaThatDoesNotCompile(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{"no JSON", `{`, "parsing the schema: unexpected EOF"},
		{"a keyword of the wrong type", `{"properties": {"a": {"required": true}}}`, "compiling the schema: /properties/a/required: True is not of type 'array'"},
		{"a pattern that RE2 does not know", `{"pattern": "(?=x)"}`, "compiling the schema: /pattern: '(?=x)' is not valid regex: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
		{"a file", `{"$ref": "file:///etc/passwd"}`, `compiling the schema: failing loading "file:///etc/passwd": references to other documents are not followed`},
		{"an address", `{"$ref": "https://x.example/s"}`, `compiling the schema: failing loading "https://x.example/s": references to other documents are not followed`},
		{"a relative reference", `{"$ref": "other"}`, `compiling the schema: failing loading "schema:///other": references to other documents are not followed`},
		{"an unknown dialect", `{"$schema": "https://x.example/s"}`, `compiling the schema: failing loading "https://x.example/s": references to other documents are not followed`},
		{"a number out of range", `{"const": 1e999999999}`, "parsing the schema: number 1e999999999 is out of range"},
	} {
		_, err := CompileSchema([]byte(c.schema))
		if err == nil {
			t.Errorf("%s: compiles", c.name)
		} else if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
