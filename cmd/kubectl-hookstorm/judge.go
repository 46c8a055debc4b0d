package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// trigger is what Rules are tested against.
type trigger struct {
	// kind is the trigger's type; empty stands for the type of each Rule.
	kind string
	// parameters are the trigger's; nil stands for those of each Rule.
	parameters map[string]string
	payload    []byte
	delivery   rule.Delivery
	now        time.Time
	// matched says that a Standard Rule matched the trigger already.
	matched bool
}

// The reasons of verdicts on Rules that are not evaluated.
const (
	reasonOtherTrigger  = "OtherTrigger"
	reasonNotConsidered = "NotConsidered"
)

// verdict is what a Rule makes of a trigger.
type verdict struct {
	rule    string
	result  v1alpha1.RuleResult
	reason  string
	message string
	actions []rule.Rendered
}

func (v *verdict) matched() bool { return v.result == v1alpha1.ResultMatched }

// of returns the trigger's type and parameters for a Rule.
func (t *trigger) of(r testedRule) (kind string, parameters map[string]string) {
	kind, parameters = t.kind, t.parameters
	if kind == "" {
		kind = r.declared.Spec.Trigger.Type
	}
	if parameters == nil {
		parameters = rule.Parameters(r.declared.Spec.Trigger.Parameters)
	}
	return kind, parameters
}

// judge returns what each Rule makes of a trigger, in their order: the Standard Rules, and the Backstop Rules as those that
// are considered if none of these matched. Whether a Rule is enabled does not count.
func judge(ctx context.Context, rules []testedRule, t trigger) []verdict {
	verdicts := make([]verdict, len(rules))
	var matched []testedRule
	for i, r := range rules {
		if r.Backstop() {
			continue
		}
		if verdicts[i] = judgeOne(ctx, r, t); verdicts[i].matched() {
			matched = append(matched, r)
		}
	}
	for i, r := range rules {
		switch {
		case !r.Backstop():
		case t.matched || anyTakes(matched, t, r):
			verdicts[i] = verdict{
				rule: r.Name, result: v1alpha1.ResultNotMatched, reason: reasonNotConsidered,
				message: "a Standard Rule matched, and a Backstop is considered only if none did",
			}
		default:
			verdicts[i] = judgeOne(ctx, r, t)
		}
	}
	return verdicts
}

// anyTakes reports whether any of the Rules takes a trigger as another Rule is tested against it.
func anyTakes(rules []testedRule, t trigger, other testedRule) bool {
	kind, parameters := t.of(other)
	return slices.ContainsFunc(rules, func(r testedRule) bool { return r.Takes(kind, parameters) })
}

// judgeOne returns what one Rule makes of a trigger by itself.
func judgeOne(ctx context.Context, r testedRule, t trigger) verdict {
	kind, parameters := t.of(r)
	if !r.Takes(kind, parameters) {
		return verdict{
			rule: r.Name, result: v1alpha1.ResultNotMatched, reason: reasonOtherTrigger, message: otherTrigger(r, kind, parameters),
		}
	}
	delivery := t.delivery
	if delivery.URL == "" {
		delivery.URL = parameters[v1alpha1.ParameterURL]
	}
	in := rule.NewInput(t.payload, delivery, t.now)
	outcome := r.Evaluate(ctx, in)
	v := verdict{rule: r.Name, result: outcome.Result, reason: outcome.Reason, message: outcome.Message}
	if v.matched() {
		v.actions = r.Render(ctx, in)
	}
	return v
}

// otherTrigger says why a Rule does not take a trigger.
func otherTrigger(r testedRule, kind string, parameters map[string]string) string {
	taken := r.declared.Spec.Trigger.Type
	if kind == taken {
		kind, taken = describe(kind, parameters), describe(taken, rule.Parameters(r.declared.Spec.Trigger.Parameters))
	}
	return "the trigger is " + kind + ", and the Rule takes " + taken
}

// describe returns a trigger with its parameters, for messages.
func describe(kind string, parameters map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		pairs = append(pairs, name+": "+parameters[name])
	}
	if len(pairs) == 0 {
		return kind
	}
	return kind + " {" + strings.Join(pairs, ", ") + "}"
}
