package criteria

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const push = `{
	"headers": {"X-Github-Event": "push"},
	"body": {
		"action": "closed", "number": 5, "flag": true, "nothing": null, "empty": "",
		"list": [1, "two", {"x": "y"}], "object": {"key": 1}, "dotted.key": "d", "sp ace": "s", "big": 9007199254740993
	}
}`

func TestCriteriaDecideAsStackStormDoes(t *testing.T) {
	tests := map[string]struct {
		key, operator, pattern string
		want                   Result
		err                    string
	}{
		"an equal string holds":                       {key: "trigger.body.action", operator: "equals", pattern: `"closed"`, want: held()},
		"eq is another name of equals":                {key: "trigger.body.action", operator: "eq", pattern: `"closed"`, want: held()},
		"another string does not":                     {key: "trigger.body.action", operator: "equals", pattern: `"opened"`, want: notMet(`trigger.body.action: equals "opened": saw "closed"`)},
		"a number is no text":                         {key: "trigger.body.number", operator: "equals", pattern: `"5"`, want: notMet(`trigger.body.number: equals "5": saw 5`)},
		"5 is 5.0":                                    {key: "trigger.body.number", operator: "equals", pattern: `5.0`, want: held()},
		"true is 1, as in Python":                     {key: "trigger.body.flag", operator: "equals", pattern: `1`, want: held()},
		"big integers are exact":                      {key: "trigger.body.big", operator: "equals", pattern: `9007199254740992`, want: notMet(`trigger.body.big: equals 9007199254740992: saw 9007199254740993`)},
		"lists are compared deeply":                   {key: "trigger.body.list", operator: "equals", pattern: `[1.0,"two",{"x":"y"}]`, want: held()},
		"a missing value equals nothing":              {key: "trigger.body.missing", operator: "equals", pattern: `""`, want: notMet(`trigger.body.missing: equals "": saw nothing`)},
		"a missing value is unequal to all":           {key: "trigger.body.missing", operator: "nequals", pattern: `"x"`, want: held()},
		"null does not exist":                         {key: "trigger.body.nothing", operator: "exists", want: notMet(`trigger.body.nothing: exists: saw null`)},
		"an empty string exists":                      {key: "trigger.body.empty", operator: "exists", want: held()},
		"what is missing does not exist":              {key: "trigger.body.missing", operator: "nexists", want: held()},
		"a header is found by its quoted name":        {key: "trigger.headers['X-Github-Event']", operator: "eq", pattern: `"push"`, want: held()},
		"and by its bare name":                        {key: "trigger.headers.X-Github-Event", operator: "eq", pattern: `"push"`, want: held()},
		"but not in another case":                     {key: "trigger.headers.x-github-event", operator: "exists", want: notMet(`trigger.headers.x-github-event: exists: saw nothing`)},
		"text after # does not count":                 {key: "trigger.body.action#2", operator: "eq", pattern: `"closed"`, want: held()},
		"a list is indexed":                           {key: "trigger.body.list[2].x", operator: "eq", pattern: `"y"`, want: held()},
		"from its end too":                            {key: "trigger.body.list[-2]", operator: "eq", pattern: `"two"`, want: held()},
		"an index out of range finds nothing":         {key: "trigger.body.list[7]", operator: "nexists", want: held()},
		"a string is indexed by characters":           {key: "trigger.body.action[0]", operator: "eq", pattern: `"c"`, want: held()},
		"a dotted name is found in quotes":            {key: `trigger.body["dotted.key"]`, operator: "eq", pattern: `"d"`, want: held()},
		"and so is one with a blank":                  {key: "trigger.body.'sp ace'", operator: "eq", pattern: `"s"`, want: held()},
		"the prefix is needed":                        {key: "body.action", operator: "exists", want: notMet(`body.action: exists: saw nothing`)},
		"a string contains a part":                    {key: "trigger.body.action", operator: "contains", pattern: `"los"`, want: held()},
		"a list contains a member":                    {key: "trigger.body.list", operator: "contains", pattern: `"two"`, want: held()},
		"an object contains a key":                    {key: "trigger.body.object", operator: "contains", pattern: `"key"`, want: held()},
		"a number contains nothing, which is a fault": {key: "trigger.body.number", operator: "contains", pattern: `5`, err: "which contains nothing"},
		"a regex finds a part":                        {key: "trigger.body.action", operator: "regex", pattern: `"^clo"`, want: held()},
		"a regex over nothing is a fault":             {key: "trigger.body.missing", operator: "regex", pattern: `"x"`, err: "needs a string"},
	}
	payload := decode(t, push)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, err := Compile(map[string]Criterion{test.key: {Type: test.operator, Pattern: []byte(test.pattern)}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := set.Evaluate(payload)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsWrongIsSaidWhenItIsCompiled(t *testing.T) {
	tests := map[string]struct{ key, operator, pattern, want string }{
		"an unknown operator":        {"trigger.body.a", "like", `"x"`, `criteria["trigger.body.a"]: type: unknown operator "like"; use one of contains, eq,`},
		"an operator in other case":  {"trigger.body.a", "Equals", `"x"`, `unknown operator "Equals"`},
		"a missing pattern":          {"trigger.body.a", "equals", ``, `pattern: required and not null for operator equals`},
		"a null pattern":             {"trigger.body.a", "equals", `null`, `pattern: required and not null for operator equals`},
		"a pattern that is Jinja":    {"trigger.body.a", "equals", `"{{ trigger.b }}"`, `begins a template`},
		"a pattern that is a block":  {"trigger.body.a", "equals", `"{% if x %}"`, `begins a template`},
		"a pattern that is CEL":      {"trigger.body.a", "equals", `"${trigger.b}"`, `begins a template`},
		"a regex with look-around":   {"trigger.body.a", "regex", `"(?=x)"`, `no look-around`},
		"a regex that is no text":    {"trigger.body.a", "regex", `5`, `a regular expression is a string, not a number`},
		"an empty key":               {"#1", "exists", ``, `the key is empty; write a path such as`},
		"a name that is a number":    {"trigger.body.1", "exists", ``, `a name is expected; quote odd names`},
		"a name with a blank":        {"trigger.body.a b", "exists", ``, `a dot or a bracket is expected`},
		"a bracket that stays open":  {"trigger.body[0", "exists", ``, `] is missing`},
		"a quote that stays open":    {"trigger.body['a]", "exists", ``, `the closing quote is missing`},
		"an index that is no number": {"trigger.body[x]", "exists", ``, `brackets hold an index or a quoted name`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(map[string]Criterion{test.key: {Type: test.operator, Pattern: []byte(test.pattern)}})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestEveryWrongCriterionIsNamed(t *testing.T) {
	_, err := Compile(map[string]Criterion{"trigger.a": {Type: "no"}, "trigger.b": {Type: "nor"}})
	for _, want := range []string{`criteria["trigger.a"]`, `criteria["trigger.b"]`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestEmptiness(t *testing.T) {
	none, err := Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	some, err := Compile(map[string]Criterion{"trigger.body": {Type: "nexists"}})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		set     *Set
		payload string
		want    bool
	}{
		"no criteria hold for a payload":                  {none, push, true},
		"no criteria hold for an empty payload":           {none, `{}`, true},
		"no criteria hold for none":                       {none, `null`, true},
		"criteria never hold for an empty payload":        {some, `{}`, false},
		"nor for none":                                    {some, `null`, false},
		"though they hold for one that has something":     {some, `{"other": 1}`, true},
		"a payload of one null member is not empty to it": {some, `{"body": null}`, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.set.Evaluate(decode(t, test.payload))
			if err != nil || got.Matched != test.want {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestMessagesAreBounded(t *testing.T) {
	set, err := Compile(map[string]Criterion{"trigger.body": {Type: "equals", Pattern: []byte(`"` + strings.Repeat("ż", 9999) + `"`)}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := set.Evaluate(map[string]any{"body": strings.Repeat("日", 9999)})
	if err != nil || len(got.Message) > 3*maxShown {
		t.Errorf("%d bytes, %v", len(got.Message), err)
	}
}

func TestANumberOfAPayloadCannotCostMuch(t *testing.T) {
	set, err := Compile(map[string]Criterion{"trigger.n": {Type: "equals", Pattern: []byte(`1`)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{"1e999999999", "1e-999999999", strings.Repeat("9", 100_000)} {
		if got, err := set.Evaluate(decode(t, `{"n": `+number+`}`)); err != nil || got.Matched {
			t.Errorf("%.20s…: %v, %v", number, got, err)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, key := range []string{"trigger.body.a", "$.trigger['a'][0]", "trigger..x", "[", "'", "trigger.body['a"} {
		f.Add(key)
	}
	payload := map[string]any{"body": []any{map[string]any{"a": "b"}}}
	f.Fuzz(func(_ *testing.T, key string) {
		if parsed, err := parsePath(key); err == nil {
			parsed.find(payload)
		}
	})
}

func held() Result { return Result{Matched: true, Reason: ReasonMatched} }

func notMet(message string) Result { return Result{Reason: ReasonNotMet, Message: message} }

func decode(t *testing.T, text string) any {
	t.Helper()
	value, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}
