package dispatch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/rule"
)

const (
	// maxSucceededPayload is how much of the payload of a success is kept, in bytes.
	maxSucceededPayload = 64 << 10
	// maxFailedPayload is how much of the payload of a failure is kept, in bytes.
	maxFailedPayload = 256 << 10
	// maxEncoded bounds a payload as it is encoded in a request, where some characters take six bytes: etcd takes 1.5 MiB.
	maxEncoded = 1 << 20
	// maxLabel is the length of a label's value.
	maxLabel = 63
	// reportingController names HookStorm in Events.
	reportingController = "hookstorm.dev/hookstorm"
)

// record is what became of a delivery in one namespace.
type record struct {
	delivery  *delivery.Delivery
	webhook   rule.Webhook
	namespace string
	outcomes  []v1alpha1.RuleOutcome // failed first, then matched, then not
	counts    map[v1alpha1.RuleResult]int
	started   time.Time
	ordinal   uint64 // its place in its history window
}

// resultOrder is how a status lists rules.
var resultOrder = []v1alpha1.RuleResult{v1alpha1.ResultFailed, v1alpha1.ResultMatched, v1alpha1.ResultNotMatched}

func newRecord(d *delivery.Delivery, w rule.Webhook, namespace string, outcomes []v1alpha1.RuleOutcome) *record {
	slices.SortStableFunc(outcomes, func(a, b v1alpha1.RuleOutcome) int {
		return slices.Index(resultOrder, a.Result) - slices.Index(resultOrder, b.Result)
	})
	counts := map[v1alpha1.RuleResult]int{}
	for _, outcome := range outcomes {
		counts[outcome.Result]++
	}
	return &record{delivery: d, webhook: w, namespace: namespace, outcomes: outcomes, counts: counts}
}

// outcome is the value of the label of that name.
func (r *record) outcome() string {
	if r.counts[v1alpha1.ResultFailed] > 0 {
		return v1alpha1.OutcomeFailed
	}
	return v1alpha1.OutcomeSucceeded
}

// kind is what is written: a failure is always a TriggerInstance, and so is what violates an audited schema.
func (r *record) kind() v1alpha1.Record {
	if r.outcome() == v1alpha1.OutcomeFailed || r.delivery.Violation != "" {
		return v1alpha1.RecordTriggerInstance
	}
	return r.webhook.History.Recorded()
}

// name derives from the delivery, so that a second write finds the first. It names the object that is written.
func (r *record) name() string { return r.delivery.Webhook + "-" + r.delivery.ID }

// webhookName is spec.webhook: the webhook's name as it is known in the record's namespace.
func (r *record) webhookName() string {
	if r.namespace == r.delivery.Namespace {
		return r.delivery.Webhook
	}
	return r.delivery.Namespace + "/" + r.delivery.Webhook
}

// window is the history that the record falls into.
func (r *record) window() window {
	return window{namespace: r.namespace, webhook: r.webhookName(), outcome: r.outcome()}
}

// condition sums up what the rules made of the trigger.
func (r *record) condition() metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionSucceeded, Status: metav1.ConditionTrue}
	matched, failed := r.counts[v1alpha1.ResultMatched], r.counts[v1alpha1.ResultFailed]
	switch {
	case failed > 0:
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonRuleFailed
		c.Message = fmt.Sprintf("%d of %d Rules could not be evaluated", failed, len(r.outcomes))
	case matched > 0:
		c.Reason = v1alpha1.ReasonMatched
		c.Message = fmt.Sprintf("%d of %d Rules matched", matched, len(r.outcomes))
	case len(r.outcomes) > 0:
		c.Reason = v1alpha1.ReasonNoRuleMatched
		c.Message = fmt.Sprintf("none of %d Rules matched", len(r.outcomes))
	default:
		c.Reason = v1alpha1.ReasonNoRuleMatched
		c.Message = "no Rule is for this trigger"
	}
	return c
}

// instance returns the TriggerInstance.
func (r *record) instance(completed time.Time) *v1alpha1.TriggerInstance {
	d := r.delivery
	payload := r.payload()
	occurred := metav1.NewMicroTime(d.Received)
	instance := &v1alpha1.TriggerInstance{
		ObjectMeta: metav1.ObjectMeta{
			Name:        r.name(),
			Namespace:   r.namespace,
			Labels:      map[string]string{v1alpha1.LabelOutcome: r.outcome()},
			Annotations: map[string]string{v1alpha1.AnnotationBytes: strconv.Itoa(len(payload))},
		},
		Spec: v1alpha1.TriggerInstanceSpec{
			Trigger:        v1alpha1.Trigger{Type: d.Trigger, Parameters: parameters(d.Parameters)},
			Payload:        payload,
			PayloadSize:    int64(len(d.Payload)),
			PayloadDigest:  digest(d.Payload),
			Webhook:        r.webhookName(),
			DeliveryID:     d.ID,
			OccurrenceTime: &occurred,
			TraceTag:       cut(d.TraceTag, 1024),
			Sender:         cut(d.Sender, 64),
		},
		Status: r.status(completed),
	}
	label(instance, v1alpha1.LabelDelivery, d.ID)
	label(instance, v1alpha1.LabelWebhook, r.webhookName())
	if i := slices.IndexFunc(r.outcomes, func(o v1alpha1.RuleOutcome) bool { return o.Result == v1alpha1.ResultMatched }); i >= 0 {
		label(instance, v1alpha1.LabelRule, r.outcomes[i].Name)
	}
	return instance
}

func (r *record) status(completed time.Time) *v1alpha1.TriggerInstanceStatus {
	start, completion := metav1.NewMicroTime(r.started), metav1.NewMicroTime(completed)
	condition := r.condition()
	condition.LastTransitionTime = metav1.NewTime(completed)
	listed := r.outcomes[:min(len(r.outcomes), v1alpha1.MaxRuleOutcomes)]
	phase := v1alpha1.PhaseProcessed
	if r.outcome() == v1alpha1.OutcomeFailed {
		phase = v1alpha1.PhaseProcessingFailed
	}
	return &v1alpha1.TriggerInstanceStatus{
		Phase:          phase,
		Conditions:     []metav1.Condition{condition},
		StartTime:      &start,
		CompletionTime: &completion,
		Matched:        int32(r.counts[v1alpha1.ResultMatched]),
		Failed:         int32(r.counts[v1alpha1.ResultFailed]),
		NotMatched:     int32(r.counts[v1alpha1.ResultNotMatched]),
		Omitted:        int32(len(r.outcomes) - len(listed)),
		Violation:      cut(r.delivery.Violation, v1alpha1.MaxMessage),
		Rules:          listed,
	}
}

// payload is what is kept of the payload.
func (r *record) payload() string {
	if !r.webhook.History.KeepsPayload() {
		return ""
	}
	limit := maxSucceededPayload
	if r.outcome() == v1alpha1.OutcomeFailed {
		limit = maxFailedPayload
	}
	return cutEncoded(cut(string(r.delivery.Payload), limit), maxEncoded)
}

// event returns the Event: about the Webhook, or in another namespace, where an Event must not be about it, about the Rule.
func (r *record) event(now time.Time) *eventsv1.Event {
	regarding := corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "Webhook", Namespace: r.namespace, Name: r.delivery.Webhook,
	}
	if r.namespace != r.delivery.Namespace {
		regarding.Kind, regarding.Name = "Rule", r.outcomes[0].Name
	}
	condition := r.condition()
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Name: r.name(), Namespace: r.namespace},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: reportingController,
		ReportingInstance:   v1alpha1.ManagedByHookStorm,
		Action:              "Dispatch",
		Reason:              condition.Reason,
		Regarding:           regarding,
		Note:                cut(fmt.Sprintf("delivery %s, trigger %s: %s", r.delivery.ID, r.delivery.Trigger, condition.Message), 1024),
		Type:                corev1.EventTypeNormal,
	}
}

func parameters(values map[string]string) map[string]v1alpha1.ParameterValue {
	converted := make(map[string]v1alpha1.ParameterValue, len(values))
	for name, value := range values {
		converted[name] = v1alpha1.ParameterValue(value)
	}
	return converted
}

func digest(payload []byte) string {
	sum := sha256.Sum256(payload)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// label sets a label. A value that is no label value as it is stands whole in an annotation of the same key.
func label(object metav1.Object, key, value string) {
	short := strings.ReplaceAll(value, "/", ".")
	if len(short) > maxLabel {
		short = strings.TrimRight(short[:maxLabel], "-_.")
	}
	object.GetLabels()[key] = short
	if short != value {
		object.GetAnnotations()[key] = value
	}
}

// cutEncoded bounds a text by its size as Kubernetes encodes it in JSON.
func cutEncoded(text string, limit int) string {
	size := 0
	for i, r := range text {
		switch {
		case r < ' ', r == '<', r == '>', r == '&', r == '\u2028', r == '\u2029', r == utf8.RuneError:
			size += 6
		case r == '"', r == '\\':
			size += 2
		default:
			size += utf8.RuneLen(r)
		}
		if size > limit {
			return text[:i]
		}
	}
	return text
}

// cut bounds a text to a number of bytes, in whole characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
