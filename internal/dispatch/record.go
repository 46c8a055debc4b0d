package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// record is what became of a delivery in one namespace, and what is still to be done there. It belongs to one goroutine at
// a time.
type record struct {
	delivery  *delivery.Delivery
	input     *rule.Input // the delivery as rules see it
	webhook   rule.Webhook
	namespace string
	rules     []*considered
	omitted   map[v1alpha1.RuleResult]int // rules beyond those that are listed, after a wait
	started   time.Time
	exists    bool   // its object was written, or asked for this
	ordinal   uint64 // its place in its history window
	done      func() // called when nothing is left to do here

	inline    bool      // its actions are tried for the first time, while its pack waits
	patience  time.Time // until when it waits in memory for busy targets
	postponed bool      // what is left to do is stored, and comes back
	unstored  time.Time // since when that was not possible; zero: it was not tried, or was
	busy      bool      // an action waits only for others that are under way
	attempts  int       // to write it
}

// considered is one rule that was considered, and its actions.
type considered struct {
	UID     types.UID
	Outcome v1alpha1.RuleOutcome
	// Schedules are those of Outcome.Actions, by index.
	Schedules []schedule
}

// schedule says when an action is tried again.
type schedule struct {
	Due time.Time
	// Waits counts the waits so far, those for an API server that was away too.
	Waits int
}

// newRecord returns the record of what rules made of a delivery.
func newRecord(d *delivery.Delivery, w rule.Webhook, namespace string, verdicts []rule.Verdict) *record {
	r := &record{delivery: d, webhook: w, namespace: namespace, rules: make([]*considered, 0, len(verdicts))}
	all := make([]considered, len(verdicts))
	for i, v := range verdicts {
		c := &all[i]
		c.UID, c.Outcome = v.Rule.UID, v.Outcome
		if v.Outcome.Result == v1alpha1.ResultMatched && v.Rule.Acts() {
			c.plan(v.Rule.ActionNames())
		}
		r.rules = append(r.rules, c)
	}
	return r
}

// plan notes the actions that are to be done.
func (c *considered) plan(names []string) {
	c.Outcome.Actions = make([]v1alpha1.ActionOutcome, len(names))
	c.Schedules = make([]schedule, len(names))
	for i, name := range names {
		c.Outcome.Actions[i] = v1alpha1.ActionOutcome{Name: name, Phase: v1alpha1.ActionRetrying}
	}
}

// count returns how many of the rule's actions are in a phase.
func (c *considered) count(phase v1alpha1.ActionPhase) int {
	n := 0
	for i := range c.Outcome.Actions {
		if c.Outcome.Actions[i].Phase == phase {
			n++
		}
	}
	return n
}

// sum brings the rule's outcome to what its actions have come to.
func (c *considered) sum() {
	if len(c.Outcome.Actions) == 0 {
		return
	}
	switch {
	case c.count(v1alpha1.ActionRetrying) > 0:
		c.Outcome.Reason, c.Outcome.Message = v1alpha1.ReasonRetrying, c.summary(v1alpha1.ActionRetrying)
	case c.count(v1alpha1.ActionFailed) > 0:
		c.Outcome.Result, c.Outcome.Reason = v1alpha1.ResultFailed, v1alpha1.ReasonActionFailed
		c.Outcome.Message = c.summary(v1alpha1.ActionFailed)
	default:
		c.Outcome.Reason, c.Outcome.Message = v1alpha1.ReasonMatched, ""
	}
}

// summary names the actions in a phase, each with its message.
func (c *considered) summary(phase v1alpha1.ActionPhase) string {
	var texts []string
	for _, a := range c.Outcome.Actions {
		if a.Phase == phase && a.Message != "" {
			texts = append(texts, "action "+a.Name+": "+a.Message)
		}
	}
	return cut(strings.Join(texts, "; "), v1alpha1.MaxMessage)
}

// count returns how many rules came to a result.
func (r *record) count(result v1alpha1.RuleResult) int {
	n := r.omitted[result]
	for _, c := range r.rules {
		if c.Outcome.Result == result {
			n++
		}
	}
	return n
}

// considered returns how many rules were considered.
func (r *record) considered() int {
	n := len(r.rules)
	for _, omitted := range r.omitted {
		n += omitted
	}
	return n
}

// countActions returns how many actions are in a phase.
func (r *record) countActions(phase v1alpha1.ActionPhase) int {
	n := 0
	for _, c := range r.rules {
		n += c.count(phase)
	}
	return n
}

// open reports whether an action is still to be tried.
func (r *record) open() bool {
	return slices.ContainsFunc(r.rules, func(c *considered) bool { return c.count(v1alpha1.ActionRetrying) > 0 })
}

// acted reports whether it has, or had, actions to do.
func (r *record) acted() bool {
	return slices.ContainsFunc(r.rules, func(c *considered) bool { return len(c.Outcome.Actions) > 0 })
}

// due returns when the next action is to be tried.
func (r *record) due() time.Time {
	var due time.Time
	for _, c := range r.rules {
		for i, a := range c.Outcome.Actions {
			if a.Phase == v1alpha1.ActionRetrying && (due.IsZero() || c.Schedules[i].Due.Before(due)) {
				due = c.Schedules[i].Due
			}
		}
	}
	return due
}

// outcome is the value of the label of that name.
func (r *record) outcome() string {
	switch {
	case r.open():
		return v1alpha1.OutcomeProcessing
	case r.count(v1alpha1.ResultFailed) > 0:
		return v1alpha1.OutcomeFailed
	default:
		return v1alpha1.OutcomeSucceeded
	}
}

// kind is what is written: a failure is always a TriggerInstance, and so is what violates an audited schema, or was asked
// for by one.
func (r *record) kind() v1alpha1.Record {
	if r.outcome() == v1alpha1.OutcomeFailed || r.delivery.Violation != "" || r.delivery.Instance != "" {
		return v1alpha1.RecordTriggerInstance
	}
	return r.webhook.History.Recorded()
}

// maxSlug is the length of the part of a name that comes from a trigger.
const maxSlug = 40

// name derives from the delivery, so that a second write finds the first. It names the object that is written.
func (r *record) name() string {
	switch d := r.delivery; {
	case d.Instance != "":
		return d.Instance
	case d.Webhook != "":
		return d.Webhook + "-" + d.ID
	default:
		return slug(d.Trigger) + "-" + d.ID
	}
}

// slug makes a part of a name out of a trigger's name.
func slug(trigger string) string {
	keep := func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		default:
			return '-'
		}
	}
	text := strings.Map(keep, trigger)
	text = strings.Trim(text[:min(len(text), maxSlug)], "-")
	if text == "" {
		return "trigger"
	}
	return text
}

// webhookName is spec.webhook: the webhook's name as it is known in the record's namespace; empty where there is none.
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

// reason sums up in one word what the rules made of the trigger.
func (r *record) reason() string {
	switch {
	case r.open():
		return v1alpha1.ReasonRetrying
	case r.countActions(v1alpha1.ActionFailed) > 0:
		return v1alpha1.ReasonActionFailed
	case r.count(v1alpha1.ResultFailed) > 0:
		return v1alpha1.ReasonRuleFailed
	case r.count(v1alpha1.ResultMatched) > 0:
		return v1alpha1.ReasonMatched
	default:
		return v1alpha1.ReasonNoRuleMatched
	}
}

// condition sums up what the rules made of the trigger.
func (r *record) condition() metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionSucceeded, Status: metav1.ConditionTrue, Reason: r.reason()}
	switch c.Reason {
	case v1alpha1.ReasonRetrying:
		c.Status = metav1.ConditionUnknown
		c.Message = fmt.Sprintf("%d actions are still to be tried", r.countActions(v1alpha1.ActionRetrying))
	case v1alpha1.ReasonActionFailed:
		c.Status = metav1.ConditionFalse
		c.Message = fmt.Sprintf("%d actions failed", r.countActions(v1alpha1.ActionFailed))
	case v1alpha1.ReasonRuleFailed:
		c.Status = metav1.ConditionFalse
		c.Message = fmt.Sprintf("%d of %d Rules could not be evaluated", r.count(v1alpha1.ResultFailed), r.considered())
	case v1alpha1.ReasonMatched:
		c.Message = fmt.Sprintf("%d of %d Rules matched", r.count(v1alpha1.ResultMatched), r.considered())
	default:
		c.Message = "no Rule is for this trigger"
		if n := r.considered(); n > 0 {
			c.Message = fmt.Sprintf("none of %d Rules matched", n)
		}
	}
	return c
}
