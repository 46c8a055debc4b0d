package convert

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

const operatorSearch = "search"

// criteria converts criteria: those of a rule, or those in the pattern of a search. roots are what their patterns may read.
// What cannot be turned stands as a comment in its place.
func (c *conversion) criteria(field string, source *yaml.Node, roots ...string) *block {
	converted := newBlock()
	if !isNull(source) && source.Kind != yaml.MappingNode {
		c.problem(source, field, "write a mapping from paths to criteria")
		c.open = true
		return converted
	}
	for key, value := range members(source) {
		here := fmt.Sprintf("%s[%q]", field, key.Value)
		criterion, err := c.criterion(here, key.Value, value, roots)
		if err == nil && len(roots) == 1 {
			// A criterion of a search is compiled as part of it.
			err = accepted(key.Value, criterion)
		}
		if err != nil {
			c.open = true
			c.leaveOut(converted, key, value, here, oneLine(err))
			continue
		}
		converted.set(key.Value, criterion)
	}
	return converted
}

func (c *conversion) criterion(field, key string, source *yaml.Node, roots []string) (*yaml.Node, error) {
	if source.Kind != yaml.MappingNode {
		return nil, errors.New("write a mapping with type and pattern")
	}
	if root, _ := cutName(strings.TrimLeft(key, "$. ")); root == "system" {
		return nil, errDatastore
	}
	converted := newBlock()
	for name, value := range members(source) {
		switch {
		case name.Value == "type" || name.Value == "condition":
			converted.set(name.Value, value)
		case name.Value != "pattern":
			return nil, fmt.Errorf("%s is no field of a criterion", name.Value)
		case memberText(source, "type") == operatorSearch && value.Kind == yaml.MappingNode:
			converted.setOrEmpty("pattern", c.criteria(field+".pattern", value, varTrigger, varItem))
		case !isNull(value):
			pattern, err := pattern(value, roots)
			if err != nil {
				return nil, fmt.Errorf("pattern: %w", err)
			}
			converted.set("pattern", pattern)
		}
	}
	return converted.end(), nil
}

// pattern converts a pattern. Only one that is a string may be a template. One that is a single expression takes the type of
// its value, in both.
func pattern(source *yaml.Node, roots []string) (*yaml.Node, error) {
	if !isText(source) {
		return source, nil
	}
	t, err := parseTemplate(source.Value, roots...)
	if err != nil {
		return nil, err
	}
	if expression, lone := t.lone(true); lone {
		return text("${" + expression + "}"), nil
	}
	if t.maybeJSON() {
		return nil, fmt.Errorf("%s: StackStorm may read what it renders as a number or as JSON; "+
			"write CEL by hand, such as ${int(trigger.body.number)}", short(source.Value))
	}
	return text(t.String()), nil
}

// accepted returns why a Rule with this criterion would not be accepted.
func accepted(key string, criterion *yaml.Node) error {
	var decoded v1alpha1.Criterion
	if err := decode(criterion, &decoded); err != nil {
		return err
	}
	_, err := rule.Compile(&v1alpha1.Rule{Spec: v1alpha1.RuleSpec{Criteria: map[string]v1alpha1.Criterion{key: decoded}}})
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), fmt.Sprintf("spec.criteria[%q]: ", key)))
}
