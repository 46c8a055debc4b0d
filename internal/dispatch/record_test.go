package dispatch

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/rule"
)

var (
	errQuota   = errors.New("exceeded quota: objects")
	errRefused = errors.New("connection refused")
	errRBAC    = errors.New(`user "hookstorm" cannot create resource "triggerinstances"`)
	errPolicy  = errors.New("denied by a policy")
	errWebhook = errors.New(`failed calling webhook "x"`)
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func accepted() *delivery.Delivery {
	return &delivery.Delivery{
		ID: "01jxyz", Namespace: "ci", Webhook: "push", URL: "push", Trigger: v1alpha1.TriggerWebhook,
		Parameters: map[string]string{"url": "push"}, TraceTag: "tag", Sender: "192.0.2.1", Received: noon, Payload: []byte(`{"a":1}`),
	}
}

func outcomes(results ...v1alpha1.RuleResult) []rule.Verdict {
	all := make([]rule.Verdict, len(results))
	for i, result := range results {
		all[i] = rule.Verdict{Rule: &rule.Rule{}, Outcome: v1alpha1.RuleOutcome{Name: string(rune('a' + i)), Result: result}}
	}
	return all
}

func TestATriggerInstanceTellsWhatTheRulesMadeOfTheTrigger(t *testing.T) {
	r := newRecord(accepted(), rule.Webhook{}, "ci", outcomes(v1alpha1.ResultNotMatched, v1alpha1.ResultMatched, v1alpha1.ResultFailed))
	r.started = noon
	got := r.instance(noon.Add(time.Second))
	start, completion, occurred := metav1.NewMicroTime(noon), metav1.NewMicroTime(noon.Add(time.Second)), metav1.NewMicroTime(noon)
	want := &v1alpha1.TriggerInstance{
		ObjectMeta: metav1.ObjectMeta{
			Name: "push-01jxyz", Namespace: "ci",
			Labels: map[string]string{
				"hookstorm.dev/delivery": "01jxyz", "hookstorm.dev/webhook": "push", "hookstorm.dev/rule": "b", "hookstorm.dev/outcome": "Failed",
			},
			Annotations: map[string]string{"hookstorm.dev/bytes": "7"},
		},
		Spec: v1alpha1.TriggerInstanceSpec{
			Trigger: v1alpha1.Trigger{Type: "core.st2.webhook", Parameters: map[string]v1alpha1.ParameterValue{"url": "push"}},
			Payload: `{"a":1}`, PayloadSize: 7, PayloadDigest: "sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862",
			Webhook: "push", DeliveryID: "01jxyz", OccurrenceTime: &occurred, TraceTag: "tag", Sender: "192.0.2.1",
		},
		Status: &v1alpha1.TriggerInstanceStatus{
			Phase: v1alpha1.PhaseProcessingFailed,
			Conditions: []metav1.Condition{{
				Type: "Succeeded", Status: "False", Reason: "RuleFailed", Message: "1 of 3 Rules could not be evaluated",
				LastTransitionTime: metav1.NewTime(noon.Add(time.Second)),
			}},
			StartTime: &start, CompletionTime: &completion, Matched: 1, Failed: 1, NotMatched: 1,
			Rules: []v1alpha1.RuleOutcome{{Name: "c", Result: "Failed"}, {Name: "b", Result: "Matched"}, {Name: "a", Result: "NotMatched"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestARecordIsBounded(t *testing.T) {
	d := accepted()
	d.Payload = []byte(`"` + strings.Repeat("ż", 300<<10) + `"`)
	d.TraceTag, d.Violation = strings.Repeat("t", 9999), strings.Repeat("v", 9999)
	many := make([]v1alpha1.RuleResult, 100)
	for i := range many {
		many[i] = v1alpha1.ResultNotMatched
	}
	tests := map[string]struct {
		webhook rule.Webhook
		results []v1alpha1.RuleResult
		want    int
	}{
		"a success keeps 64 KiB of the payload":     {rule.Webhook{}, many, maxSucceededPayload - 1},
		"a failure keeps 256 KiB":                   {rule.Webhook{}, append(many, v1alpha1.ResultFailed), maxFailedPayload - 1},
		"a webhook may say that no payload is kept": {rule.Webhook{History: &v1alpha1.WebhookHistory{Payload: v1alpha1.PayloadOmit}}, many, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			instance := newRecord(d, test.webhook, "ci", outcomes(test.results...)).instance(noon)
			if len(instance.Spec.Payload) != test.want || instance.Spec.PayloadSize != int64(len(d.Payload)) || instance.Spec.PayloadDigest == "" {
				t.Errorf("%d of %d bytes, digest %q", len(instance.Spec.Payload), instance.Spec.PayloadSize, instance.Spec.PayloadDigest)
			}
			if status := instance.Status; len(status.Rules) != v1alpha1.MaxRuleOutcomes || int(status.Omitted) != len(test.results)-v1alpha1.MaxRuleOutcomes {
				t.Errorf("%d rules listed, %d omitted", len(status.Rules), status.Omitted)
			}
			if len(instance.Spec.TraceTag) > 1024 || len(instance.Status.Violation) > v1alpha1.MaxMessage {
				t.Error("a text is longer than its field")
			}
		})
	}
}

func TestTheWebhookOfAnotherNamespaceIsNamedWithIt(t *testing.T) {
	d := accepted()
	d.Webhook = strings.Repeat("w", 63)
	instance := newRecord(d, rule.Webhook{}, "dev", nil).instance(noon)
	if want := "ci/" + d.Webhook; instance.Spec.Webhook != want || instance.Annotations[v1alpha1.LabelWebhook] != want {
		t.Errorf("webhook %q, annotation %q", instance.Spec.Webhook, instance.Annotations[v1alpha1.LabelWebhook])
	}
	if got := instance.Labels[v1alpha1.LabelWebhook]; got != "ci."+strings.Repeat("w", 60) {
		t.Errorf("label %q", got)
	}
}

func TestAnEventIsAboutTheWebhookOrInAnotherNamespaceAboutTheRule(t *testing.T) {
	want := corev1.ObjectReference{APIVersion: "hookstorm.dev/v1alpha1", Kind: "Webhook", Namespace: "ci", Name: "push"}
	if diff := cmp.Diff(want, newRecord(accepted(), rule.Webhook{}, "ci", nil).event(noon).Regarding); diff != "" {
		t.Error(diff)
	}
	want = corev1.ObjectReference{APIVersion: "hookstorm.dev/v1alpha1", Kind: "Rule", Namespace: "dev", Name: "a"}
	if diff := cmp.Diff(want, newRecord(accepted(), rule.Webhook{}, "dev", outcomes(v1alpha1.ResultMatched)).event(noon).Regarding); diff != "" {
		t.Error(diff)
	}
}

func TestConditionsSumUp(t *testing.T) {
	tests := map[string]struct {
		results []v1alpha1.RuleResult
		want    metav1.Condition
	}{
		"no rule":      {nil, metav1.Condition{Status: "True", Reason: "NoRuleMatched", Message: "no Rule is for this trigger"}},
		"none matched": {[]v1alpha1.RuleResult{"NotMatched"}, metav1.Condition{Status: "True", Reason: "NoRuleMatched", Message: "none of 1 Rules matched"}},
		"some matched": {[]v1alpha1.RuleResult{"NotMatched", "Matched"}, metav1.Condition{Status: "True", Reason: "Matched", Message: "1 of 2 Rules matched"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := newRecord(accepted(), rule.Webhook{}, "ci", outcomes(test.results...)).condition()
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(metav1.Condition{}, "Type")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOnlyASuccessThatItsWindowHasPassedIsNotWritten(t *testing.T) {
	three := int32(3)
	webhook := rule.Webhook{History: &v1alpha1.WebhookHistory{Succeeded: &three, Failed: &three}}
	var w windows
	enter := func(result v1alpha1.RuleResult) *record {
		r := newRecord(accepted(), webhook, "ci", outcomes(result))
		r.ordinal = w.enter(r.window())
		return r
	}
	first, failure := enter(v1alpha1.ResultMatched), enter(v1alpha1.ResultFailed)
	for range 2 {
		enter(v1alpha1.ResultMatched)
		enter(v1alpha1.ResultFailed)
	}
	if first.passedBy(&w) {
		t.Error("the third newest success is within its window")
	}
	enter(v1alpha1.ResultMatched)
	enter(v1alpha1.ResultFailed)
	if !first.passedBy(&w) {
		t.Error("the fourth newest success is past its window")
	}
	if failure.passedBy(&w) {
		t.Error("a failure is always written")
	}
}

func TestWhatCanNeverBeWrittenIsGivenUp(t *testing.T) {
	instances := schema.GroupResource{Group: "hookstorm.dev", Resource: "triggerinstances"}
	terminating := apierrors.NewForbidden(instances, "x", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	tests := map[string]struct {
		err      error
		attempts int
		want     string
	}{
		"a namespace that is gone":        {apierrors.NewNotFound(corev1.Resource("namespaces"), "ci"), 999, skippedNamespace},
		"a namespace that is going":       {terminating, 999, skippedNamespace},
		"a quota":                         {apierrors.NewForbidden(instances, "x", errQuota), 999, skippedQuota},
		"an object that is refused":       {apierrors.NewInvalid(schema.GroupKind{}, "x", nil), 999, skippedInvalid},
		"an admission policy":             {apierrors.NewForbidden(instances, "x", errPolicy), 1, skippedAdmission},
		"an admission webhook that fails": {apierrors.NewInternalError(errWebhook), maxAdmissionAttempts, skippedAdmission},
		"at first it is tried again":      {apierrors.NewInternalError(errWebhook), maxAdmissionAttempts - 1, ""},
		"a right that is missing is not":  {apierrors.NewForbidden(instances, "x", errRBAC), 999, ""},
		"nor a resource that is missing":  {apierrors.NewGenericServerResponse(404, "POST", instances, "", "", 0, true), 999, ""},
		"nor an API server that is gone":  {errRefused, 999, ""},
		"nor one that has too much to do": {apierrors.NewTooManyRequests("later", 1), 999, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := givenUp(test.err, test.attempts); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatIsKeptOfAPayloadFitsIntoARequest(t *testing.T) {
	d := accepted()
	d.Payload = []byte(`"` + strings.Repeat("<", 256<<10) + `"`)
	instance := newRecord(d, rule.Webhook{}, "ci", outcomes(v1alpha1.ResultFailed)).instance(noon)
	encoded, err := json.Marshal(instance)
	if err != nil || len(encoded) > 3<<19 {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
	if len(instance.Spec.Payload) < maxEncoded/6-1 {
		t.Errorf("%d bytes are kept", len(instance.Spec.Payload))
	}
}

func TestAnAuditedViolationIsAlwaysRecorded(t *testing.T) {
	d := accepted()
	d.Violation = "/a: 1 is not of type 'string'"
	r := newRecord(d, rule.Webhook{History: &v1alpha1.WebhookHistory{Record: v1alpha1.RecordNone}}, "ci", nil)
	if r.kind() != v1alpha1.RecordTriggerInstance || r.instance(noon).Status.Violation != d.Violation {
		t.Errorf("%s, %q", r.kind(), r.instance(noon).Status.Violation)
	}
}
