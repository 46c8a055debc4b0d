// Package rule is one compiled Rule, and the rule book: the immutable value that says which Rules a delivery meets. It
// evaluates; it reads nothing from a cluster and writes nothing. A Book and everything in it is safe for concurrent use.
package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/criteria"
)

// reasonFailed is the reason of an outcome whose criteria could not be evaluated.
const reasonFailed = "CriterionFailed"

// Rule is one compiled Rule.
type Rule struct {
	Namespace, Name string

	backstop   bool
	trigger    string
	parameters map[string]string
	criteria   *criteria.Set
}

// Compile compiles a Rule's spec. The error names each field that is wrong, with the fix.
func Compile(r *v1alpha1.Rule) (*Rule, error) {
	definitions := make(map[string]criteria.Criterion, len(r.Spec.Criteria))
	for key, c := range r.Spec.Criteria {
		definition := criteria.Criterion{Type: c.Type}
		if c.Pattern != nil {
			definition.Pattern = c.Pattern.Raw
		}
		definitions[key] = definition
	}
	set, err := criteria.Compile(definitions)
	if err != nil {
		return nil, fmt.Errorf("spec.%w", err)
	}
	return &Rule{
		Namespace:  r.Namespace,
		Name:       r.Name,
		backstop:   r.Spec.Type == v1alpha1.RuleBackstop,
		trigger:    r.Spec.Trigger.Type,
		parameters: Parameters(r.Spec.Trigger.Parameters),
		criteria:   set,
	}, nil
}

// Parameters returns a trigger's parameters as they are compared: url without its outer slashes.
func Parameters(declared map[string]v1alpha1.ParameterValue) map[string]string {
	parameters := make(map[string]string, len(declared))
	for name, value := range declared {
		parameters[name] = string(value)
		if name == v1alpha1.ParameterURL {
			parameters[name] = v1alpha1.TrimURL(string(value))
		}
	}
	return parameters
}

// takes reports whether each parameter that the rule names is equal in the trigger.
func (r *Rule) takes(parameters map[string]string) bool {
	for name, want := range r.parameters {
		if got, ok := parameters[name]; !ok || got != want {
			return false
		}
	}
	return true
}

// evaluate returns what the rule makes of a payload. A panic is a failure of this rule alone.
func (r *Rule) evaluate(payload any) (outcome v1alpha1.RuleOutcome) {
	defer func() {
		if p := recover(); p != nil {
			outcome = r.failed(fmt.Sprintf("evaluation panicked: %v", p))
		}
	}()
	result, err := r.criteria.Evaluate(payload)
	if err != nil {
		return r.failed(err.Error())
	}
	outcome = v1alpha1.RuleOutcome{Name: r.Name, Result: v1alpha1.ResultNotMatched, Reason: string(result.Reason), Message: cut(result.Message)}
	if result.Matched {
		outcome.Result = v1alpha1.ResultMatched
	}
	return outcome
}

// Evaluate returns what each rule makes of a payload, as criteria.Decode returned it: the standard rules, and the backstop
// rules only if no standard rule matched. One rule's failure hides no other.
func Evaluate(rules []*Rule, payload any) []v1alpha1.RuleOutcome {
	outcomes := make([]v1alpha1.RuleOutcome, 0, len(rules))
	matched := false
	for _, r := range rules {
		if !r.backstop {
			outcome := r.evaluate(payload)
			matched = matched || outcome.Result == v1alpha1.ResultMatched
			outcomes = append(outcomes, outcome)
		}
	}
	if matched {
		return outcomes
	}
	for _, r := range rules {
		if r.backstop {
			outcomes = append(outcomes, r.evaluate(payload))
		}
	}
	return outcomes
}

// Fail returns the outcomes of rules that cannot be evaluated, because the payload cannot be decoded.
func Fail(rules []*Rule, err error) []v1alpha1.RuleOutcome {
	outcomes := make([]v1alpha1.RuleOutcome, 0, len(rules))
	for _, r := range rules {
		outcomes = append(outcomes, r.failed(err.Error()))
	}
	return outcomes
}

// failed is the outcome of a rule that could not be evaluated.
func (r *Rule) failed(why string) v1alpha1.RuleOutcome {
	return v1alpha1.RuleOutcome{Name: r.Name, Result: v1alpha1.ResultFailed, Reason: reasonFailed, Message: cut(why)}
}

// NeedsPayload reports whether any of the rules looks into the payload.
func NeedsPayload(rules []*Rule) bool {
	return slices.ContainsFunc(rules, func(r *Rule) bool { return !r.criteria.Empty() })
}

// cut bounds a message to what a status holds, in whole characters.
func cut(message string) string {
	if len(message) <= v1alpha1.MaxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:v1alpha1.MaxMessage], "")
}
