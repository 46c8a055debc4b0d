package action_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
)

func TestTheNameOfACreatedObjectBeginsAsItsTemplateSays(t *testing.T) {
	long := strings.Repeat("long-", 12)
	tests := map[string]struct {
		generateName, rule, action string
		want                       string // the name without its hash
	}{
		"generateName": {"build-", "on-push", "act", "build-"},
		"generateName without a hyphen at its end":    {"build", "on-push", "act", "build"},
		"no generateName":                             {"", "on-push", "act", "on-push-act-"},
		"a generateName that is too long":             {long, "on-push", "act", long[:42]},
		"names of Rule and action that are too long":  {"", strings.Repeat("r", 63), "act", strings.Repeat("r", 41) + "-"},
		"a cut that leaves a hyphen":                  {"", strings.Repeat("r", 40), "act", strings.Repeat("r", 40) + "-"},
		"characters that no name has":                 {"Ünïcode/Build_", "on-push", "act", "n-code-build-"},
		"nothing that a name has":                     {"///", "on-push", "act", "on-push-act-"},
		"a Rule's name with dots":                     {"", "on.push", "act", "on-push-act-"},
		"a generateName that a payload made hostile ": {"../../x\n", "on-push", "act", "x-"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			task := aTask(v1alpha1.Action{Name: test.action})
			task.Rule = test.rule
			got := task.ObjectName(test.generateName)
			if prefix := got[:len(got)-10]; prefix != test.want {
				t.Errorf("the name %q begins with %q, want %q", got, prefix, test.want)
			}
			if problems := validation.IsDNS1123Label(got); len(problems) > 0 || len(got) > 52 {
				t.Errorf("the name %q has %d characters: %v", got, len(got), problems)
			}
		})
	}
}

func TestTheNameOfACreatedObjectIsThatOfOneActionOfOneDelivery(t *testing.T) {
	name := func(change func(*action.Task)) string {
		task := aTask(v1alpha1.Action{Name: "act"})
		change(task)
		return task.ObjectName("x-")
	}
	same := name(func(*action.Task) {})
	if again := name(func(task *action.Task) { task.Action.HTTP = &v1alpha1.HTTPAction{} }); again != same {
		t.Errorf("the name is %q, and %q the second time", same, again)
	}
	others := map[string]func(*action.Task){
		"another delivery": func(task *action.Task) { task.DeliveryID = "01k0a8yv5n9m3c7q2x4r6t8w20" },
		"another Rule":     func(task *action.Task) { task.RuleUID = "7e1c9a52-4f6b-4d0e-9a53-5d1f6a2b8c45" },
		"another action":   func(task *action.Task) { task.Action.Name = "act2" },
	}
	for what, change := range others {
		if other := name(change); other == same {
			t.Errorf("%s has the same name, %q", what, other)
		}
	}
}

// Names outlive a version of HookStorm: what was created before an upgrade is found after it.
func TestTheNameOfACreatedObjectDoesNotChange(t *testing.T) {
	if got, want := aTask(v1alpha1.Action{}).ObjectName(""), "on-push-act-qvqgfkxgxy"; got != want {
		t.Errorf("the name is %q, want %q", got, want)
	}
}
