package rule

import (
	"context"
	"time"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/expression"
)

// Delivery is what expressions see as delivery.
type Delivery = expression.Delivery

// Input is one trigger as rules see it. It may be shared by rules and goroutines.
type Input struct {
	payload  *expression.Payload
	delivery Delivery
	now      time.Time
}

// NewInput returns the input of a trigger: its payload, a JSON text that must not change (empty: none), what was accepted,
// and the time at which operators such as timediff_lt compare.
func NewInput(payload []byte, d Delivery, now time.Time) *Input {
	return &Input{payload: expression.NewPayload(payload), delivery: d, now: now}
}

// scope returns the variables of a rule's expressions.
func (in *Input) scope(r *Rule) *expression.Scope {
	return &expression.Scope{
		Payload:  in.payload,
		Delivery: in.delivery,
		Rule:     expression.Rule{Namespace: r.Namespace, Name: r.Name},
	}
}

// Verdict is what one rule makes of a trigger.
type Verdict struct {
	Rule    *Rule
	Outcome v1alpha1.RuleOutcome
}

// Evaluate returns what each rule makes of a trigger: the standard rules, and the backstop rules only if no standard rule
// matched. One rule's failure hides no other.
func Evaluate(ctx context.Context, rules []*Rule, in *Input) []Verdict {
	verdicts := make([]Verdict, 0, len(rules))
	matched := false
	for _, r := range rules {
		if !r.backstop {
			outcome := r.Evaluate(ctx, in)
			matched = matched || outcome.Result == v1alpha1.ResultMatched
			verdicts = append(verdicts, Verdict{r, outcome})
		}
	}
	if matched {
		return verdicts
	}
	for _, r := range rules {
		if r.backstop {
			verdicts = append(verdicts, Verdict{r, r.Evaluate(ctx, in)})
		}
	}
	return verdicts
}
