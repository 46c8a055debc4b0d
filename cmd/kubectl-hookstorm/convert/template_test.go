package convert

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTemplates(t *testing.T) {
	tests := map[string]struct {
		source, want string
		fails        string // part of the error
	}{
		"a path":                              {source: `{{ trigger.a.b }}`, want: `${trigger.a.b}`},
		"no blanks":                           {source: `{{trigger.a}}`, want: `${trigger.a}`},
		"the whole payload":                   {source: `{{ trigger }}`, want: `${trigger}`},
		"text around":                         {source: `pre{{trigger.x}}post`, want: `pre${trigger.x}post`},
		"two":                                 {source: `{{trigger.x}}-{{trigger.y}}`, want: `${trigger.x}-${trigger.y}`},
		"double quotes":                       {source: `{{trigger.body["items"]}}`, want: `${trigger.body["items"]}`},
		"single quotes":                       {source: `{{ trigger.headers['X-Event'] }}`, want: `${trigger.headers["X-Event"]}`},
		"quotes in quotes":                    {source: `{{ trigger['a"b'] }}`, want: `${trigger["a\"b"]}`},
		"an index":                            {source: `{{ trigger.list[ 0 ].x }}`, want: `${trigger.list[0].x}`},
		"an index after a dot":                {source: `{{ trigger.list.0.x }}`, want: `${trigger.list[0].x}`},
		"blanks between":                      {source: `{{ trigger . a [ 'b' ] }}`, want: `${trigger.a["b"]}`},
		"a word of CEL":                       {source: `{{ trigger.in.package.namespace.name }}`, want: `${trigger["in"]["package"]["namespace"].name}`},
		"a name that CEL does not have":       {source: `{{ trigger.größe }}`, want: `${trigger["größe"]}`},
		"no template":                         {source: `plain {text} }}`, want: `plain {text} }}`},
		"HookStorm's mark":                    {source: `${x} $${y}`, want: `$${x} $$${y}`},
		"a dollar before an expression":       {source: `${{ trigger.a }}`, want: `${"$"}${trigger.a}`},
		"nothing":                             {source: ``, want: ``},
		"a filter":                            {source: `{{ trigger.a | int }}`, fails: "only a path"},
		"an operation":                        {source: `{{ trigger.a + 1 }}`, fails: "only a path"},
		"a hyphen":                            {source: `{{ trigger.x-y }}`, fails: "only a path"},
		"a call":                              {source: `{{ trigger.get('x') }}`, fails: "only a path"},
		"a literal":                           {source: `{{ 5 }}`, fails: "only a path"},
		"another variable":                    {source: `{{ rule.name }}`, fails: "only a path"},
		"a name that only begins so":          {source: `{{ triggers.a }}`, fails: "only a path"},
		"the datastore":                       {source: `{{ st2kv.system.x }}`, fails: "no datastore"},
		"the datastore of old":                {source: `{{system.x}}`, fails: "no datastore"},
		"item outside of a search":            {source: `{{ item.x }}`, fails: "only a path"},
		"an index from the end":               {source: `{{ trigger.l[-1] }}`, fails: "counts from the end"},
		"an index that is a variable":         {source: `{{ trigger.l[trigger.i] }}`, fails: "only a path"},
		"a slice":                             {source: `{{ trigger.l[0:1] }}`, fails: "only a path"},
		"an escape":                           {source: `{{ trigger['a\'b'] }}`, fails: "only a path"},
		"a bracket that is open":              {source: `{{ trigger['a' }}`, fails: "only a path"},
		"a bracket with nothing in it":        {source: `{{ trigger[] }}`, fails: "only a path"},
		"a bracket at the end":                {source: `{{ trigger[ }}`, fails: "only a path"},
		"a dot at the end":                    {source: `{{ trigger. }}`, fails: "only a path"},
		"nothing in it":                       {source: `{{ }}`, fails: "only a path"},
		"a statement":                         {source: `{% if trigger.a %}x{% endif %}`, fails: "statement"},
		"a comment":                           {source: `x {# y #}`, fails: "comment"},
		"an expression without an end":        {source: `a{{b`, fails: "no end"},
		"an expression that trims its blanks": {source: ` {{- trigger.a -}} `, fails: "only a path"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseTemplate(test.source, varTrigger)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	tests := map[string]struct{ source, mediaType, want string }{
		"JSON":                              {`{"b": 1, "a": [true, null, "x"]}`, "", "json:\n  b: 1\n  a:\n  - true\n  - null\n  - x\n"},
		"a value without quotes":            {`{"k": {{trigger.n}}}`, "application/json", "json:\n  k: ${trigger.n}\n"},
		"a value in quotes":                 {`{"k": "{{trigger.n}}"}`, "", "json:\n  k: ${trigger.n}\n"},
		"quotes in the expression":          {`{"k": "{{trigger["n"]}}"}`, "", "json:\n  k: ${trigger[\"n\"]}\n"},
		"quotes before it":                  {`{"k": "\"{{trigger.n}}\" ${x}"}`, "", "json:\n  k: '\"${trigger.n}\" $${x}'\n"},
		"a list":                            {`[{{trigger.a}}, {{ trigger.b }}]`, "application/vnd.api+json", "json:\n- ${trigger.a}\n- ${trigger.b}\n"},
		"an expression in a name":           {`{"{{trigger.n}}": 1}`, "", "text: '{\"${trigger.n}\": 1}'\n"},
		"JSON that is a text for a header":  {`{"k": 1}`, "text/plain", "text: '{\"k\": 1}'\n"},
		"a text":                            {`hello {{trigger.n}}`, "", "text: hello ${trigger.n}\n"},
		"a text that is JSON's number":      {`12`, "", "text: \"12\"\n"},
		"half a number is an expression":    {`{"k": 1{{trigger.n}}}`, "", "text: '{\"k\": 1${trigger.n}}'\n"},
		"characters that stand in":          {"{\"k\": \"\uE0000\uE001\"}", "", "text: '{\"k\": \"\uE0000\uE001\"}'\n"},
		"characters that stand in, dynamic": {"{\"k\": \"\uE000{{trigger.n}}\"}", "", "text: '{\"k\": \"\uE000${trigger.n}\"}'\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			body, err := httpBody(text(test.source), test.mediaType)
			if err != nil {
				t.Fatal(err)
			}
			got, err := encode(body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
