package criteria

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/expression"
)

const push = `{
	"headers": {"X-Github-Event": "push"},
	"body": {
		"action": "closed", "number": 5, "flag": true, "nothing": null, "empty": "", "updated": "2026-11-25T09:00:00Z",
		"list": [1, "two", {"x": "y"}], "object": {"key": 1}, "dotted.key": "d", "sp ace": "s", "big": 9007199254740993,
		"twice": 1, "twice": 2, "esc\u0061ped": "\u0061\n", "float": 1.5, "zero": 0, "users": [{"name": "ann"}, {"name": "bob"}]
	}
}`

// now is when the tests' criteria are evaluated.
var now = time.Date(2026, 11, 25, 9, 1, 0, 0, time.UTC)

func TestCriteriaDecideAsStackStormDoes(t *testing.T) {
	tests := map[string]struct {
		key, operator, pattern string
		want                   Result
	}{
		"an equal string holds":             {"trigger.body.action", "equals", `"closed"`, met()},
		"eq is another name of equals":      {"trigger.body.action", "eq", `"closed"`, met()},
		"another string does not":           {"trigger.body.action", "equals", `"opened"`, notMet(`trigger.body.action: equals "opened": saw "closed"`)},
		"a number is no text":               {"trigger.body.number", "equals", `"5"`, notMet(`trigger.body.number: equals "5": saw 5`)},
		"5 is 5.0":                          {"trigger.body.number", "equals", `5.0`, met()},
		"true is 1, as in Python":           {"trigger.body.flag", "equals", `1`, met()},
		"big integers are exact":            {"trigger.body.big", "equals", `9007199254740992`, notMet(`trigger.body.big: equals 9007199254740992: saw 9007199254740993`)},
		"and compared to floats exactly":    {"trigger.body.big", "gt", `9007199254740992.0`, met()},
		"lists are compared deeply":         {"trigger.body.list", "equals", `[1.0,"two",{"x":"y"}]`, met()},
		"lists have an order":               {"trigger.body.list", "lt", `[1,"twx"]`, met()},
		"a missing value equals nothing":    {"trigger.body.missing", "equals", `""`, notMet(`trigger.body.missing: equals "": saw nothing`)},
		"a missing value is unequal to all": {"trigger.body.missing", "nequals", `"x"`, met()},
		"null does not exist":               {"trigger.body.nothing", "exists", ``, notMet(`trigger.body.nothing: exists: saw null`)},
		"an empty string exists":            {"trigger.body.empty", "exists", ``, met()},
		"what is missing does not exist":    {"trigger.body.missing", "nexists", ``, met()},
		"a string contains a part":          {"trigger.body.action", "contains", `"los"`, met()},
		"a list contains an element":        {"trigger.body.list", "contains", `"two"`, met()},
		"an object contains a name":         {"trigger.body.object", "contains", `"key"`, met()},
		"a list holds the value":            {"trigger.body.number", "in", `[1,5]`, met()},
		"null is in a list that holds it":   {"trigger.body.missing", "in", `[null]`, met()},
		"case is ignored where i says so":   {"trigger.body.action", "ieq", `"CLOSED"`, met()},
		"a regex finds a part":              {"trigger.body.action", "regex", `"^clo"`, met()},
		"wildcards match the whole text":    {"trigger.body.action", "matchwildcard", `"clos"`, notMet(`trigger.body.action: matchwildcard "clos": saw "closed"`)},
		"a time is a minute old":            {"trigger.body.updated", "td_lt", `61`, met()},
		"and no more":                       {"trigger.body.updated", "td_gt", `60`, notMet(`trigger.body.updated: td_gt 60: saw "2026-11-25T09:00:00Z"`)},
		"a template keeps its type":         {"trigger.body.number", "equals", `"${trigger.body.number}"`, met()},
		"a template is shown rendered":      {"trigger.body.action", "equals", `"${trigger.body.number}"`, notMet(`trigger.body.action: equals 5: saw "closed"`)},
		"a template makes a text":           {"trigger.body.action", "equals", `"${trigger.body.action.substring(0, 5)}d"`, met()},
		"a pattern rendered to null":        {"trigger.body.missing", "equals", `"${trigger.body.nothing}"`, notMet(`trigger.body.missing: equals null: saw nothing`)},
		"to which all are unequal":          {"trigger.body.action", "nequals", `"${trigger.body.nothing}"`, met()},
		"the mark of templates is quoted":   {"trigger.body.action", "nequals", `"$${trigger}"`, met()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set := compile(t, test.key, Criterion{Type: test.operator, Pattern: []byte(test.pattern)})
			got, err := set.Evaluate(t.Context(), scopeOf(push), now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeysFindWhatTheyFindInStackStorm(t *testing.T) {
	tests := map[string]struct{ key, want string }{
		"a header by its quoted name":             {"trigger.headers['X-Github-Event']", `"push"`},
		"a header by its bare name":               {"trigger.headers.X-Github-Event", `"push"`},
		"no header in another case":               {"trigger.headers.x-github-event", ``},
		"text after # does not count":             {"trigger.body.action#2.x", `"closed"`},
		"blanks between words do not count":       {" trigger . body . action ", `"closed"`},
		"a list by index":                         {"trigger.body.list[2].x", `"y"`},
		"a list from its end":                     {"trigger.body.list[-2]", `"two"`},
		"a list by a slice":                       {"trigger.body.list[1:3]", `"two"`},
		"the first of all elements":               {"trigger.body.users[*].name", `"ann"`},
		"nothing where the index is out of range": {"trigger.body.list[7]", ``},
		"nothing by name in a list":               {"trigger.body.users.name", ``},
		"a character of a string":                 {"trigger.body.action[0]", `"c"`},
		"a dotted name in quotes":                 {`trigger.body["dotted.key"]`, `"d"`},
		"a name with a blank":                     {"trigger.body.'sp ace'", `"s"`},
		"the last of two members of one name":     {"trigger.body.twice", `2`},
		"a name that is escaped in the payload":   {"trigger.body.escaped", `"\u0061\n"`},
		"a number as it was written":              {"trigger.body.big", `9007199254740993`},
		"nothing without the prefix":              {"body.action", ``},
		"nothing in the datastore":                {"system.action", ``},
		"the first of some names":                 {"trigger.body.missing,number,action", `5`},
		"the first of some paths":                 {"trigger.body.(missing|action)", `"closed"`},
		"what is anywhere inside":                 {"trigger..x", `"y"`},
		"what has a member":                       {"trigger.* where key", ``},
		"the parent":                              {"trigger.body.object.`parent`.number", `5`},
		"everything":                              {"$.trigger.headers", `{"X-Github-Event": "push"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path, err := parseKey(test.key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := path.find(sourceOf(t, push))
			if err != nil || got.JSON() != test.want {
				t.Errorf("found %s, %v, want %s", got.JSON(), err, test.want)
			}
		})
	}
}

func TestWhatCannotBeEvaluatedIsAnError(t *testing.T) {
	tests := map[string]struct{ key, operator, pattern, want string }{
		"a number contains nothing":         {"trigger.body.number", "contains", `5`, `trigger.body.number: contains 5: the value is a number, which contains nothing`},
		"a regex over nothing":              {"trigger.body.missing", "regex", `"x"`, `needs a string, and the value is missing or null`},
		"ncontains over nothing":            {"trigger.body.missing", "ncontains", `"x"`, `which contains nothing`},
		"a number and a string":             {"trigger.body.number", "lt", `"6"`, `a number and a string have no order`},
		"nothing and a number":              {"trigger.body.missing", "gt", `6`, `missing or null and a number have no order`},
		"a number in a string":              {"trigger.body.number", "in", `"56"`, `a string contains strings only`},
		"a time that is none":               {"trigger.body.action", "td_gt", `1`, `the value is no time such as 2024-01-31T10:15:00Z`},
		"an index of an object":             {"trigger.body.object[0]", "exists", ``, `the key takes index 0 of an object`},
		"an index of a number":              {"trigger.body.number[0]", "exists", ``, `the key takes index 0 of a number`},
		"a negative index that is too much": {"trigger.body.list[-9]", "exists", ``, `the key takes index -9 of only 3`},
		"a search in a number":              {"trigger.body.number", "search", `{}`, `in which nothing can be searched`},
		"a template without a value":        {"trigger.body.action", "nequals", `"${trigger.body.missing}"`, `rendering the pattern`},
		"a template that is no regex":       {"trigger.body.action", "regex", `"${trigger.body.number}"`, `trigger.body.action: regex 5: the rendered pattern: a string is needed, not a number`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			definition := Criterion{Type: test.operator, Pattern: []byte(test.pattern)}
			if test.operator == "search" {
				definition.Condition = "any"
			}
			got, err := compile(t, test.key, definition).Evaluate(t.Context(), scopeOf(push), now)
			if err == nil || !strings.Contains(err.Error(), test.want) || got.Matched {
				t.Errorf("%v, error %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestWhatIsWrongIsSaidWhenItIsCompiled(t *testing.T) {
	deep := `{"item": {"type": "exists"}}`
	for range maxSearches {
		deep = `{"item": {"type": "search", "condition": "any", "pattern": ` + deep + `}}`
	}
	tests := map[string]struct{ key, operator, pattern, condition, want string }{
		"an unknown operator":         {"trigger.a", "like", `"x"`, "", `spec.criteria["trigger.a"]: type: unknown operator "like"; use one of contains, endswith, eq,`},
		"an operator in another case": {"trigger.a", "Equals", `"x"`, "", `type: unknown operator "Equals"`},
		"a missing pattern":           {"trigger.a", "equals", ``, "", `pattern: required and not null for operator equals`},
		"a null pattern":              {"trigger.a", "equals", `null`, "", `pattern: required and not null for operator equals`},
		"a pattern that is no JSON":   {"trigger.a", "equals", `{`, "", `pattern: not a JSON text`},
		"a pattern that is Jinja":     {"trigger.a", "equals", `"{{ trigger.b }}"`, "", `pattern: "{{" begins no template here; write ${…}`},
		"a wrong template":            {"trigger.a", "equals", `"${trigger.}"`, "", `pattern: `},
		"a template over an item":     {"trigger.a", "equals", `"${item.x}"`, "", `pattern: `},
		"a regex with look-ahead":     {"trigger.a", "regex", `"a(?=x)"`, "", `pattern: not a regular expression: at "(?=x)": look-ahead is not supported`},
		"a regex with back-reference": {"trigger.a", "iregex", `"(a)\\1"`, "", `a back-reference is not supported`},
		"a regex that stays open":     {"trigger.a", "regex", `"(a"`, "", `a closing parenthesis is missing`},
		"a regex that is no text":     {"trigger.a", "regex", `5`, "", `pattern: a string is needed, not a number`},
		"a regex that is too long":    {"trigger.a", "regex", `"` + strings.Repeat("a", maxRegex+1) + `"`, "", `write one of at most 1024`},
		"a regex that is too large":   {"trigger.a", "regex", `"(abc){999}"`, "", `repeat less`},
		"an order of objects":         {"trigger.a", "lt", `{}`, "", `objects have no order`},
		"the inside of a number":      {"trigger.a", "in", `5`, "", `a list, a string or an object is needed, not a number`},
		"seconds that are none":       {"trigger.a", "td_lt", `"soon"`, "", `a number of seconds is needed, not "soon"`},
		"a condition of equals":       {"trigger.a", "eq", `5`, "any", `condition: operator equals has none; leave it out`},
		"a search without condition":  {"trigger.a", "search", `{}`, "", `condition: operator search needs one of all, all2any, any, any2any, not ""`},
		"a search of nothing":         {"trigger.a", "search", `["x"]`, "any", `pattern: a map of criteria is needed`},
		"a wrong criterion inside":    {"trigger.a", "search", `{"item.a": {"type": "like"}}`, "any", `pattern: ["item.a"]: type: unknown operator "like"`},
		"no criterion inside":         {"trigger.a", "search", `{"item.a": 5}`, "any", `["item.a"]: a criterion is an object`},
		"searches in searches":        {"trigger.a", "search", deep, "any", `searches nest more than 8 deep`},
		"an empty key":                {"#1", "exists", ``, "", `the key is empty; write a path such as`},
		"a name that is a number":     {"trigger.body.1", "exists", ``, "", `at "1": a name is expected; quote odd names`},
		"a name with a blank":         {"trigger.body.a b", "exists", ``, "", `at "b": a dot or a bracket is expected`},
		"a reserved name":             {"trigger.where", "exists", ``, "", `at "where": a name is expected`},
		"a bracket that stays open":   {"trigger.body[0", "exists", ``, "", `at the end of the key: ] is missing`},
		"a quote that stays open":     {"trigger.body['a]", "exists", ``, "", `the closing quote is missing`},
		"a filter":                    {"trigger.body[?(@.a)]", "exists", ``, "", `"?" cannot stand here`},
		"an intersection":             {"trigger.a&b", "exists", ``, "", `& (intersection) is not supported`},
		"a named operator":            {"trigger.`len`", "exists", ``, "", "use `this` or `parent`"},
		"a key that is too long":      {strings.Repeat("a.", maxKey), "exists", ``, "", `write one of at most 1024`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			definition := Criterion{Type: test.operator, Pattern: []byte(test.pattern), Condition: test.condition}
			_, err := Compile(map[string]Criterion{test.key: definition})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestAPayloadThatIsNoJSONIsAnError(t *testing.T) {
	set := compile(t, "trigger.a", Criterion{Type: "exists"})
	_, err := set.Evaluate(t.Context(), scopeOf(`{"a": 1`), now)
	if want := "reading the payload: decoding JSON: the text ends after a member"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestEveryWrongCriterionIsNamed(t *testing.T) {
	_, err := Compile(map[string]Criterion{"trigger.a": {Type: "no"}, "trigger.b": {Type: "nor"}})
	for _, want := range []string{`spec.criteria["trigger.a"]`, `spec.criteria["trigger.b"]`} {
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
	some := compile(t, "trigger.body", Criterion{Type: "nexists"})
	tests := map[string]struct {
		set     *Set
		payload string
		want    Reason
	}{
		"no criteria hold for a payload":                  {none, push, ReasonNoCriteria},
		"no criteria hold for an empty payload":           {none, `{}`, ReasonNoCriteria},
		"no criteria hold for none":                       {none, ``, ReasonNoCriteria},
		"criteria never hold for an empty payload":        {some, " { }\n", ReasonEmptyPayload},
		"nor for none":                                    {some, ``, ReasonEmptyPayload},
		"nor for null":                                    {some, `null`, ReasonEmptyPayload},
		"though they hold for one that has something":     {some, ` {"other": 1} `, ReasonMatched},
		"a payload of one null member is not empty to it": {some, `{"body": null}`, ReasonMatched},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.set.Evaluate(t.Context(), scopeOf(test.payload), now)
			if err != nil || got.Reason != test.want {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestSearchesCountItems(t *testing.T) {
	// Of the three items a holds for two and b for one.
	const payload = `{"items": [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": "x"}], "none": [], "one": {"a": 1, "b": 1}, "text": "ab"}`
	both := `{"item.a": {"type": "eq", "pattern": 1}, "item.b": {"type": "lt", "pattern": 2}}`
	tests := map[string]struct {
		key, condition, pattern string
		want                    bool
	}{
		"one item meets both criteria":           {"trigger.items", "any", both, true},
		"not every item does":                    {"trigger.items", "all", both, false},
		"one item meets one of them":             {"trigger.items", "any2any", both, true},
		"not every item meets one":               {"trigger.items", "all2any", both, false},
		"all items have a":                       {"trigger.items", "all", `{"item.a": {"type": "exists"}}`, true},
		"no item is no match for any":            {"trigger.none", "any", both, false},
		"but for all":                            {"trigger.none", "all", both, true},
		"an object is one item":                  {"trigger.one", "all", both, true},
		"the items of a string are characters":   {"trigger.text", "any", `{"item": {"type": "eq", "pattern": "b"}}`, true},
		"no criteria are met by every item":      {"trigger.items", "all", `{}`, true},
		"but none of them is":                    {"trigger.items", "all2any", `{}`, false},
		"the payload is not seen inside":         {"trigger.items", "any", `{"trigger.items": {"type": "exists"}}`, false},
		"a template sees the item":               {"trigger.items", "any", `{"item.a": {"type": "gt", "pattern": "${item.b}"}}`, false},
		"and its members":                        {"trigger.items", "all2any", `{"item.a": {"type": "eq", "pattern": "${item.a}"}}`, true},
		"searches nest, with items of their own": {"trigger", "any", `{"item.items": {"type": "search", "condition": "any", "pattern": {"item.a": {"type": "eq", "pattern": 2}}}}`, true},
		"a template may be the criteria":         {"trigger.items", "any", `"${{'item.a': {'type': 'eq', 'pattern': 2}}}"`, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set := compile(t, test.key, Criterion{Type: "search", Pattern: []byte(test.pattern), Condition: test.condition})
			got, err := set.Evaluate(t.Context(), scopeOf(payload), now)
			if err != nil || got.Matched != test.want {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestASearchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	set := compile(t, "trigger.body.list", Criterion{Type: "search", Condition: "all", Pattern: []byte(`{}`)})
	if _, err := set.Evaluate(ctx, scopeOf(push), now); err == nil {
		t.Error("no error")
	}
}

func TestMessagesAreBoundedAndVisible(t *testing.T) {
	tests := map[string]struct{ payload, pattern, want string }{
		"long values are cut":             {`{"a": "` + strings.Repeat("ż", 9999) + `"}`, `"` + strings.Repeat("ż", 9998) + `"`, "ż…"},
		"blanks outside strings go":       {"{\"a\": {\n\t\"b\" : [1, \" 2\\\\\\\"\"]}}", `1`, `saw {"b":[1," 2\\\""]}`},
		"marks of direction are escaped":  {"{\"a\": \"x\u202ey\u200b\"}", `1`, `saw "x\u202ey\u200b"`},
		"so are controls":                 {"{\"a\": \"x\u0085\"}", `1`, `saw "x\u0085"`},
		"and tags beyond the first plane": {"{\"a\": \"x\U000E0041\"}", `1`, `saw "x\udb40\udc41"`},
		"and in patterns":                 {`{"a": 1}`, "\"\u202e\"", `equals "\u202e"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set := compile(t, "trigger.a", Criterion{Type: "equals", Pattern: []byte(test.pattern)})
			got, err := set.Evaluate(t.Context(), scopeOf(test.payload), now)
			if err != nil || len(got.Message) > 3*maxShown || !strings.Contains(got.Message, test.want) {
				t.Errorf("%q, %v, want %q", got.Message, err, test.want)
			}
			if strings.ContainsFunc(got.Message, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q holds what cannot be seen", got.Message)
			}
		})
	}
}

func TestAPayloadCannotCostMuch(t *testing.T) {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	tests := map[string]struct{ key, operator, pattern, payload string }{
		"a huge exponent":     {"trigger.n", "equals", `1`, `{"n": 1e999999999}`},
		"a tiny exponent":     {"trigger.n", "equals", `1`, `{"n": 1e-999999999}`},
		"a long integer":      {"trigger.n", "equals", `1`, `{"n": ` + strings.Repeat("9", 1_000_000) + `}`},
		"a deep list":         {"trigger.n", "equals", `[]`, `{"n": ` + deep + `}`},
		"a deep list by ..":   {"trigger..x", "exists", ``, `{"n": ` + deep + `}`},
		"a wide list by ..":   {"trigger..x..y", "exists", ``, `{"n": [` + strings.Repeat("0,", 500_000) + `0]}`},
		"many stars":          {"trigger..*..*..*..*", "exists", ``, `{"n": ` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`},
		"a regex on its edge": {"trigger.n", "regex", `"(a*)*(a|b)*c$"`, `{"n": "` + strings.Repeat("a", 100_000) + `\n"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set := compile(t, test.key, Criterion{Type: test.operator, Pattern: []byte(test.pattern)})
			start := time.Now()
			got, err := set.Evaluate(t.Context(), scopeOf(test.payload), now)
			if got.Matched {
				t.Errorf("%v, %v", got, err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestASetIsSafeForConcurrentUse(t *testing.T) {
	set, err := Compile(map[string]Criterion{
		"trigger.body.action": {Type: "iregex", Pattern: []byte(`"\\bCLOSED$"`)},
		"trigger..x":          {Type: "eq", Pattern: []byte(`"${trigger.body.list[2].x}"`)},
		"trigger.body.users":  {Type: "search", Condition: "all", Pattern: []byte(`{"item.name": {"type": "eq", "pattern": "${item.name}"}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	scope := scopeOf(push)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got, err := set.Evaluate(t.Context(), scope, now); err != nil || !got.Matched {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	group.Wait()
}

func TestEveryOperatorIsDescribed(t *testing.T) {
	names := map[string]bool{}
	for _, doc := range Describe() {
		if doc.Meaning == "" {
			t.Errorf("%v has no meaning", doc.Names)
		}
		for _, name := range doc.Names {
			if names[name] {
				t.Errorf("%s is there twice", name)
			}
			names[name] = true
		}
	}
	if len(names) != 33 || len(Operators()) != 33 {
		t.Errorf("%d names, want StackStorm's 33", len(names))
	}
}

func compile(t testing.TB, key string, definition Criterion) *Set {
	t.Helper()
	set, err := Compile(map[string]Criterion{key: definition})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func scopeOf(payload string) *expression.Scope {
	return &expression.Scope{Payload: expression.NewPayload([]byte(payload))}
}

// sourceOf returns what keys look into: a payload.
func sourceOf(t testing.TB, payload string) source {
	t.Helper()
	return source{name: sourceTrigger, value: parsed(t, payload)}
}

func parsed(t testing.TB, text string) value {
	t.Helper()
	parsed, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func met() Result { return Result{Matched: true, Reason: ReasonMatched} }

func notMet(message string) Result { return Result{Reason: ReasonNotMet, Message: message} }

func ExampleSet_Evaluate() {
	set, err := Compile(map[string]Criterion{"trigger.body.action": {Type: "equals", Pattern: []byte(`"closed"`)}})
	if err != nil {
		panic(err)
	}
	scope := &expression.Scope{Payload: expression.NewPayload([]byte(`{"body": {"action": "opened"}}`))}
	result, err := set.Evaluate(context.Background(), scope, time.Now())
	fmt.Println(result.Matched, result.Message, err)
	// Output: false trigger.body.action: equals "closed": saw "opened" <nil>
}
