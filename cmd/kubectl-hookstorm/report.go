package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// outputJSON is the value of --output that is not the default.
const outputJSON = "json"

// result is a verdict as JSON.
type result struct {
	TriggerInstance string `json:"triggerInstance,omitempty"`
	Rule            string `json:"rule"`
	// Matched is null where that cannot be told.
	Matched *bool  `json:"matched"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Actions []any  `json:"actions"`
}

// failedAction stands for an action whose templates could not be replaced.
type failedAction struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

func newResult(v verdict) result {
	matched := v.matched()
	return result{Rule: v.rule, Matched: &matched, Reason: v.reason, Message: v.message, Actions: actionsOf(v.actions)}
}

func actionsOf(rendered []rule.Rendered) []any {
	actions := make([]any, len(rendered))
	for i, r := range rendered {
		actions[i] = r.Action
		if r.Err != nil {
			actions[i] = failedAction{r.Name, r.Err.Error()}
		}
	}
	return actions
}

// writeJSON writes a value as one line.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// writeVerdicts writes what the Rules make of a trigger, for people: with their actions as YAML.
func writeVerdicts(w io.Writer, verdicts []verdict) error {
	for i, v := range verdicts {
		if i > 0 {
			fmt.Fprintln(w)
		}
		answer := "DOES NOT MATCH"
		if v.matched() {
			answer = "MATCHES"
		}
		fmt.Fprintf(w, "%s: %s\n%s\n", v.rule, answer, why(v.reason, v.message))
		if len(v.actions) == 0 {
			continue
		}
		document, err := yaml.Marshal(map[string]any{"actions": actionsOf(v.actions)})
		if err != nil {
			return fmt.Errorf("writing the actions of %s: %w", v.rule, err)
		}
		fmt.Fprintf(w, "%s", document)
	}
	return nil
}

// why returns a reason with its message, if it has one, as one line.
func why(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + strings.ReplaceAll(message, "\n", " ")
}

// conclude returns what a command ends with: an error if an action could not be rendered, errNo if no Rule matched.
func conclude(verdicts []verdict) error {
	var errs []error
	matched := false
	for _, v := range verdicts {
		matched = matched || v.result == v1alpha1.ResultMatched
		for _, r := range v.actions {
			if r.Err != nil {
				errs = append(errs, fmt.Errorf("rule %s: action %s: %w", v.rule, r.Name, r.Err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !matched {
		return errNo
	}
	return nil
}
