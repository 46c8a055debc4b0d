package dispatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/rule"
)

func TestWhatBecomesOfActions(t *testing.T) {
	down := action.Failure{Reason: action.ReasonUnavailable, Message: "target is down", Retryable: true}
	outage := action.Failure{Reason: action.ReasonUnavailable, Message: "API server is down", Retryable: true, Outage: true}
	busy := action.Failure{Reason: action.ReasonBusy, Message: "busy", Retryable: true, Busy: true}
	tests := map[string]struct {
		run      func(*action.Task, int) error
		attempts int32 // of the policy
		phase    v1alpha1.Phase
		reason   string
		want     v1alpha1.ActionOutcome
	}{
		"it is done":                             {succeed, 3, v1alpha1.PhaseProcessed, "Matched", v1alpha1.ActionOutcome{Phase: "Succeeded", Attempts: 1}},
		"it is tried again until it is done":     {failing(2, down), 3, v1alpha1.PhaseProcessed, "Matched", v1alpha1.ActionOutcome{Phase: "Succeeded", Attempts: 3}},
		"it is given up in the end":              {failing(9, down), 3, v1alpha1.PhaseProcessingFailed, "ActionFailed", v1alpha1.ActionOutcome{Phase: "Failed", Attempts: 3, Message: "given up after 3 attempts: target is down"}},
		"what lasts is not tried again":          {failing(9, action.Failure{Message: "forbidden"}), 3, v1alpha1.PhaseProcessingFailed, "ActionFailed", v1alpha1.ActionOutcome{Phase: "Failed", Attempts: 1, Message: "forbidden"}},
		"an outage of the API server is no try":  {failing(4, outage), 2, v1alpha1.PhaseProcessed, "Matched", v1alpha1.ActionOutcome{Phase: "Succeeded", Attempts: 1}},
		"finding the target busy is no try":      {failing(3, busy), 1, v1alpha1.PhaseProcessed, "Matched", v1alpha1.ActionOutcome{Phase: "Succeeded", Attempts: 1}},
		"what says nothing else can be tried on": {func(_ *action.Task, n int) error { return map[bool]error{true: errRefused}[n == 1] }, 2, v1alpha1.PhaseProcessed, "Matched", v1alpha1.ActionOutcome{Phase: "Succeeded", Attempts: 2}},
		"a policy of one attempt has no second":  {failing(1, down), 1, v1alpha1.PhaseProcessingFailed, "ActionFailed", v1alpha1.ActionOutcome{Phase: "Failed", Attempts: 1, Message: "given up after 1 attempts: target is down"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, test.run, actions(t, test.attempts, "call"))
			instance := b.await(b.publish(delivery.Delivery{}), test.phase)
			b.drained()
			if c := instance.Status.Conditions[0]; c.Reason != test.reason {
				t.Errorf("condition %+v", c)
			}
			test.want.Name = "call"
			if test.want.Phase == v1alpha1.ActionSucceeded {
				test.want.Object = "thing/" + instance.Spec.DeliveryID
			}
			if diff := cmp.Diff([]v1alpha1.ActionOutcome{test.want}, instance.Status.Rules[0].Actions); diff != "" {
				t.Error(diff)
			}
			if failed := test.phase == v1alpha1.PhaseProcessingFailed; failed != slices.Contains(b.failed, "r") {
				t.Errorf("said to have failed: %v", b.failed)
			}
		})
	}
}

func TestATargetMayAskToBeLeftAloneFirst(t *testing.T) {
	const asked = 3 * minWait // longer than the wait of the policy
	tried := make(chan time.Time, 2)
	b := start(t, func(_ *action.Task, attempt int) error {
		tried <- time.Now()
		return failing(1, action.Failure{Message: "later", Retryable: true, After: asked})(nil, attempt)
	}, actions(t, 2, "call"))
	b.await(b.publish(delivery.Delivery{}), v1alpha1.PhaseProcessed)
	first, second := <-tried, <-tried
	if waited := second.Sub(first); waited < asked {
		t.Errorf("it was tried again after %s", waited)
	}
}

func TestOneActionThatFailsStopsNoOther(t *testing.T) {
	b := start(t, func(task *action.Task, _ int) error {
		if task.Action.Name == "bad" {
			return &action.Failure{Message: "no"}
		}
		return nil
	}, actions(t, 1, "first", "bad", "last"))
	instance := b.await(b.publish(delivery.Delivery{}), v1alpha1.PhaseProcessingFailed)
	phases := map[string]v1alpha1.ActionPhase{}
	for _, a := range instance.Status.Rules[0].Actions {
		phases[a.Name] = a.Phase
	}
	if diff := cmp.Diff(map[string]v1alpha1.ActionPhase{"first": "Succeeded", "bad": "Failed", "last": "Succeeded"}, phases); diff != "" {
		t.Error(diff)
	}
	if got := instance.Status; got.Failed != 1 || got.Matched != 0 || got.Rules[0].Message != "action bad: no" {
		t.Errorf("status %+v", got)
	}
}

func TestWhatWaitsIsSeenToBeProcessed(t *testing.T) {
	done := make(chan struct{})
	b := start(t, func(*action.Task, int) error {
		select {
		case <-done:
			return nil
		default:
			return &action.Failure{Message: "target is down", Retryable: true}
		}
	}, actions(t, 100, "call"))
	name := b.publish(delivery.Delivery{})
	instance := b.await(name, v1alpha1.PhaseProcessing)
	if c := instance.Status.Conditions[0]; c.Status != metav1.ConditionUnknown || c.Reason != "Retrying" || instance.Status.CompletionTime != nil {
		t.Errorf("status %+v", instance.Status)
	}
	if got := instance.Status.Rules[0]; got.Reason != "Retrying" || !strings.Contains(got.Message, "target is down") {
		t.Errorf("rule %+v", got)
	}
	close(done)
	if got := b.await(name, v1alpha1.PhaseProcessed); got.Labels[v1alpha1.LabelOutcome] != v1alpha1.OutcomeSucceeded || got.Status.Matched != 1 {
		t.Errorf("labels %v, status %+v", got.Labels, got.Status)
	}
}

func TestAnActionEndsWithItsRule(t *testing.T) {
	for name, next := range map[string]func(*testing.T) []*rule.Rule{
		"the Rule was deleted":   func(*testing.T) []*rule.Rule { return nil },
		"the Rule no longer has": func(t *testing.T) []*rule.Rule { return []*rule.Rule{actions(t, 100, "other")} },
		"the Rule was deleted or disabl": func(t *testing.T) []*rule.Rule {
			r := actions(t, 100, "call")
			r.UID = "another"
			return []*rule.Rule{r}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, failing(1000, action.Failure{Message: "down", Retryable: true}), actions(t, 100, "call"))
			record := b.publish(delivery.Delivery{})
			b.await(record, v1alpha1.PhaseProcessing)
			b.books.Publish(rule.NewBook(next(t), nil, 2))
			got := b.await(record, v1alpha1.PhaseProcessingFailed).Status.Rules[0].Actions[0]
			if !strings.HasPrefix(got.Message, name) {
				t.Errorf("message %q", got.Message)
			}
		})
	}
}

func TestAnActionThatIsTriedAgainIsRenderedFromTheRuleAsItThenIs(t *testing.T) {
	seen := make(chan string, 100)
	b := start(t, func(task *action.Task, _ int) error {
		select {
		case seen <- task.Action.HTTP.URL:
		default:
		}
		return &action.Failure{Message: "down", Retryable: true}
	}, actions(t, 100, "call"))
	b.await(b.publish(delivery.Delivery{}), v1alpha1.PhaseProcessing)
	changed := compile(t, "r", v1alpha1.RuleSpec{
		Trigger: v1alpha1.RuleTrigger{Type: "t"},
		Actions: []v1alpha1.Action{{Name: "call", HTTP: &v1alpha1.HTTPAction{URL: "https://changed.example/"}}},
	})
	b.books.Publish(rule.NewBook([]*rule.Rule{changed}, nil, 2))
	timeout := time.After(deadline)
	for {
		select {
		case url := <-seen:
			if url == "https://changed.example/" {
				return
			}
		case <-timeout:
			t.Fatal("the changed Rule is not used")
		}
	}
}

func TestADeliveryThatIsProcessedTwiceHasOneRecordWithItsEnd(t *testing.T) {
	b := start(t, failing(1, action.Failure{Message: "down", Retryable: true}), actions(t, 9, "call"))
	d := delivery.Delivery{ID: delivery.IDAt(time.Now(), "twice"), Namespace: "ci", Webhook: "hook", URL: "hook", Trigger: "t", Received: time.Now()}
	// The record that a run left behind which was killed before its end.
	left := newRecord(&d, rule.Webhook{}, "ci", []rule.Verdict{{Rule: actions(t, 9, "call"), Outcome: v1alpha1.RuleOutcome{Name: "r", Result: v1alpha1.ResultMatched}}})
	if err := b.client.Create(t.Context(), left.instance(time.Now())); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Queue.Publish(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	b.await("hook-"+d.ID, v1alpha1.PhaseProcessed)
	b.drained()
	b.await("hook-"+d.ID, v1alpha1.PhaseProcessed)
	var all v1alpha1.TriggerInstanceList
	if err := b.client.List(t.Context(), &all); err != nil || len(all.Items) != 1 {
		t.Errorf("%d records, %v", len(all.Items), err)
	}
}

func TestARuleDispatchesAnotherTrigger(t *testing.T) {
	first := compile(t, "first", v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{Type: "t"}, Actions: []v1alpha1.Action{{
		Name: "chain", Dispatch: &v1alpha1.DispatchAction{Trigger: "Next.One", Payload: &apiextensionsv1.JSON{Raw: []byte(`{"n":"${trigger.n}"}`)}},
	}}})
	b := start(t, succeed, first, compile(t, "second", v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{Type: "Next.One"}}))
	instance := b.await(b.publish(delivery.Delivery{Payload: json.RawMessage(`{"n":9007199254740993}`), TraceTag: "tag"}), v1alpha1.PhaseProcessed)
	object := instance.Status.Rules[0].Actions[0].Object
	name := strings.TrimPrefix(object, "triggerinstance.hookstorm.dev/")
	chained := b.await(name, v1alpha1.PhaseProcessed)
	if chained.Spec.Payload != `{"n":9007199254740993}` || chained.Spec.TraceTag != "tag" || chained.Spec.Webhook != "" || !strings.HasPrefix(name, "next-one-") {
		t.Errorf("%s: %+v", name, chained.Spec)
	}
	if chained.Status.Rules[0].Name != "second" {
		t.Errorf("status %+v", chained.Status)
	}
}

func TestRulesThatDispatchEachOtherStop(t *testing.T) {
	loop := compile(t, "loop", v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{Type: "t"}, Actions: []v1alpha1.Action{{
		Name: "again", Dispatch: &v1alpha1.DispatchAction{Trigger: "t"},
	}}})
	b := start(t, succeed, loop)
	b.publish(delivery.Delivery{})
	b.drained()
	var all v1alpha1.TriggerInstanceList
	if err := b.client.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	phases := map[v1alpha1.Phase]int{}
	var message string
	for _, instance := range all.Items {
		if phases[instance.Status.Phase]++; instance.Status.Phase == v1alpha1.PhaseProcessingFailed {
			message = instance.Status.Rules[0].Message
		}
	}
	if diff := cmp.Diff(map[v1alpha1.Phase]int{v1alpha1.PhaseProcessed: maxDepth, v1alpha1.PhaseProcessingFailed: 1}, phases); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(message, "loop limit") {
		t.Errorf("message %q", message)
	}
}

func TestRulesThatDispatchEachOtherManifoldStop(t *testing.T) {
	spec := v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{Type: "t"}}
	for i := range 5 {
		spec.Actions = append(spec.Actions, v1alpha1.Action{Name: fmt.Sprint("again", i), Dispatch: &v1alpha1.DispatchAction{Trigger: "t"}})
	}
	b := start(t, succeed, compile(t, "bomb", spec))
	b.await(b.publish(delivery.Delivery{}), v1alpha1.PhaseProcessed)
	b.drained()
	// A thousand are shared out among five, five times over.
	if dispatched := b.dispatched.Load(); dispatched < 100 || dispatched > maxKin {
		t.Errorf("%d triggers were dispatched", dispatched)
	}
}

func TestWhatFindsNoRoomToWaitIsGivenUpInTheEnd(t *testing.T) {
	b := start(t, failing(100, action.Failure{Message: "down", Retryable: true}), actions(t, 100, "call"))
	b.full.Store(true)
	record := b.publish(delivery.Delivery{})
	b.until(func() bool { return b.said("A delivery cannot be postponed now") }, func() string { return "nobody is told that it cannot be postponed" })
	b.later.Store(int64(storePatience + time.Second))
	got := b.await(record, v1alpha1.PhaseProcessingFailed).Status.Rules[0].Actions[0]
	if !strings.Contains(got.Message, "it cannot wait to be tried again") || got.Attempts != 1 {
		t.Errorf("action %+v", got)
	}
	b.drained()
}

func TestWhatWasBegunIsEndedThoughHistoryKeepsNone(t *testing.T) {
	none := int32(0)
	for name, history := range map[string]*v1alpha1.WebhookHistory{
		"no successes": {Succeeded: &none},
		"no records":   {Record: v1alpha1.RecordNone},
	} {
		t.Run(name, func(t *testing.T) {
			up := make(chan struct{})
			call := actions(t, 100, "call")
			b := start(t, func(*action.Task, int) error {
				select {
				case <-up:
					return nil
				default:
					return &action.Failure{Message: "down", Retryable: true}
				}
			}, call)
			record := b.publish(delivery.Delivery{})
			b.await(record, v1alpha1.PhaseProcessing)
			b.books.Publish(rule.NewBook([]*rule.Rule{call}, []rule.Webhook{{Key: rule.Key{Namespace: "ci", URL: "hook"}, Name: "hook", History: history}}, 2))
			close(up)
			b.await(record, v1alpha1.PhaseProcessed)
			b.drained()
		})
	}
}

func TestANamespaceHasNotAllActors(t *testing.T) {
	var c crowd
	for range namespaceActors {
		if !c.enter("busy") {
			t.Fatal("it has fewer than its share")
		}
	}
	if c.enter("busy") || !c.enter("other") {
		t.Error("it has more than its share, or another has none")
	}
	c.leave("busy")
	if !c.enter("busy") {
		t.Error("what was given back is gone")
	}
}

func TestAnOutcomeIsNotWrittenIntoAnotherObjectOfTheSameName(t *testing.T) {
	b := start(t, succeed, actions(t, 1, "call"))
	another := &v1alpha1.TriggerInstance{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "asked", Labels: map[string]string{"a": "b"}}}
	another.Spec.DeliveryID = "another"
	another.Status = &v1alpha1.TriggerInstanceStatus{Phase: v1alpha1.PhasePending}
	if err := b.client.Create(t.Context(), another); err != nil {
		t.Fatal(err)
	}
	b.publish(delivery.Delivery{Instance: "asked"})
	b.drained()
	if got := b.await("asked", v1alpha1.PhasePending); got.Status.Matched != 0 {
		t.Errorf("status %+v", got.Status)
	}
}

func TestWhatCannotBeDispatchedFails(t *testing.T) {
	for name, payload := range map[string]struct{ trigger, payload, want string }{
		"a payload that is no object": {"next", `"${trigger.list}"`, "a payload is an object"},
		"the trigger of webhooks":     {"${'core.st2.' + 'webhook'}", `{}`, "comes from webhooks only"},
		"an empty trigger":            {"${''}", `{}`, "1 to 253 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, succeed, compile(t, "r", v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{Type: "t"}, Actions: []v1alpha1.Action{{
				Name: "chain", Dispatch: &v1alpha1.DispatchAction{Trigger: payload.trigger, Payload: &apiextensionsv1.JSON{Raw: []byte(payload.payload)}},
			}}}))
			instance := b.await(b.publish(delivery.Delivery{Payload: json.RawMessage(`{"list":[1]}`)}), v1alpha1.PhaseProcessingFailed)
			if got := instance.Status.Rules[0].Actions[0].Message; !strings.Contains(got, payload.want) {
				t.Errorf("message %q", got)
			}
		})
	}
}

func TestAFailedPayloadThatItsRecordCannotHoldIsKeptElsewhere(t *testing.T) {
	b := start(t, failing(9, action.Failure{Message: "no"}), actions(t, 1, "call"))
	payload := json.RawMessage(`{"text":"` + strings.Repeat("x", maxFailedPayload) + `"}`)
	instance := b.await(b.publish(delivery.Delivery{Payload: payload}), v1alpha1.PhaseProcessingFailed)
	b.drained()
	injector := &Injector{Queue: b.Queue}
	if _, found, err := injector.Unearth(t.Context(), "other", instance.Spec.DeliveryID); found || err != nil {
		t.Errorf("another namespace finds it: %v, %v", found, err)
	}
	whole, found, err := injector.Unearth(t.Context(), "ci", instance.Spec.DeliveryID)
	if err != nil || !found || string(whole) != string(payload) {
		t.Errorf("%d of %d bytes, %v, %v", len(whole), len(payload), found, err)
	}
	if len(instance.Spec.Payload) != maxFailedPayload {
		t.Errorf("the record holds %d bytes", len(instance.Spec.Payload))
	}
}

func TestAFailedPayloadIsKeptThoughTheDispatcherEnds(t *testing.T) {
	b := start(t, failing(9, action.Failure{Message: "no"}), actions(t, 1, "call"))
	b.ending.Store(true)
	payload := json.RawMessage(`{"text":"` + strings.Repeat("x", maxFailedPayload) + `"}`)
	instance := b.await(b.publish(delivery.Delivery{Payload: payload}), v1alpha1.PhaseProcessingFailed)
	whole, found, err := (&Injector{Queue: b.Queue}).Unearth(t.Context(), "ci", instance.Spec.DeliveryID)
	if err != nil || !found || string(whole) != string(payload) {
		t.Errorf("%d of %d bytes, %v, %v", len(whole), len(payload), found, err)
	}
}

func TestTheProgressOfAnyDeliveryFits(t *testing.T) {
	many := func(rules, acts int) *record {
		r := &record{delivery: accepted(), namespace: "ci"}
		for i := range rules {
			c := &considered{UID: types.UID(fmt.Sprintf("%032x", i*7919)), Outcome: v1alpha1.RuleOutcome{
				Name: fmt.Sprintf("rule-%d", i*7919), Result: v1alpha1.ResultNotMatched, Message: strings.Repeat(fmt.Sprint(i), 100),
			}}
			if acts > 0 {
				c.Outcome.Result = v1alpha1.ResultMatched
				names := make([]string, acts)
				for j := range names {
					names[j] = fmt.Sprintf("action-%x", i*j*104729)
				}
				c.plan(names)
			}
			r.rules = append(r.rules, c)
		}
		return r
	}
	for name, r := range map[string]*record{
		"10,000 rules that did not match":     many(10_000, 0),
		"100 rules with 3 actions each":       many(100, 3),
		"1,000 rules with 20 actions each":    many(1000, 20),
		"a rule with one action among others": func() *record { r := many(5000, 0); r.rules = append(r.rules, many(1, 1).rules...); return r }(),
	} {
		t.Run(name, func(t *testing.T) {
			considered, open := r.considered(), r.open()
			text, err := r.encodeProgress()
			if err != nil || len(text) > maxProgress {
				t.Fatalf("%d bytes, %v", len(text), err)
			}
			again, err := resumed(r.delivery, rule.NewBook(nil, nil, 0), text, noon)
			if err != nil {
				t.Fatal(err)
			}
			if again.considered() != considered || again.open() != open {
				t.Errorf("%d of %d rules, open: %v", again.considered(), considered, again.open())
			}
		})
	}
}
