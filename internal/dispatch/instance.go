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
)

const (
	// maxSucceededPayload is how much of the payload of a success is kept, in bytes.
	maxSucceededPayload = 64 << 10
	// maxFailedPayload is how much of the payload of a failure is kept, in bytes.
	maxFailedPayload = 256 << 10
	// maxEncoded bounds a payload as it is encoded in a request, where some characters take six bytes: etcd takes 1.5 MiB.
	maxEncoded = 1 << 20
	// maxOutcomes bounds what a status says of rules and actions, in bytes; the rules beyond are only counted.
	maxOutcomes = 64 << 10
	// reportingController names HookStorm in Events.
	reportingController = "hookstorm.dev/hookstorm"
)

// resultOrder is how a status lists rules.
var resultOrder = []v1alpha1.RuleResult{v1alpha1.ResultFailed, v1alpha1.ResultMatched, v1alpha1.ResultNotMatched}

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
	v1alpha1.SetLabel(instance, v1alpha1.LabelDelivery, d.ID)
	if d.Webhook != "" {
		v1alpha1.SetLabel(instance, v1alpha1.LabelWebhook, r.webhookName())
	}
	matched := func(o v1alpha1.RuleOutcome) bool { return o.Result == v1alpha1.ResultMatched }
	if i := slices.IndexFunc(instance.Status.Rules, matched); i >= 0 {
		v1alpha1.SetLabel(instance, v1alpha1.LabelRule, instance.Status.Rules[i].Name)
	}
	return instance
}

func (r *record) status(now time.Time) *v1alpha1.TriggerInstanceStatus {
	start, completion := metav1.NewMicroTime(r.started), metav1.NewMicroTime(now)
	condition := r.condition()
	condition.LastTransitionTime = metav1.NewTime(now)
	listed := r.listed()
	status := &v1alpha1.TriggerInstanceStatus{
		Phase:          r.currentPhase(),
		Conditions:     []metav1.Condition{condition},
		StartTime:      &start,
		CompletionTime: &completion,
		Matched:        int32(r.count(v1alpha1.ResultMatched)),
		Failed:         int32(r.count(v1alpha1.ResultFailed)),
		NotMatched:     int32(r.count(v1alpha1.ResultNotMatched)),
		Omitted:        int32(r.considered() - len(listed)),
		Violation:      cut(r.delivery.Violation, v1alpha1.MaxMessage),
		Rules:          listed,
	}
	if r.open() {
		status.CompletionTime = nil
	}
	return status
}

// currentPhase is the phase that the record has come to.
func (r *record) currentPhase() v1alpha1.Phase {
	switch r.outcome() {
	case v1alpha1.OutcomeProcessing:
		return v1alpha1.PhaseProcessing
	case v1alpha1.OutcomeFailed:
		return v1alpha1.PhaseProcessingFailed
	default:
		return v1alpha1.PhaseProcessed
	}
}

// ranked returns the rules in the order in which a status lists them: failed first, then matched, then not.
func (r *record) ranked() []*considered {
	ranked := slices.Clone(r.rules)
	slices.SortStableFunc(ranked, func(a, b *considered) int {
		return slices.Index(resultOrder, a.Outcome.Result) - slices.Index(resultOrder, b.Outcome.Result)
	})
	return ranked
}

// listed returns the outcomes that a status lists, as many as it has room for.
func (r *record) listed() []v1alpha1.RuleOutcome {
	ranked := r.ranked()
	ranked = ranked[:min(len(ranked), v1alpha1.MaxRuleOutcomes)]
	listed := make([]v1alpha1.RuleOutcome, 0, len(ranked))
	size := 0
	for _, c := range ranked {
		if size += outcomeSize(&c.Outcome); size > maxOutcomes && len(listed) > 0 {
			break
		}
		listed = append(listed, c.Outcome)
	}
	return listed
}

// outcomeSize is nearly what an outcome takes in a status.
func outcomeSize(o *v1alpha1.RuleOutcome) int {
	size := len(o.Name) + len(o.Message) + 100
	for _, a := range o.Actions {
		size += len(a.Name) + len(a.Message) + len(a.Object) + 100
	}
	return size
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
		regarding.Kind, regarding.Name = "Rule", r.listed()[0].Name
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
