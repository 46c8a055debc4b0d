// Package rule is one compiled Rule, and the rule book: the immutable value that says which Rules a delivery meets. It
// evaluates, and renders what the actions are to do; it does nothing of it, reads nothing from a cluster and writes
// nothing. A Book and everything in it is safe for concurrent use.
package rule

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/criteria"
	"github.com/hookstorm/hookstorm/internal/expression"
)

// The reasons of an outcome beside those of criteria.
const (
	reasonCriterionFailed  = "CriterionFailed"
	reasonExpressionFalse  = "ExpressionFalse"
	reasonExpressionFailed = "ExpressionFailed"
	reasonNotEvaluated     = "NotEvaluated"
)

// Rule is one compiled Rule.
type Rule struct {
	Namespace, Name string
	// UID tells a Rule from another of its name that came before it.
	UID types.UID
	// ServiceAccount is whose rights the actions have.
	ServiceAccount string
	// Retry says how actions are tried again; nil means the defaults.
	Retry *v1alpha1.RetryPolicy

	backstop   bool
	trigger    string
	parameters map[string]string
	criteria   *criteria.Set
	when       []condition
	actions    []action
}

// condition is one expression of spec.when.
type condition struct {
	text     string
	compiled *expression.Condition
}

// Compile compiles a Rule's spec. The error names each field that is wrong, with the fix.
func Compile(r *v1alpha1.Rule) (*Rule, error) {
	set, criteriaErr := compileCriteria(r.Spec.Criteria)
	when, whenErr := compileWhen(r.Spec.When)
	actions, actionsErr := compileActions(r.Spec.Actions)
	if err := errors.Join(criteriaErr, whenErr, actionsErr); err != nil {
		return nil, err
	}
	account := r.Spec.ServiceAccountName
	if account == "" {
		account = v1alpha1.DefaultServiceAccount
	}
	return &Rule{
		Namespace:      r.Namespace,
		Name:           r.Name,
		UID:            r.UID,
		ServiceAccount: account,
		Retry:          r.Spec.Retry,
		backstop:       r.Spec.Type == v1alpha1.RuleBackstop,
		trigger:        r.Spec.Trigger.Type,
		parameters:     Parameters(r.Spec.Trigger.Parameters),
		criteria:       set,
		when:           when,
		actions:        actions,
	}, nil
}

func compileCriteria(declared map[string]v1alpha1.Criterion) (*criteria.Set, error) {
	definitions := make(map[string]criteria.Criterion, len(declared))
	for key, c := range declared {
		definition := criteria.Criterion{Type: c.Type, Condition: c.Condition}
		if c.Pattern != nil {
			definition.Pattern = c.Pattern.Raw
		}
		definitions[key] = definition
	}
	return criteria.Compile(definitions)
}

func compileWhen(expressions []v1alpha1.Expression) ([]condition, error) {
	conditions := make([]condition, 0, len(expressions))
	var errs []error
	for i, text := range expressions {
		compiled, err := expression.CompileCondition(string(text))
		if err != nil {
			errs = append(errs, fmt.Errorf("spec.when[%d]: %w", i, err))
			continue
		}
		conditions = append(conditions, condition{text: string(text), compiled: compiled})
	}
	return conditions, errors.Join(errs...)
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

// Backstop reports whether the rule is considered only if no standard rule matched.
func (r *Rule) Backstop() bool { return r.backstop }

// Takes reports whether the rule is for a trigger: of its type, with each parameter that the rule names equal.
func (r *Rule) Takes(trigger string, parameters map[string]string) bool {
	if r.trigger != trigger {
		return false
	}
	for name, want := range r.parameters {
		if got, ok := parameters[name]; !ok || got != want {
			return false
		}
	}
	return true
}

// Evaluate returns what the rule makes of a trigger that it takes; after the end of ctx that is a failure. A panic is a
// failure of this rule alone.
func (r *Rule) Evaluate(ctx context.Context, in *Input) (outcome v1alpha1.RuleOutcome) {
	defer func() {
		if p := recover(); p != nil {
			outcome = r.outcome(v1alpha1.ResultFailed, reasonCriterionFailed, fmt.Sprintf("evaluation panicked: %v", p))
		}
	}()
	if ctx.Err() != nil {
		return r.outcome(v1alpha1.ResultFailed, reasonNotEvaluated, "there was no time left after the other Rules of this trigger")
	}
	scope := in.scope(r)
	result, err := r.criteria.Evaluate(ctx, scope, in.now)
	switch {
	case err != nil:
		return r.outcome(v1alpha1.ResultFailed, reasonCriterionFailed, err.Error())
	case !result.Matched:
		return r.outcome(v1alpha1.ResultNotMatched, string(result.Reason), result.Message)
	}
	for i := range r.when {
		c := &r.when[i]
		holds, err := c.compiled.Holds(ctx, scope)
		switch {
		case err != nil:
			return r.outcome(v1alpha1.ResultFailed, reasonExpressionFailed, fmt.Sprintf("when[%d]: %v", i, err))
		case !holds:
			return r.outcome(v1alpha1.ResultNotMatched, reasonExpressionFalse, c.explain(ctx, i, scope))
		}
	}
	reason := string(result.Reason)
	if len(r.when) > 0 {
		reason = string(criteria.ReasonMatched)
	}
	return r.outcome(v1alpha1.ResultMatched, reason, "")
}

// maxShownExpression bounds an expression in a message, so that there is room for what it saw.
const maxShownExpression = 200

// explain says which expression was false, and what it saw.
func (c *condition) explain(ctx context.Context, index int, scope *expression.Scope) string {
	message := fmt.Sprintf("when[%d]: %s is false", index, cut(c.text, maxShownExpression))
	if saw := c.compiled.Explain(ctx, scope); saw != "" {
		message += ": " + saw
	}
	return message
}

func (r *Rule) outcome(result v1alpha1.RuleResult, reason, message string) v1alpha1.RuleOutcome {
	return v1alpha1.RuleOutcome{Name: r.Name, Result: result, Reason: reason, Message: cut(message, v1alpha1.MaxMessage)}
}

// cut bounds a text to a number of bytes, in whole characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
