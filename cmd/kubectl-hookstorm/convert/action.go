package convert

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// The fields of a rule's action.
const (
	fieldAction     = "action"
	fieldParameters = "action.parameters"
)

// actions converts the rule's one action.
func (c *conversion) actions(spec *block) {
	source := member(c.source, "action")
	if isNull(source) {
		c.problem(c.source, fieldAction, "required in StackStorm; without it, a match is only recorded")
		return
	}
	ref := memberText(source, "ref")
	action, err := c.action(ref, member(source, "parameters"))
	if err != nil {
		c.problem(source, fieldAction, "%s: %s", ref, oneLine(err))
		spec.comment(outline(ref, source, err)...)
		return
	}
	spec.set("actions", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{action}})
}

// action returns an action that does what StackStorm's does, and an error where there is none.
func (c *conversion) action(ref string, parameters *yaml.Node) (*yaml.Node, error) {
	kind, convert := "", (func(*yaml.Node) (*block, error))(nil)
	switch ref {
	case "core.http":
		kind, convert = "http", c.http
	case "core.inject_trigger":
		kind, convert = "dispatch", c.dispatch
	default:
		return nil, errors.New("no action of HookStorm; let an action create what does the same, such as a Job")
	}
	inner, err := convert(parameters)
	if err != nil {
		return nil, err
	}
	action := newBlock()
	action.set("name", text(actionName(ref)))
	action.set(kind, inner.end())
	return action.end(), acceptedAction(action.end())
}

// acceptedAction returns why a Rule with this action would not be accepted.
func acceptedAction(action *yaml.Node) error {
	var decoded v1alpha1.Action
	if err := decode(action, &decoded); err != nil {
		return err
	}
	_, err := rule.Compile(&v1alpha1.Rule{Spec: v1alpha1.RuleSpec{Actions: []v1alpha1.Action{decoded}}})
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), fmt.Sprintf("spec.actions[0] (%s): ", decoded.Name), ""))
}

func actionName(ref string) string {
	if name := slug(ref, maxActionName); name != "" {
		return name
	}
	return "action"
}

// dispatch converts the parameters of core.inject_trigger.
func (c *conversion) dispatch(parameters *yaml.Node) (*block, error) {
	dispatch := newBlock()
	for key, value := range members(parameters) {
		switch key.Value {
		case "trigger":
			trigger, err := scalarText(value)
			if err != nil {
				return nil, fmt.Errorf("trigger: %w", err)
			}
			dispatch.set("trigger", text(trigger))
		case "payload":
			payload, err := translate(value)
			if err != nil {
				return nil, fmt.Errorf("payload: %w", err)
			}
			if !isNull(payload) {
				dispatch.set("payload", payload)
			}
		default:
			reason := "HookStorm gives the trigger a trace tag of its own"
			if key.Value != "trace_tag" {
				reason = "no parameter of core.inject_trigger"
			}
			c.leaveOut(dispatch, key, value, fieldParameters+"."+key.Value, reason)
		}
	}
	if member(&dispatch.node, "trigger") == nil {
		return nil, errors.New("trigger: required; write the trigger's name")
	}
	return dispatch, nil
}

// scalarText converts a scalar to a text in which templates are texts, too.
func scalarText(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", errors.New("write a text")
	}
	t, err := parseTemplate(n.Value, varTrigger)
	if err != nil {
		return "", err
	}
	return t.asText(), nil
}

// outline returns, as lines of a comment, what is to be filled in for an action that HookStorm does not have.
func outline(ref string, action *yaml.Node, reason error) []string {
	name := actionName(ref)
	comment := append(strings.Split("left out: "+ref+": "+reason.Error(), "\n"),
		"actions:",
		"- name: "+name,
		"  create:",
		"    template:",
		"      apiVersion: batch/v1",
		"      kind: Job",
		"      spec:",
		"        template:",
		"          spec:",
		"            restartPolicy: Never",
		"            containers:",
		"            - name: "+name,
		"              image: …",
		"              args: […]",
		"in StackStorm:",
	)
	for _, line := range lines(action) {
		comment = append(comment, "  "+line)
	}
	return comment
}
