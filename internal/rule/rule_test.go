package rule

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// merged is the payload of the tests.
const merged = `{"body": {"action": "closed", "number": 9007199254740993, "tags": ["a", "b"], "pull_request": {"merged": true, "draft": null}}}`

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func input(payload string) *Input {
	return NewInput([]byte(payload), Delivery{ID: "01jd", Namespace: "ci", Webhook: "github-pr", URL: "github/pr", Received: now}, now)
}

func compiledSpec(t *testing.T, name string, spec v1alpha1.RuleSpec) *Rule {
	t.Helper()
	r, err := Compile(&v1alpha1.Rule{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ci"}, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func raw(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

func when(expressions ...v1alpha1.Expression) v1alpha1.RuleSpec {
	return v1alpha1.RuleSpec{When: expressions}
}

func TestWhatARuleMakesOfATrigger(t *testing.T) {
	closed := map[string]v1alpha1.Criterion{"trigger.body.action": {Type: "eq", Pattern: raw(`"closed"`)}}
	tests := map[string]struct {
		spec    v1alpha1.RuleSpec
		payload string
		result  v1alpha1.RuleResult
		reason  string
		message []string // what is in it
	}{
		"without criteria everything matches":        {v1alpha1.RuleSpec{}, "", v1alpha1.ResultMatched, "NoCriteria", nil},
		"criteria that hold match":                   {v1alpha1.RuleSpec{Criteria: closed}, merged, v1alpha1.ResultMatched, "Matched", nil},
		"an expression that is true matches":         {when("trigger.body.pull_request.merged"), merged, v1alpha1.ResultMatched, "Matched", nil},
		"all expressions must be true":               {when("true", "trigger.body.action == 'opened'"), merged, v1alpha1.ResultNotMatched, "ExpressionFalse", []string{"when[1]", "trigger.body.action == 'opened'", "closed"}},
		"criteria come first":                        {v1alpha1.RuleSpec{Criteria: closed, When: []v1alpha1.Expression{"true"}}, `{"body": {"action": "opened"}}`, v1alpha1.ResultNotMatched, "CriterionNotMet", []string{"opened"}},
		"criteria never match an empty payload":      {v1alpha1.RuleSpec{Criteria: closed}, "{}", v1alpha1.ResultNotMatched, "EmptyPayload", nil},
		"a missing field of an expression fails":     {when("trigger.body.nothing == 1"), merged, v1alpha1.ResultFailed, "ExpressionFailed", []string{"when[0]", "nothing"}},
		"an expression sees the delivery":            {when("delivery.webhook == 'github-pr' && delivery.namespace == rule.namespace"), merged, v1alpha1.ResultMatched, "Matched", nil},
		"big integers are exact":                     {when("trigger.body.number == 9007199254740993"), merged, v1alpha1.ResultMatched, "Matched", nil},
		"and are not their neighbors":                {when("trigger.body.number == 9007199254740992"), merged, v1alpha1.ResultNotMatched, "ExpressionFalse", nil},
		"a pattern may be a template":                {v1alpha1.RuleSpec{Criteria: map[string]v1alpha1.Criterion{"trigger.body.tags[0]": {Type: "eq", Pattern: raw(`"${trigger.body.tags[0]}"`)}}}, merged, v1alpha1.ResultMatched, "Matched", nil},
		"a criterion that cannot be evaluated fails": {v1alpha1.RuleSpec{Criteria: map[string]v1alpha1.Criterion{"trigger.body.number": {Type: "regex", Pattern: raw(`"x"`)}}}, merged, v1alpha1.ResultFailed, "CriterionFailed", []string{"trigger.body.number"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := compiledSpec(t, "r", test.spec).Evaluate(t.Context(), input(test.payload))
			if got.Name != "r" || got.Result != test.result || got.Reason != test.reason || len(got.Message) > v1alpha1.MaxMessage {
				t.Errorf("got %+v", got)
			}
			for _, part := range test.message {
				if !strings.Contains(got.Message, part) {
					t.Errorf("%q is not in %q", part, got.Message)
				}
			}
		})
	}
}

func TestWithoutTimeARuleIsNotEvaluated(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := compiledSpec(t, "r", v1alpha1.RuleSpec{}).Evaluate(ctx, input(merged)); got.Result != v1alpha1.ResultFailed || got.Reason != "NotEvaluated" {
		t.Errorf("got %+v", got)
	}
}

func TestABackstopIsConsideredOnlyIfNoStandardRuleMatched(t *testing.T) {
	standard := compiledSpec(t, "standard", v1alpha1.RuleSpec{Criteria: map[string]v1alpha1.Criterion{"trigger.a": {Type: "eq", Pattern: raw(`1`)}}})
	failing := compiledSpec(t, "failing", v1alpha1.RuleSpec{Criteria: map[string]v1alpha1.Criterion{"trigger.b": {Type: "regex", Pattern: raw(`"x"`)}}})
	backstop := compiledSpec(t, "backstop", v1alpha1.RuleSpec{Type: v1alpha1.RuleBackstop})
	tests := map[string]struct {
		payload string
		want    map[string]v1alpha1.RuleResult
	}{
		"a standard rule matched": {`{"a": true}`, map[string]v1alpha1.RuleResult{"standard": v1alpha1.ResultMatched, "failing": v1alpha1.ResultFailed}},
		"none did; a failure is no match": {`{"c": 1}`, map[string]v1alpha1.RuleResult{
			"standard": v1alpha1.ResultNotMatched, "failing": v1alpha1.ResultFailed, "backstop": v1alpha1.ResultMatched,
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := map[string]v1alpha1.RuleResult{}
			for _, v := range Evaluate(t.Context(), []*Rule{backstop, failing, standard}, input(test.payload)) {
				got[v.Outcome.Name] = v.Outcome.Result
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnErrorNamesEachFieldThatIsWrong(t *testing.T) {
	create := func(template string) v1alpha1.Action {
		return v1alpha1.Action{Name: "a", Create: &v1alpha1.CreateAction{Template: *raw(template)}}
	}
	call := func(url string) v1alpha1.Action {
		return v1alpha1.Action{Name: "a", HTTP: &v1alpha1.HTTPAction{URL: url}}
	}
	tests := map[string]struct {
		spec v1alpha1.RuleSpec
		want []string
	}{
		"an operator that there is none of": {v1alpha1.RuleSpec{Criteria: map[string]v1alpha1.Criterion{"trigger.a": {Type: "is"}}}, []string{`spec.criteria["trigger.a"]`, `"is"`}},
		"an expression that does not parse": {when("true", "trigger.a =="), []string{"spec.when[1]"}},
		"an unknown variable":               {when("body.a == 1"), []string{"spec.when[0]", "body"}},
		"an expression that is no truth":    {when("'text'"), []string{"spec.when[0]", "true or false"}},
		"everything at once": {v1alpha1.RuleSpec{When: []v1alpha1.Expression{"("}, Actions: []v1alpha1.Action{call("chat.example")}}, []string{
			"spec.when[0]", "spec.actions[0] (a): http.url",
		}},
		"a template that does not parse":   {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{create(`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"${trigger.a ==}"}}`)}}, []string{"create.template.data.a"}},
		"a template of another language":   {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{create(`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"{{ trigger.a }}"}}`)}}, []string{"create.template.data.a", "${"}},
		"a kind that is a template":        {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{create(`{"apiVersion":"v1","kind":"${trigger.kind}"}`)}}, []string{"create.template.kind"}},
		"a namespace that is one":          {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{create(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"${trigger.n}"}}`)}}, []string{"create.template.metadata.namespace"}},
		"an object without a kind":         {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{create(`{"apiVersion":"v1"}`)}}, []string{"create.template.kind: required"}},
		"an object that is a list":         {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{create(`[]`)}}, []string{"create.template"}},
		"something applied without a name": {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{{Name: "a", Apply: &v1alpha1.ApplyAction{Template: *raw(`{"apiVersion":"v1","kind":"ConfigMap"}`)}}}}, []string{"apply.template.metadata.name: required"}},
		"a patch of another type":          {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{{Name: "a", Patch: &v1alpha1.PatchAction{Type: "JSON", Patch: *raw(`{}`)}}}}, []string{"patch.patch", "a list of operations"}},
		"a host that is a template":        {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{call("https://${trigger.host}/x")}}, []string{"http.url: host and port hold no templates"}},
		"a host that a template lengthens": {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{call("https://chat.example${trigger.x}/")}}, []string{"http.url: host and port hold no templates"}},
		"another scheme":                   {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{call("ftp://chat.example/")}}, []string{"http.url: begin with http"}},
		"a password in a url":              {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{call("https://a:b@chat.example/")}}, []string{"http.url", "auth"}},
		"a secret that is a template":      {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{{Name: "a", HTTP: &v1alpha1.HTTPAction{URL: "https://x/", Sign: &v1alpha1.SecretKeyReference{Name: "${trigger.s}", Key: "k"}}}}}, []string{"http.sign.name"}},
		"two bodies":                       {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{{Name: "a", HTTP: &v1alpha1.HTTPAction{URL: "https://x/", Body: &v1alpha1.HTTPBody{JSON: raw("1"), Form: map[string]v1alpha1.HeaderValue{}}}}}}, []string{"http.body: set exactly one"}},
		"the trigger of webhooks":          {v1alpha1.RuleSpec{Actions: []v1alpha1.Action{{Name: "a", Dispatch: &v1alpha1.DispatchAction{Trigger: "core.st2.webhook"}}}}, []string{"dispatch.trigger"}},
		"a condition where none belongs":   {v1alpha1.RuleSpec{Criteria: map[string]v1alpha1.Criterion{"trigger.a": {Type: "eq", Pattern: raw("1"), Condition: "any"}}}, []string{"condition"}},
		"a search without its condition":   {v1alpha1.RuleSpec{Criteria: map[string]v1alpha1.Criterion{"trigger.a": {Type: "search", Pattern: raw("{}")}}}, []string{"condition", "any2any"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(&v1alpha1.Rule{Spec: test.spec})
			if err == nil {
				t.Fatal("it compiles")
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
		})
	}
}

func TestActionsAreRenderedWithTheTypesOfTheirValues(t *testing.T) {
	text := "merged ${trigger.body.number} of ${rule.name}, not $${this}"
	r := compiledSpec(t, "r", v1alpha1.RuleSpec{Actions: []v1alpha1.Action{
		{Name: "create", Create: &v1alpha1.CreateAction{Template: *raw(
			`{"apiVersion":"v1","kind":"ConfigMap","spec":{"n":"${trigger.body.number}","l":"${trigger.body.tags}","b":"${trigger.body.pull_request.merged}","z":"${trigger.body.pull_request.draft}"}}`)}},
		{Name: "call", HTTP: &v1alpha1.HTTPAction{URL: "https://chat.example/${trigger.body.action}", Body: &v1alpha1.HTTPBody{Text: &text}}},
		{Name: "broken", Dispatch: &v1alpha1.DispatchAction{Trigger: "${trigger.body.nothing}"}},
		{Name: "wrong", Dispatch: &v1alpha1.DispatchAction{Trigger: "${trigger.body.number}"}},
	}})
	rendered := r.Render(t.Context(), input(merged))
	got := map[string]string{}
	for _, one := range rendered {
		switch {
		case one.Err != nil:
			got[one.Name] = one.Err.Error()
		case one.Action.Create != nil:
			got[one.Name] = string(one.Action.Create.Template.Raw)
		default:
			got[one.Name] = one.Action.HTTP.URL + " " + *one.Action.HTTP.Body.Text
		}
	}
	for name, want := range map[string]string{
		"create": `{"apiVersion":"v1","kind":"ConfigMap","spec":{"b":true,"l":["a","b"],"n":9007199254740993,"z":null}}`,
		"call":   "https://chat.example/closed merged 9007199254740993 of r, not ${this}",
		"broken": "dispatch.trigger",
		"wrong":  "string(",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if names := r.ActionNames(); !r.Acts() || cmp.Diff([]string{"create", "call", "broken", "wrong"}, names) != "" {
		t.Errorf("actions %v", names)
	}
}
