package expression

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestATemplateIsRendered(t *testing.T) {
	tests := map[string]struct {
		template string
		want     any
		err      string
	}{
		"a text is itself":                         {template: "plain", want: "plain"},
		"an empty text is itself":                  {template: "", want: ""},
		"a value is put into the text":             {template: "number ${trigger.n}!", want: "number 5!"},
		"values stand side by side":                {template: "${trigger.n}${trigger.s}", want: "5héllo"},
		"a string stands as it is":                 {template: "<${trigger.esc}>", want: "<a\"b\n>"},
		"null stands as null":                      {template: "-${trigger.nothing}", want: "-null"},
		"a list stands as JSON":                    {template: "-${trigger.list}", want: `-[1,"two",{"x":"y"},[3]]`},
		"JSON is not escaped for HTML":             {template: "-${{'a': '<b>'}}", want: `-{"a":"<b>"}`},
		"a time stands as RFC 3339":                {template: "at ${delivery.received}", want: "at 2026-02-26T19:14:43Z"},
		"a duration stands in seconds":             {template: "in ${duration('1h')}", want: "in 3600s"},
		"$${ is the text ${":                       {template: "$${trigger.n} is ${trigger.n}", want: "${trigger.n} is 5"},
		"a dollar before it stays":                 {template: "$$${x} $5 ${trigger.n}$", want: "$${x} $5 5$"},
		"a lone number stays a number":             {template: "${trigger.n}", want: json.Number("5")},
		"a lone integer is exact":                  {template: "${trigger.big}", want: json.Number("9007199254740993")},
		"a longer integer is exact":                {template: "${trigger.vast}", want: json.Number("123456789012345678901234567890")},
		"and in a text":                            {template: "n=${trigger.vast}", want: "n=123456789012345678901234567890"},
		"what is calculated with it is a double":   {template: "${trigger.vast + 0.0}", want: json.Number("1.2345678901234568e+29")},
		"a lone uint is exact":                     {template: "${trigger.huge}", want: json.Number("18446744073709551615")},
		"a lone double is a number":                {template: "${trigger.half}", want: json.Number("0.5")},
		"a lone bool stays a bool":                 {template: "${trigger.t}", want: true},
		"a lone null stays null":                   {template: "${trigger.nothing}", want: nil},
		"a lone string stays a string":             {template: "${trigger.s}", want: "héllo"},
		"a lone list stays a list":                 {template: "${trigger.list[3]}", want: []any{json.Number("3")}},
		"a lone object stays an object":            {template: "${trigger.object}", want: map[string]any{"a": json.Number("1"), "b": json.Number("2")}},
		"blanks around make it a text":             {template: " ${trigger.n}", want: " 5"},
		"blanks within do not":                     {template: "${ trigger.n }", want: json.Number("5")},
		"a made map may hold different types":      {template: `${{"n": trigger.n, "s": "x", "l": [1, "a"], 7: null}}`, want: map[string]any{"n": json.Number("5"), "s": "x", "l": []any{json.Number("1"), "a"}, "7": nil}},
		"bytes are base64":                         {template: "${b'abc'}", want: "YWJj"},
		"a lone time is a string":                  {template: "${delivery.received}", want: "2026-02-26T19:14:43Z"},
		"a lone duration is a string":              {template: "${duration('90m')}", want: "5400s"},
		"the rule is an object":                    {template: "${rule}", want: map[string]any{"namespace": "ci", "name": "on-merge"}},
		"an optional with a value is its value":    {template: "${trigger.?n}", want: json.Number("5")},
		"an optional can be replaced":              {template: "${trigger.?m.orValue('none')}", want: "none"},
		"a brace in a string ends nothing":         {template: `${"}" + trigger.s}`, want: "}héllo"},
		"nor does a brace in another":              {template: `${'}"' + trigger.s}!`, want: `}"héllo!`},
		"nor one behind an escaped quote":          {template: `${"\"}" + trigger.s}`, want: `"}héllo`},
		"in a raw string a backslash is itself":    {template: `${r"\" + trigger.s}`, want: `\héllo`},
		"a long string may hold quotes and braces": {template: "${'''a'}\n'' b''' + trigger.s}", want: "a'}\n'' bhéllo"},
		"braces in brackets are matched":           {template: `${[{"a": {"b": 1}}][0].a.b}.`, want: "1."},
		"a comment may hold a brace":               {template: "${trigger.n // }\n}", want: json.Number("5")},
		"a division is no comment":                 {template: "${trigger.n / 2}", want: json.Number("2")},

		"an optional without a value is an error": {template: "${trigger.?m}", err: "${trigger.?m}: there is no value; add .orValue(…)"},
		"a missing field is an error":             {template: "x ${trigger.m}", err: "${trigger.m}: trigger.m: no such key: m"},
		"an infinite number is an error":          {template: "${1.0 / 0.0}", err: "+Inf is no JSON number"},
		"no number at all is an error":            {template: "${double('NaN')}", err: "NaN is no JSON number"},
		"what has no JSON form is an error":       {template: "${quantity('1')}", err: "has no JSON form"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			template, err := CompileTemplate(test.template, RuleVariables)
			if err != nil {
				t.Fatal(err)
			}
			got, err := template.Render(t.Context(), scopeOf(values))
			wantError(t, err, test.err)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsWrongWithATemplateIsSaidWhenItIsCompiled(t *testing.T) {
	tests := map[string]struct{ template, want string }{
		"an expression without end":       {"a ${trigger.n", "${trigger.n: the } that ends the expression is missing; write $${ for the characters ${"},
		"a string without end":            {`${"a}`, "a string in it is not closed"},
		"a string over the line's end":    {"${'a\n'}", "a string in it is not closed"},
		"an expression that is empty":     {"a ${}", "${}: the expression is empty"},
		"an expression with a mistake":    {"a ${trigger.} b", "${trigger.}: 1:9: Syntax error"},
		"a variable that is not there":    {"${item}", "${item}: 1:1: there is no variable item; there are trigger, delivery and rule"},
		"another language's variable":     {"{{ trigger.n }}", `"{{" begins no template here; write ${…}, or ${"{{"} for these characters`},
		"another language's statement":    {"${trigger.n} {% if %}", `"{%" begins no template here`},
		"another language's comment":      {"{# x #} ${trigger.n}", `"{#" begins no template here`},
		"a template of more than 64 KiB":  {strings.Repeat("x", maxTemplate+1), "at most 65536 are allowed"},
		"the marks of a GitHub workflow":  {"${{ trigger.n }}", "${{ trigger.n }}: 1:"},
		"a brace that closes another one": {"${[}", "Syntax error"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := CompileTemplate(test.template, RuleVariables)
			wantError(t, err, test.want)
		})
	}
}

func TestAnItemIsSeenByWhatIsCompiledForIt(t *testing.T) {
	template, err := CompileTemplate("${item.name + '/' + string(item.n) + '/' + string(trigger.n)}", ItemVariables)
	if err != nil {
		t.Fatal(err)
	}
	scope := scopeOf(values)
	for name, want := range map[string]any{"a": "a/1/5", "<b>": "<b>/1/5"} {
		if scope.Item, err = ParseValue(`{"name": "` + name + `", "n": 1}`); err != nil {
			t.Fatal(err)
		}
		got, err := template.Render(t.Context(), scope)
		if err != nil || got != want {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}

func TestWhatIsRenderedIsBounded(t *testing.T) {
	scope := scopeOf(`{"long": "` + strings.Repeat("x", maxString) + `", "longer": "` + strings.Repeat("x", maxString+1) + `"}`)
	tests := map[string]struct{ template, want string }{
		"64 KiB of text":               {"${trigger.long}", ""},
		"more, alone":                  {"${trigger.longer}", "the text is longer than 64 KiB"},
		"more, of two":                 {"${trigger.long}${trigger.long}", "the text is longer than 64 KiB"},
		"lists of more than 256 KiB":   {"${[trigger.long, trigger.long, trigger.long, trigger.long]}", "the result is larger than 256 KiB"},
		"objects of more than 256 KiB": {"${[trigger, trigger, trigger]}", "the result is larger than 256 KiB"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			template, err := CompileTemplate(test.template, RuleVariables)
			if err != nil {
				t.Fatal(err)
			}
			_, err = template.Render(t.Context(), scope)
			wantError(t, err, test.want)
		})
	}
}

func TestIsTemplate(t *testing.T) {
	for text, want := range map[string]bool{"": false, "$": false, "{": false, "$ {": false, "${": true, "a ${b}": true, "$${": true} {
		if got := IsTemplate(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// Whatever the text is, compiling and rendering it ends, and without expressions it renders what it says.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"plain", "${trigger.n}", "a $${b} ${trigger.s}", "${{'a': '}'}}", "${r'\\'}", "${'''}'''}", "${trigger.n // }\n}", "{{x}}",
		"${[1,2].map(x, x * 2)}", "${", "$$${", "${'", "${b\"\\x00\"}", "${trigger.list.exists(x, x == {})}", "${trigger[?'a'].or(optional.none())}",
	} {
		f.Add(seed)
	}
	scope := scopeOf(values)
	f.Fuzz(func(t *testing.T, text string) {
		template, err := CompileTemplate(text, ItemVariables)
		if err != nil {
			if message := err.Error(); strings.ContainsAny(message, "\n\r\x1b\x00") {
				t.Errorf("the message is not one line: %q", message)
			}
			return
		}
		got, err := template.Render(t.Context(), scope)
		if literal := !IsTemplate(strings.ReplaceAll(text, "$${", "")); literal && len(text) <= maxString {
			if want := strings.ReplaceAll(text, "$${", "${"); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("the value is no JSON: %v", err)
		}
	})
}
