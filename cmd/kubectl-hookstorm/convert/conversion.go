package convert

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// conversion is one rule of StackStorm that is being converted.
type conversion struct {
	file     string
	source   *yaml.Node
	ref      string // pack.name, or the name where no pack is given
	problems []Problem
	// open says that a condition was left out, so that the Rule would match more than it should.
	open bool
}

// known are the fields of a rule; those of the second line are what StackStorm's API adds, and mean nothing elsewhere.
var known = []string{
	"name", "pack", "description", "enabled", "type", "trigger", "criteria", "action", "tags",
	"id", "uid", "ref", "metadata_file", "context",
}

// problem notes what cannot be turned.
func (c *conversion) problem(at *yaml.Node, field, format string, args ...any) {
	c.problems = append(c.problems, Problem{
		File: c.file, Line: at.Line, Rule: c.ref, Field: field, Message: fmt.Sprintf(format, args...),
	})
}

// identify reports whether the source is a rule with a name.
func (c *conversion) identify() bool {
	name, pack := memberText(c.source, "name"), memberText(c.source, "pack")
	switch {
	case member(c.source, "trigger") == nil:
		c.problem(c.source, "", "no rule: it has no trigger")
		return false
	case name == "":
		c.problem(c.source, "name", "required; write the rule's name")
		return false
	}
	c.ref = name
	if pack != "" {
		c.ref = pack + "." + name
	}
	return true
}

// convert returns the Rule.
func (c *conversion) convert(name string) *yaml.Node {
	document := newBlock()
	document.comment(fmt.Sprintf("StackStorm's rule %s of %s", c.ref, c.file))
	document.set("apiVersion", text(v1alpha1.GroupVersion.String()))
	document.set("kind", text("Rule"))
	document.set("metadata", c.metadata(name))
	document.set("spec", c.spec())
	converted := document.end()
	c.validate(converted)
	return converted
}

// labelPack names the pack that a Rule comes from.
const labelPack = "app.kubernetes.io/part-of"

func (c *conversion) metadata(name string) *yaml.Node {
	metadata := newBlock()
	metadata.set("name", text(name))
	if pack := memberText(c.source, "pack"); pack != "" && len(validation.IsValidLabelValue(pack)) == 0 {
		labels := newBlock()
		labels.set(labelPack, text(pack))
		metadata.set("labels", labels.end())
	}
	return metadata.end()
}

func (c *conversion) spec() *yaml.Node {
	spec := newBlock()
	for key, value := range members(c.source) {
		if !slices.Contains(known, key.Value) {
			c.problem(key, key.Value, "no field of a rule")
			spec.comment("no field of a rule: " + key.Value)
		} else if key.Value == "tags" && len(value.Content) > 0 {
			c.problem(key, "tags", "a Rule has labels instead; write them into metadata.labels")
			spec.comment("tags of StackStorm; write labels into metadata.labels:")
			spec.comment(lines(value)...)
		}
	}
	c.description(spec)
	trigger, criteria := c.trigger(), c.criteria("criteria", member(c.source, "criteria"), varTrigger)
	c.enabled(spec)
	c.ruleType(spec)
	spec.adopt("trigger", trigger)
	spec.adopt("criteria", criteria)
	c.actions(spec)
	return spec.end()
}

// maxDescription is how many characters a description has at most.
const maxDescription = 1024

func (c *conversion) description(spec *block) {
	source := member(c.source, "description")
	if isNull(source) || source.Value == "" {
		return
	}
	description := source.Value
	if utf8.RuneCountInString(description) > maxDescription {
		c.problem(source, "description", "cut to %d characters", maxDescription)
		description = string([]rune(description)[:maxDescription])
	}
	spec.set("description", text(description))
}

// enabled sets whether the Rule is evaluated. Omitted it is false, as StackStorm has it. A Rule that would match more than
// it should is not enabled.
func (c *conversion) enabled(spec *block) {
	source := member(c.source, "enabled")
	switch {
	case isNull(source):
		spec.comment("StackStorm does not enable a rule that does not say so.")
		spec.set("enabled", boolean(false))
	case source.Tag != tagBool:
		c.problem(source, "enabled", "write true or false")
		spec.set("enabled", boolean(false))
	case source.Value == "true" && c.open:
		spec.comment("true in StackStorm. Enable it once what is left out below is settled: until then it matches too much.")
		spec.set("enabled", boolean(false))
	default:
		spec.set("enabled", boolean(source.Value == "true"))
	}
}

func (c *conversion) ruleType(spec *block) {
	source := member(c.source, "type")
	if isNull(source) {
		return
	}
	switch ref := memberText(source, "ref"); ref {
	case "standard", "":
	case "backstop":
		spec.set("type", text(string(v1alpha1.RuleBackstop)))
	default:
		c.problem(source, "type.ref", "%s is no type of rule; there are standard and backstop", short(ref))
		spec.comment("type of StackStorm: " + ref)
	}
}

// trigger converts the trigger with its parameters, which are strings in a Rule.
func (c *conversion) trigger() *block {
	source := member(c.source, "trigger")
	trigger := newBlock()
	name := memberText(source, "type")
	if name == "" {
		c.problem(source, "trigger.type", "required; write the trigger's name, such as %s", v1alpha1.TriggerWebhook)
	}
	if strings.HasPrefix(name, "core.st2.") && name != v1alpha1.TriggerWebhook {
		const reason = "StackStorm itself dispatches it, and HookStorm does not; " +
			"let something post it to the generic webhook, such as a CronJob"
		c.problem(source, "trigger.type", "%s: %s", name, reason)
		trigger.comment(reason)
	}
	trigger.set("type", text(name))
	parameters := newBlock()
	for key, value := range members(member(source, "parameters")) {
		field := "trigger.parameters." + key.Value
		switch {
		case value.Kind != yaml.ScalarNode:
			c.open = true
			c.leaveOut(parameters, key, value, field, "a parameter is a text in a Rule")
		case nextMark(value.Value) >= 0:
			c.open = true
			c.leaveOut(parameters, key, value, field, "a parameter is no template; write the value itself")
		case value.Tag == tagNull:
		default:
			parameters.set(key.Value, text(value.Value))
		}
	}
	if name == v1alpha1.TriggerWebhook && member(&parameters.node, v1alpha1.ParameterURL) == nil {
		c.problem(source, "trigger.parameters.url", "required; without it, the Rule is not accepted")
	}
	trigger.adopt("parameters", parameters)
	return trigger
}

// leaveOut notes why a member cannot be turned, and leaves a comment with it in its place.
func (c *conversion) leaveOut(from *block, key, value *yaml.Node, field, reason string) {
	c.problem(key, field, "%s", reason)
	from.comment(strings.Split("left out: "+reason, "\n")...)
	pair := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, value}}
	for _, line := range lines(pair) {
		from.comment("  " + line)
	}
}

// validate notes what is wrong with the whole Rule, although each part of it was accepted.
func (c *conversion) validate(converted *yaml.Node) {
	var decoded v1alpha1.Rule
	err := decode(converted, &decoded)
	if err == nil {
		_, err = rule.Compile(&decoded)
	}
	if err != nil {
		c.problem(c.source, "", "the Rule would not be accepted: %s", oneLine(err))
	}
}

// oneLine returns an error that may join several as one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
