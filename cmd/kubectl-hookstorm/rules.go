package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/resource"
	kjson "sigs.k8s.io/json"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// testedRule is a Rule with what was made of it.
type testedRule struct {
	*rule.Rule
	declared *v1alpha1.Rule
}

// readRules reads and compiles the Rules in files, directories, URLs or the standard input; lists are taken apart, and
// other kinds left out. Besides the Rules that are valid it returns what is wrong with the others.
func readRules(files []string, streams genericiooptions.IOStreams) ([]testedRule, error) {
	builder := resource.NewLocalBuilder().Unstructured().ContinueOnError()
	for _, file := range files {
		if file == stdin {
			builder.Stream(streams.In, "the standard input")
			continue
		}
		builder.FilenameParam(false, &resource.FilenameOptions{Filenames: []string{file}})
	}
	var rules []testedRule
	found := false
	err := builder.Flatten().Do().Visit(func(info *resource.Info, err error) error {
		if err != nil {
			return err
		}
		kind := info.Object.GetObjectKind().GroupVersionKind()
		if kind.GroupKind() != v1alpha1.GroupVersion.WithKind("Rule").GroupKind() {
			return nil
		}
		found = true
		compiled, err := compile(info)
		if err != nil {
			return fmt.Errorf("%s: rule %s is not accepted: %w", info.Source, info.Name, err)
		}
		rules = append(rules, compiled)
		return nil
	})
	if err == nil && !found {
		return nil, fmt.Errorf("%s: there is no Rule of %s", strings.Join(files, ", "), v1alpha1.GroupVersion)
	}
	return rules, err
}

// compile compiles one Rule.
func compile(info *resource.Info) (testedRule, error) {
	document, err := json.Marshal(info.Object)
	if err != nil {
		return testedRule{}, err
	}
	declared := &v1alpha1.Rule{}
	if err := decodeStrictly(document, declared); err != nil {
		return testedRule{}, err
	}
	return compileRule(declared)
}

// decodeStrictly decodes a JSON document as kubectl apply has it done: an unknown field is an error.
func decodeStrictly(document []byte, into any) error {
	strict, err := kjson.UnmarshalStrict(document, into)
	return errors.Join(append(strict, err)...)
}

// compileRule compiles a Rule, and says what is wrong with it: what its condition Accepted would, and of what the API server
// refuses the parts that testing depends on.
func compileRule(declared *v1alpha1.Rule) (testedRule, error) {
	compiled, err := rule.Compile(declared)
	if err := errors.Join(checkTrigger(&declared.Spec), checkActions(declared.Spec.Actions), err); err != nil {
		return testedRule{}, err
	}
	return testedRule{compiled, declared}, nil
}

func checkTrigger(spec *v1alpha1.RuleSpec) error {
	switch {
	case spec.Type != "" && spec.Type != v1alpha1.RuleStandard && spec.Type != v1alpha1.RuleBackstop:
		return fmt.Errorf("spec.type: %q is neither %s nor %s", spec.Type, v1alpha1.RuleStandard, v1alpha1.RuleBackstop)
	case spec.Trigger.Type == "":
		return fmt.Errorf("spec.trigger.type: required, such as %s", v1alpha1.TriggerWebhook)
	case spec.Trigger.Type == v1alpha1.TriggerWebhook && spec.Trigger.Parameters[v1alpha1.ParameterURL] == "":
		return fmt.Errorf("spec.trigger.parameters.url: %s needs the url of its webhook, such as url: github/pr", spec.Trigger.Type)
	default:
		return nil
	}
}

func checkActions(actions []v1alpha1.Action) error {
	var errs []error
	for i, a := range actions {
		members := 0
		for _, set := range []bool{a.Create != nil, a.Apply != nil, a.Patch != nil, a.Delete != nil, a.HTTP != nil, a.Dispatch != nil} {
			if set {
				members++
			}
		}
		if members != 1 {
			const message = "spec.actions[%d] (%s): set exactly one of create, apply, patch, delete, http, dispatch"
			errs = append(errs, fmt.Errorf(message, i, a.Name))
		}
	}
	return errors.Join(errs...)
}
