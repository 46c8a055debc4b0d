package expression

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// patience is how long the worst evaluation may take: maxDuration, one call of maxWork, and a slow machine.
const patience = 10 * maxDuration

// Whatever an expression asks for, it is refused when it is compiled, or it ends soon, by itself or with an error that says
// why.
func TestTheWorstExpressionsAreRefusedOrEndSoon(t *testing.T) {
	const limit, guarded, slow = "costs more than 1000000", "would make or compare more than 16 MiB", "longer than 1s"
	scopes := map[string]*Scope{
		"list":   scopeOf(`{"l": [` + strings.Repeat("1,", 400_000) + `1]}`),
		"text":   scopeOf(`{"a": "` + strings.Repeat("a", 400_000) + `", "b": "` + strings.Repeat("a", 400_000) + `b", "l": [1,2,3]}`),
		"texts":  scopeOf(`{"l": [` + strings.Repeat(`"aaaaaaaaaa",`, 40_000) + `"b"], "a": "` + strings.Repeat("a", 400_000) + `"}`),
		"object": scopeOf(objectOf(40_000)),
		"deep":   scopeOf(strings.Repeat(`{"d":[`, 4000) + strings.Repeat("]}", 4000)),
		"small":  scopeOf(`{"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "l": [1,2,3]}`),
	}
	hundred := "[" + strings.Repeat("1,", 99) + "1]"
	tests := map[string]struct {
		expression, payload string
		want                []string // any of these is the error; none is no error
	}{
		"nested loops over the payload":            {`trigger.l.all(a, trigger.l.all(b, trigger.l.all(c, true)))`, "list", []string{limit, slow}},
		"nested loops over constants":              {hundred + `.all(a, ` + hundred + `.all(b, ` + hundred + `.all(c, ` + hundred + `.all(d, true))))`, "small", []string{limit, slow}},
		"loops that make lists":                    {`size(trigger.l.map(a, trigger.l.map(b, [a, b]))) > 0`, "list", []string{limit, slow}},
		"a text that doubles":                      {`trigger.l.all(x, ` + grown(`%s`) + ` != "")`, "text", []string{limit, slow}},
		"a text that doubles without a loop":       {grown(`%s`) + ` != ""`, "text", []string{limit, slow}},
		"a text hidden in a map":                   {grown(`{"trigger": %s}.trigger`) + ` != ""`, "text", []string{limit, slow}},
		"a text between all characters of another": {`trigger.a.replace("", trigger.b) != ""`, "text", []string{guarded}},
		"a text in a hundred thousand places":      {`trigger.l.map(x, trigger.a).join(trigger.a) != ""`, "texts", []string{limit, guarded, slow}},
		"a list of a list, flattened":              {`size([trigger.l, trigger.l, trigger.l, trigger.l].map(x, [x, x, x, x, x, x, x, x, x, x, x, x]).flatten(3)) > 0`, "list", []string{guarded}},
		"the index of a long text in another":      {`trigger.a.indexOf(trigger.b) == 0`, "text", []string{guarded}},
		"the last index of one":                    {`trigger.a.lastIndexOf(trigger.b) == 0`, "text", []string{guarded}},
		"distinct values of a long list":           {`size(trigger.l.distinct()) > 0`, "list", []string{limit, guarded}},
		"sets of long lists":                       {`sets.contains(trigger.l, trigger.l)`, "texts", []string{limit, guarded}},
		"a range":                                  {`size(lists.range(1000000000)) > 0`, "small", []string{"the expression costs at least 1000000013"}},
		"a range of a length in the payload":       {`size(lists.range(trigger.l[0] * 1000000000)) > 0`, "small", []string{"maximum allowed"}},
		"digits behind the point":                  {`"%.999999999f".format([1.5]) != ""`, "small", []string{"precision"}},
		"a text that is formatted a thousand fold": {`"%s%s".format([trigger.l.map(x, trigger.a), trigger.a]) != ""`, "texts", []string{limit, guarded, slow}},
		"a catastrophic regular expression":        {`trigger.a.matches("^(a+)+$") || true`, "small", nil},
		"a regular expression over a long text":    {`trigger.a.matches("(a|a)*(a|a)*(a|a)*b$")`, "text", nil},
		"one with counts":                          {`trigger.a.matches("(a{30}){30}b")`, "text", []string{"the text is too long for a regular expression"}},
		"one from the payload":                     {`trigger.l[0].matches(trigger.a)`, "texts", []string{"the regular expression is too long"}},
		"many in a loop":                           {`trigger.l.all(x, (x + x).matches("(a|aa)*(a|aa)*$"))`, "texts", []string{limit, slow}},
		"all matches":                              {`trigger.l.all(x, size(trigger.a.findAll("")) > 0)`, "texts", []string{"the text is too long", limit, slow}},
		"a loop that looks into a large object":    {`trigger.l.all(x, trigger.o.k39999 > 0)`, "object", []string{limit, slow}},
		"a loop that compares the whole payload":   {`trigger.l.all(x, [trigger] == [dyn(trigger)])`, "object", []string{limit, slow}},
		"a loop over the characters of a text":     {`trigger.l.all(x, trigger.a.charAt(399999) == "a")`, "texts", []string{limit, slow}},
		"deep nesting":                             {`trigger == {"d": []}`, "deep", nil},
		"quantities with exponents":                {`quantity("1e999999999").isGreaterThan(quantity("1"))`, "small", []string{"exponent"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			condition, err := CompileCondition(test.expression)
			if err == nil {
				start := time.Now()
				_, err = condition.Holds(t.Context(), scopes[test.payload])
				if took := time.Since(start); took > patience {
					t.Errorf("it took %v", took)
				}
			}
			if err == nil && test.want == nil { // it ended by itself
				return
			}
			for _, want := range test.want {
				if err != nil && strings.Contains(err.Error(), want) {
					return
				}
			}
			t.Errorf("error %v, want one of %q", err, test.want)
		})
	}
}

// grown returns an expression that makes a text of the payload 160,000 times as long, in steps, each of which wraps it.
func grown(wrap string) string {
	text := "trigger.a"
	for range 4 {
		text = "[" + fmt.Sprintf(wrap, text) + "].map(t, t" + strings.Repeat(" + t", 19) + ")[0]"
	}
	return text
}

// objectOf returns an object with a list and an object of so many members each.
func objectOf(members int) string {
	var b strings.Builder
	b.WriteString(`{"l": [` + strings.Repeat("1,", members) + `1], "o": {`)
	for i := range members {
		fmt.Fprintf(&b, `"k%d": 1, `, i)
	}
	b.WriteString(`"last": 1}}`)
	return b.String()
}

// Counting costs six times an evaluation, so that it is kept for where it is needed.
func TestCostsAreCountedWhereTheyCannotBeBoundedOtherwise(t *testing.T) {
	tests := map[string]struct {
		expression string
		small      bool // not counted with 10 KiB
		large      bool // not counted with 1 MiB
	}{
		"comparisons":                          {`trigger.a == "x" && trigger.b.c == trigger.d || trigger.n > 5`, true, true},
		"a fair regular expression":            {`trigger.ref.matches("^refs/tags/v[0-9]+$")`, true, true},
		"one with counts":                      {`trigger.ref.matches("(a{30}){30}")`, false, false},
		"a loop":                               {`trigger.l.exists(x, x.name == "a")`, true, false},
		"loops in loops":                       {`trigger.l.exists(x, x.l.exists(y, y == "a"))`, false, false},
		"texts that are put together":          {`"refs/heads/" + trigger.ref == string(trigger.n)`, true, true},
		"a value that is replaced":             {`trigger.?a.orValue("") + "x" == "ax"`, true, true},
		"a list that is replaced":              {`trigger.?l.orValue([]).exists(x, x == 1)`, true, false},
		"a map that seems to be the payload":   {`{"trigger": [trigger.l, trigger.l]}.trigger.exists(x, x.exists(y, y == 1))`, false, false},
		"a text of lists":                      {`trigger.l.join(",") == "a"`, false, false},
		"a list that is searched for its keys": {`trigger.l.all(k, v, v == trigger.a)`, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			condition, err := CompileCondition(test.expression)
			if err != nil {
				t.Fatal(err)
			}
			if got := condition.program.bound >= 10<<10; got != test.small {
				t.Errorf("bound %d: not counted with 10 KiB: %v, want %v", condition.program.bound, got, test.small)
			}
			if got := condition.program.bound >= 1<<20; got != test.large {
				t.Errorf("bound %d: not counted with 1 MiB: %v, want %v", condition.program.bound, got, test.large)
			}
		})
	}
}
