package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/webhookserver"
)

// The paths below which webhooks are served.
const (
	shortPath      = "/v1/webhooks/"
	namespacedPath = "/v1/namespaces/%s/webhooks/%s"
)

// yes and no make conditions without times.
func yes(conditionType, reason, message string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func no(conditionType, reason, message string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

// summed returns conditions with Ready, which is as the first of them that is not True, and with the generation they speak
// of. Those named in besides do not count.
func summed(generation int64, conditions []metav1.Condition, besides ...metav1.Condition) []metav1.Condition {
	ready := yes(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "all is well")
	for _, c := range conditions {
		if c.Status != metav1.ConditionTrue {
			ready = no(v1alpha1.ConditionReady, c.Reason, c.Message)
			break
		}
	}
	all := append(append(conditions, besides...), ready)
	for i := range all {
		all[i].ObservedGeneration = generation
		all[i].Message = cutMessage(all[i].Message)
	}
	return all
}

// maxConditionMessage bounds a condition's message below the 32,768 characters that the API allows.
const maxConditionMessage = 1024

func cutMessage(message string) string {
	if len(message) <= maxConditionMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxConditionMessage], "") + "…"
}

// reporter tells the owners of objects, in a program's statuses, what became of them.
type reporter struct {
	*program
	settings   Settings
	failures   map[types.UID]error // why Rules do not compile
	references references
}

// reportHook tells the owners of a hook's Webhooks and Rules what became of them.
func (p *reporter) reportHook(h *hook, outcome webhookserver.Outcome) {
	short := outcome.ShortURL && h.invalid == nil
	path := fmt.Sprintf(namespacedPath, h.key.Namespace, h.key.URL)
	served := &served{hook: h, namespacedPath: path, path: path}
	if short {
		served.path = shortPath + h.key.URL
	}
	for _, r := range h.rules {
		p.reportRule(r, served)
	}
	if h.webhook == nil {
		return
	}
	status := webhookStatus(served, shortURLCondition(h, outcome))
	if p.settings.ExternalURL != "" {
		status.URL = p.settings.ExternalURL + served.path
	}
	p.webhooks[h.webhook.UID] = status
	for _, w := range h.others {
		p.webhooks[w.UID] = yieldingStatus(w, h.webhook)
	}
}

// served is a hook with the paths it is served at.
type served struct {
	*hook
	path, namespacedPath string
}

// shortURLCondition says whether a hook has its short url, and what to do about it.
func shortURLCondition(h *hook, outcome webhookserver.Outcome) metav1.Condition {
	switch {
	case h.lost() && !outcome.ShortURL && outcome.Owner == "":
		// Before all else: that it was lost must outlive other faults.
		return no(v1alpha1.ConditionShortURL, v1alpha1.ReasonConflicted,
			"the short url was another namespace's and passes to nobody by itself; edit spec to claim it, or post to the namespaced path")
	case h.lost() && !outcome.ShortURL:
		return conflicted(outcome.Owner)
	case h.invalid != nil:
		return no(v1alpha1.ConditionShortURL, v1alpha1.ReasonNotAccepted, "the Webhook is not accepted")
	case outcome.ShortURL:
		return yes(v1alpha1.ConditionShortURL, v1alpha1.ReasonAssigned, "the short url is this namespace's")
	case outcome.NotAllowed:
		return no(v1alpha1.ConditionShortURL, v1alpha1.ReasonNotAllowed,
			"this namespace may not own a short url (--short-url-namespaces); post to the namespaced path")
	default:
		return conflicted(outcome.Owner)
	}
}

// conflicted says that another namespace has the short url.
func conflicted(owner string) metav1.Condition {
	return no(v1alpha1.ConditionShortURL, v1alpha1.ReasonConflicted, fmt.Sprintf(
		"the short url belongs to namespace %s; post to the namespaced path, or choose another spec.url", owner))
}

func webhookStatus(s *served, short metav1.Condition) *v1alpha1.WebhookStatus {
	accepted := yes(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "the spec is valid")
	refs := yes(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "every reference is good")
	programmed := yes(v1alpha1.ConditionProgrammed, v1alpha1.ReasonProgrammed, "the webhook is live")
	if s.invalid != nil {
		accepted = no(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, s.invalid.Error())
		programmed = no(v1alpha1.ConditionProgrammed, v1alpha1.ReasonNotAccepted, "the webhook admits nobody until it is accepted")
	}
	if s.refs != nil {
		refs = no(v1alpha1.ConditionResolvedRefs, s.refs.reason, s.refs.message)
	}
	generation, attached := s.webhook.Generation, int32(len(s.rules))
	return &v1alpha1.WebhookStatus{
		ObservedGeneration: generation,
		Conditions:         summed(generation, []metav1.Condition{accepted, refs, programmed}, short),
		Path:               s.path,
		NamespacedPath:     s.namespacedPath,
		Authentication:     s.authentication(),
		AttachedRules:      &attached,
		Keys:               s.keyTimes(),
	}
}

// keyTimes has an entry for each key that may be used, without a time: when it was is not the program's to know.
func (s *served) keyTimes() map[string]metav1.Time {
	keys := make(map[string]metav1.Time, len(s.keys))
	for _, name := range s.keys {
		keys[name] = metav1.Time{}
	}
	return keys
}

// yieldingStatus is the status of a Webhook whose url another one of its namespace has.
func yieldingStatus(w, owner *v1alpha1.Webhook) *v1alpha1.WebhookStatus {
	message := fmt.Sprintf("spec.url: Webhook %s of this namespace has this url; choose another, or delete one of the two", owner.Name)
	return &v1alpha1.WebhookStatus{
		ObservedGeneration: w.Generation,
		Conditions: summed(w.Generation, []metav1.Condition{
			no(v1alpha1.ConditionAccepted, v1alpha1.ReasonConflicted, message),
			yes(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "no reference is looked at"),
			no(v1alpha1.ConditionProgrammed, v1alpha1.ReasonNotAccepted, "the Webhook is not accepted"),
		}, no(v1alpha1.ConditionShortURL, v1alpha1.ReasonNotAccepted, "the Webhook is not accepted")),
	}
}

// reportRule tells the owner of a Rule what became of it; at is the hook it registers, nil where it registers none.
func (p *reporter) reportRule(r *v1alpha1.Rule, at *served) {
	p.rules[r.UID] = ruleStatus(r, p.failures[r.UID], p.references.condition(r), at)
}

func ruleStatus(r *v1alpha1.Rule, failure error, refs metav1.Condition, at *served) *v1alpha1.RuleStatus {
	accepted := yes(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "the spec is valid")
	programmed := yes(v1alpha1.ConditionProgrammed, v1alpha1.ReasonProgrammed, "the Rule is live")
	switch {
	case failure != nil:
		accepted = no(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, failure.Error())
		programmed = no(v1alpha1.ConditionProgrammed, v1alpha1.ReasonNotAccepted, "the Rule is not evaluated until it is accepted")
	case at != nil && at.generic():
		accepted = no(v1alpha1.ConditionAccepted, v1alpha1.ReasonConflicted, fmt.Sprintf(
			"spec.trigger.parameters.url: Webhook %s at this url is Generic and never dispatches %s; choose another url", at.name, v1alpha1.TriggerWebhook))
		programmed = no(v1alpha1.ConditionProgrammed, v1alpha1.ReasonNotAccepted, "no delivery reaches the Rule")
	case !r.IsEnabled():
		programmed = no(v1alpha1.ConditionProgrammed, v1alpha1.ReasonDisabled, "spec.enabled is false: the Rule is not evaluated")
	case at != nil && at.invalid != nil:
		programmed = no(v1alpha1.ConditionProgrammed, v1alpha1.ReasonNotAccepted, fmt.Sprintf(
			"Webhook %s, which has this url, is not accepted; see its conditions", at.name))
	}
	status := &v1alpha1.RuleStatus{
		ObservedGeneration: r.Generation,
		Conditions:         summed(r.Generation, []metav1.Condition{accepted, refs, programmed}),
	}
	if at != nil {
		status.Webhook, status.Path = at.name, at.path
	}
	return status
}

func triggerTypeStatus(t *v1alpha1.TriggerType, reason, message string) *v1alpha1.TriggerTypeStatus {
	accepted := no(v1alpha1.ConditionAccepted, reason, cutMessage(message))
	if reason == v1alpha1.ReasonAccepted {
		accepted.Status = metav1.ConditionTrue
	}
	accepted.ObservedGeneration = t.Generation
	return &v1alpha1.TriggerTypeStatus{ObservedGeneration: t.Generation, Conditions: []metav1.Condition{accepted}}
}

// The same… functions compare statuses as this file makes them: without times and last* fields.

func sameRuleStatus(a, b *v1alpha1.RuleStatus) bool {
	return a != nil && a.ObservedGeneration == b.ObservedGeneration && a.Webhook == b.Webhook && a.Path == b.Path &&
		slices.Equal(a.Conditions, b.Conditions)
}

func sameWebhookStatus(a, b *v1alpha1.WebhookStatus) bool {
	return a != nil && a.ObservedGeneration == b.ObservedGeneration && a.Path == b.Path && a.NamespacedPath == b.NamespacedPath &&
		a.URL == b.URL && a.Authentication == b.Authentication && ptr.Equal(a.AttachedRules, b.AttachedRules) &&
		maps.Equal(a.Keys, b.Keys) && slices.Equal(a.Conditions, b.Conditions)
}

func sameTriggerTypeStatus(a, b *v1alpha1.TriggerTypeStatus) bool {
	return a != nil && a.ObservedGeneration == b.ObservedGeneration && slices.Equal(a.Conditions, b.Conditions)
}
