package expression

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

const values = `{
	"n": 5, "half": 0.5, "five": 5.0, "big": 9007199254740993, "huge": 18446744073709551615, "vast": 123456789012345678901234567890,
	"s": "héllo", "esc": "a\"b\n", "t": true, "nothing": null, "list": [1, "two", {"x": "y"}, [3]], "object": {"a": 1, "b": 2},
	"twice": 1, "twice": 2, "empty": {}, "none": [], "odd name": "o", "time": "2026-02-26T19:14:43Z"
}`

func TestAConditionHoldsOrNot(t *testing.T) {
	tests := map[string]struct {
		expression string
		want       bool
		err        string
	}{
		"an int equals an int":                         {expression: `trigger.n == 5`, want: true},
		"an int is less than a double":                 {expression: `trigger.n < 5.5`, want: true},
		"a double equals an int":                       {expression: `trigger.five == 5`, want: true},
		"an int beyond a double is exact":              {expression: `trigger.big == 9007199254740993 && trigger.big != 9007199254740992`, want: true},
		"a uint fits where an int does not":            {expression: `trigger.huge == 18446744073709551615u`, want: true},
		"what fits neither is a double":                {expression: `type(trigger.vast) == double && trigger.vast > 1.2e29`, want: true},
		"numbers are added":                            {expression: `trigger.n + 2 == 7`, want: true},
		"strings are compared":                         {expression: `trigger.s == "héllo" && trigger.esc == "a\"b\n"`, want: true},
		"a string has characters, not bytes":           {expression: `size(trigger.s) == 5`, want: true},
		"true is true":                                 {expression: `trigger.t`, want: true},
		"null is null":                                 {expression: `trigger.nothing == null`, want: true},
		"a list is indexed":                            {expression: `trigger.list[2].x == "y" && trigger.list[3][0] == 3`, want: true},
		"a list is compared deeply":                    {expression: `trigger.list == [1, "two", {"x": "y"}, [3.0]]`, want: true},
		"an object is compared in either order":        {expression: `trigger.object == {"b": 2, "a": 1} && {"b": 2, "a": 1} == trigger.object`, want: true},
		"objects of other members differ":              {expression: `trigger.object == {"a": 1} || trigger.object == {"a": 1, "c": 2}`, want: false},
		"the keys are in the order of the text":        {expression: `trigger.object.map(k, k) == ["a", "b"]`, want: true},
		"members are walked through with their keys":   {expression: `trigger.object.all(k, v, v < 3 && k < "c")`, want: true},
		"an object has a size":                         {expression: `size(trigger.object) == 2 && size(trigger.empty) == 0`, want: true},
		"a name is found in an object":                 {expression: `"a" in trigger.object && !("c" in trigger.object)`, want: true},
		"no number is a name":                          {expression: `1 in trigger.object`, want: false},
		"of two members with one name the last counts": {expression: `trigger.twice == 2`, want: true},
		"an odd name is quoted":                        {expression: `trigger["odd name"] == "o"`, want: true},
		"has tests for a field":                        {expression: `has(trigger.n) && !has(trigger.m)`, want: true},
		"has tests for a field of a field":             {expression: `has(trigger.object.a) && !has(trigger.object.c)`, want: true},
		"a loop's variable hides one of its name":      {expression: `[{"n": 7}].exists(trigger, trigger.n == 7 && .trigger.n == 5)`, want: true},
		"a field is selected from a choice":            {expression: `(trigger.t ? trigger.object : trigger).a == 1`, want: true},
		"a field that is missing can be replaced":      {expression: `trigger.?m.orValue(7) == 7 && trigger.?n.orValue(7) == 5`, want: true},
		"or takes the first that has a value":          {expression: `trigger.?m.or(trigger.?n).value() == 5`, want: true},
		"an empty value is none":                       {expression: `!optional.ofNonZeroValue(trigger.empty).hasValue()`, want: true},
		"a list is searched":                           {expression: `trigger.list.exists(x, x == "two")`, want: true},
		"a list holds a value":                         {expression: `"two" in trigger.list && !(2 in trigger.list)`, want: true},
		"lists are joined":                             {expression: `(trigger.list + [1]).size() == 5`, want: true},
		"a regular expression finds a part":            {expression: `trigger.s.matches("^h.l+") && trigger.s.find("l+") == "ll"`, want: true},
		"a text is read as a time":                     {expression: `timestamp(trigger.time) == delivery.received`, want: true},
		"the delivery has fields":                      {expression: `delivery.id == "01jd8x3q" && delivery.webhook == "github-pr" && delivery.url == "github/pr"`, want: true},
		"the rule has fields":                          {expression: `rule.name == "on-merge" && rule.namespace == delivery.namespace`, want: true},
		"a trace tag may be empty":                     {expression: `delivery.traceTag == "" && delivery.sender == "10.0.0.7"`, want: true},
		"Kubernetes quantities are known":              {expression: `quantity("1Gi").isGreaterThan(quantity("900Mi"))`, want: true},
		"addresses are known":                          {expression: `cidr("10.0.0.0/8").containsIP(delivery.sender)`, want: true},
		"an error does not count where it need not":    {expression: `trigger.m == 1 || trigger.n == 5`, want: true},

		"a missing field is an error":            {expression: `trigger.m == 1`, err: `trigger.m: no such key: m`},
		"a field of a missing field is an error": {expression: `trigger.object.c.d == 1`, err: `trigger.object.c.d: no such key: c`},
		"a field of a number is an error":        {expression: `trigger.n.m == 1`, err: `trigger.n.m: no such key: m`},
		"an index out of range is an error":      {expression: `trigger.list[7] == 1`, err: `index out of bounds: 7`},
		"types that do not fit are an error":     {expression: `trigger.s + 1 == 2`, err: `trigger.s + 1: no such overload`},
		"a result that is no bool is an error":   {expression: `trigger.n`, err: `trigger.n: the result is of type int`},
		"null is no bool":                        {expression: `trigger.nothing`, err: `type null_type`},
		"a field that a dyn has not is an error": {expression: `dyn(delivery).m == 1`, err: `no such key: m`},
		"a quantity may not explode":             {expression: `quantity("1e1000000000").isInteger()`, err: "an exponent of 3 digits"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			condition, err := CompileCondition(test.expression)
			if err != nil {
				t.Fatal(err)
			}
			// As it is planned, and as it is planned where its cost must be counted.
			for _, counted := range []bool{false, true} {
				if counted {
					condition.program.bound = 0
				}
				held, err := condition.Holds(t.Context(), scopeOf(values))
				wantError(t, err, test.err)
				if held != test.want {
					t.Errorf("counted %v: got %v, want %v", counted, held, test.want)
				}
			}
		})
	}
}

func TestWhatIsWrongWithAConditionIsSaidWhenItIsCompiled(t *testing.T) {
	tests := map[string]struct{ expression, want string }{
		"an empty expression":           {" ", "the expression is empty"},
		"half an expression":            {"trigger.a ==", "1:13: Syntax error: mismatched input '<EOF>'"},
		"an unknown variable":           {"tigger.a", "1:1: there is no variable tigger; there are trigger, delivery and rule"},
		"a forgotten prefix":            {"trigger.a || body.b", "1:14: there is no variable body; there are trigger, delivery and rule; write trigger.body"},
		"item, where there is none":     {"item.a", "1:1: there is no variable item"},
		"an unknown field":              {"delivery.ID == ''", "1:9: undefined field 'ID'; the fields are delivery.{id, namespace"},
		"a field of the rule":           {"rule.kind == ''", "1:5: undefined field 'kind'"},
		"no clock":                      {"now() > delivery.received", "there is no function now"},
		"no authorizer":                 {"authorizer.path('/').check('get').allowed()", "there is no variable authorizer"},
		"a number":                      {"1 + 1", "the result is of type int, and a condition is true or false"},
		"a string":                      {"delivery.id", "the result is of type string"},
		"types that never fit":          {"delivery.id == 5", "1:13: found no matching overload for '_==_' applied to '(string, int)'"},
		"a broken regular expression":   {"delivery.id.matches('(')", "1:21: invalid matches argument"},
		"a broken duration":             {"duration('x') > duration('1s')", "invalid duration argument"},
		"too many characters":           {strings.Repeat("trigger.a||", 400) + "true", "exceeds limit"},
		"too many brackets":             {strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), "recursion"},
		"too many loops in each other":  {"[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, [1].all(f, true))))))", "nesting"},
		"control characters in a quote": {"\x1b[31m", `token recognition error at: '\x1b'`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := CompileCondition(test.expression)
			wantError(t, err, test.want)
		})
	}
}

func TestTheMessageOfAFailureQuotesLittleOfThePayload(t *testing.T) {
	long := strings.Repeat("x\\u001b\\n\\u202e", 5000)
	for expression, want := range map[string]string{
		`trigger.object[trigger.long] == 1`:              `no such key: x\x1b \u202ex`,
		`timestamp(trigger.long) == delivery.received`:   `timestamp`,
		`"a".matches(trigger.long)`:                      `the regular expression is too long`,
		`duration(trigger.long) == duration("1s")`:       `duration`,
		`trigger.object[trigger.long.substring(1)] == 1`: `\u202e`,
	} {
		condition, err := CompileCondition(expression)
		if err != nil {
			t.Fatal(err)
		}
		_, err = condition.Holds(t.Context(), scopeOf(`{"object": {}, "long": "`+long+`"}`))
		wantError(t, err, want)
		if len(err.Error()) > 2*maxMessage+maxPart {
			t.Errorf("%s: the message has %d bytes: %s", expression, len(err.Error()), err)
		}
	}
}

func TestAPayloadThatIsNoJSONIsAnError(t *testing.T) {
	condition, err := CompileCondition("true")
	if err != nil {
		t.Fatal(err)
	}
	_, err = condition.Holds(t.Context(), scopeOf(`{"a": 1`))
	wantError(t, err, "reading the payload: decoding JSON: the text ends after a member")
}

func TestNoPayloadIsNull(t *testing.T) {
	condition, err := CompileCondition("trigger == null")
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range []*Scope{{}, {Payload: NewPayload(nil)}, scopeOf("null")} {
		if held, err := condition.Holds(t.Context(), scope); err != nil || !held {
			t.Errorf("got %v, %v, want true", held, err)
		}
	}
}

func TestAConditionThatDoesNotHoldIsExplained(t *testing.T) {
	tests := map[string]struct{ expression, want string }{
		"a field":               {`trigger.a && trigger.b`, `trigger.b is false`},
		"a comparison":          {`trigger.a && trigger.s == "opened"`, `trigger.s == "opened" is false: trigger.s is "closed"`},
		"the first that failed": {`trigger.n > 7 && trigger.s == "opened" && trigger.b`, `trigger.n > 7 is false: trigger.n is 5`},
		"all of an or":          {`trigger.n > 7 || trigger.s == "opened"`, `trigger.n > 7 || trigger.s == "opened" is false: trigger.n is 5, trigger.s is "closed"`},
		"a negation":            {`!trigger.a`, `!trigger.a is false: trigger.a is true`},
		"a test for a field":    {`has(trigger.x)`, `has(trigger.x) is false`},
		"a loop":                {`trigger.list.exists(x, x > 3)`, `trigger.list.exists(x, x > 3) is false: trigger.list is [1, 2]`},
		"an index":              {`trigger.list[0] == 2`, `trigger.list[0] == 2 is false: trigger.list[0] is 1`},
		"a quoted name":         {`trigger["odd name"] == 2`, `trigger["odd name"] == 2 is false: trigger["odd name"] is null`},
		"a call":                {`trigger.s.startsWith("o")`, `trigger.s.startsWith("o") is false: trigger.s is "closed"`},
		"the delivery":          {`delivery.received < timestamp("2020-01-01T00:00:00Z")`, `timestamp("2020-01-01T00:00:00Z") is false: delivery.received is 2026-02-26T19:14:43Z`},
		"a long value":          {`size(trigger.long) == 3`, `is false: trigger.long is "` + strings.Repeat("x", maxShown) + `…"`},
		"constants":             {`1 == 2`, `1 == 2 is false`},
	}
	payload := `{"a": true, "b": false, "s": "closed", "n": 5, "list": [1, 2], "odd name": null, "long": "` + strings.Repeat("x", 5000) + `"}`
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			condition, err := CompileCondition(test.expression)
			if err != nil {
				t.Fatal(err)
			}
			scope := scopeOf(payload)
			if held, err := condition.Holds(t.Context(), scope); err != nil || held {
				t.Fatalf("got %v, %v, want false", held, err)
			}
			got := condition.Explain(t.Context(), scope)
			if !strings.HasSuffix(got, test.want) || len(got) > maxExplanation+len("…") {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestAnEvaluationIsInterrupted(t *testing.T) {
	condition, err := CompileCondition(`trigger.all(a, trigger.all(b, trigger.all(c, a < b || true)))`)
	if err != nil {
		t.Fatal(err)
	}
	scope := scopeOf("[" + strings.Repeat("1,", 5000) + "1]")
	stopped := errors.New("the process ends")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := condition.Holds(ctx, scope); !errors.Is(err, stopped) {
		t.Errorf("before it begins: error %v, want %v", err, stopped)
	}
	condition.program.bound = maxInput // it is not counted, so that nothing else ends it
	if _, err := condition.Holds(t.Context(), scope); !errors.Is(err, errTooLong) {
		t.Errorf("error %v, want %v", err, errTooLong)
	}
}

func TestAConditionIsEvaluatedConcurrently(t *testing.T) {
	condition, err := CompileCondition(`trigger.list.exists(x, x == "two") && trigger.object.all(k, trigger.object[k] > 0) && trigger.esc != ""`)
	if err != nil {
		t.Fatal(err)
	}
	scope := scopeOf(values)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for range 50 {
				if held, err := condition.Holds(t.Context(), scope); err != nil || !held {
					t.Errorf("goroutine %d: got %v, %v", i, held, err)
				}
			}
		})
	}
	wait.Wait()
}

func TestALargeObjectIsSearchedLikeASmallOne(t *testing.T) {
	var members []string
	for i := range 3 * maxScanned {
		members = append(members, fmt.Sprintf(`"k%d": %d`, i, i))
	}
	condition, err := CompileCondition(`trigger.k0 == 99 && trigger.k150 == 150 && !has(trigger.k1000)`)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := condition.Holds(t.Context(), scopeOf("{"+strings.Join(members, ",")+`, "k0": 99}`)); err != nil || !held {
		t.Errorf("got %v, %v, want true", held, err)
	}
}
