package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

var update = flag.Bool("update", false, "write what the golden files should hold")

// ran is what a command line did.
type ran struct {
	Code        int
	Out, ErrOut string
}

func runWith(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	streams, in, out, errOut := genericiooptions.NewTestIOStreams()
	in.WriteString(stdin)
	code := run(t.Context(), args, streams)
	return ran{code, out.String(), errOut.String()}
}

// TestCommands runs command lines. What they write is in testdata, in a file with the name of the test.
func TestCommands(t *testing.T) {
	tests := map[string]struct {
		args string
		code int
	}{
		"a rule that matches":                     {"test -f testdata/rule.yaml --body testdata/body.json --header X-GitHub-Event:pull_request", codeYes},
		"a rule that matches, json":               {"test -f testdata/rule.yaml --body testdata/body.json --header X-GitHub-Event:pull_request -o json", codeYes},
		"a criterion that is not met":             {"test -f testdata/rule.yaml --body testdata/body.json --header X-GitHub-Event:push", codeNo},
		"a criterion that is not met, json":       {"test -f testdata/rule.yaml --body testdata/body.json --header X-GitHub-Event:push -o json", codeNo},
		"an action that cannot be rendered":       {"test -f testdata/rule.yaml --payload testdata/no_title.json", codeError},
		"an action that cannot be rendered, json": {"test -f testdata/rule.yaml --payload testdata/no_title.json -o json", codeError},
		"another url":                             {"test -f testdata/rule.yaml --body testdata/body.json --parameter url=github/issues", codeNo},
		"the url with slashes":                    {"test -f testdata/rule.yaml --body testdata/body.json --header X-GitHub-Event:pull_request --parameter url=github/pr/ -o json", codeYes},
		"a standard rule before a backstop":       {"test -f testdata/several.yaml --trigger mypack.mytrigger --parameter color=red --payload testdata/count.json", codeYes},
		"a backstop after a failure, json":        {"test -f testdata/several.yaml --trigger mypack.mytrigger --parameter color=red --payload testdata/word.json -o json", codeYes},
		"no rule for the trigger":                 {"test -f testdata/several.yaml --trigger mypack.none --payload testdata/count.json", codeNo},
		"cases":                                   {"test --cases testdata/cases.jsonl", codeYes},
		"no such file":                            {"test -f testdata/none.yaml --payload testdata/count.json", codeError},
		"no such payload":                         {"test -f testdata/rule.yaml --payload testdata/none.json", codeError},
		"no such cases":                           {"test --cases testdata/none.jsonl", codeError},
		"a payload that is no json":               {"test -f testdata/rule.yaml --payload testdata/rule.yaml", codeError},
		"a file without rules":                    {"test -f testdata/webhook.yaml --payload testdata/count.json", codeError},
		"nothing to test against":                 {"test -f testdata/rule.yaml", codeError},
		"nothing to test":                         {"test --payload testdata/count.json", codeError},
		"a payload and a body":                    {"test -f testdata/rule.yaml --payload testdata/count.json --body testdata/count.json", codeError},
		"a body for another trigger":              {"test -f testdata/rule.yaml --trigger a.b --body testdata/count.json", codeError},
		"headers without a body":                  {"test -f testdata/rule.yaml --payload testdata/count.json --header A:b", codeError},
		"a header without a value":                {"test -f testdata/rule.yaml --body testdata/count.json --header A", codeError},
		"an unknown output":                       {"test -f testdata/rule.yaml --payload testdata/count.json -o yaml", codeError},
		"no kubeconfig":                           {"test -f testdata/rule.yaml --last 3 --kubeconfig testdata/none", codeError},
		"rules that are converted":                {"convert -f testdata/packs/rules", codeYes},
		"rules that are converted in part":        {"convert -f testdata/packs/rules/deploy.yaml -f testdata/packs/incomplete.yaml", codeNo},
		"a file that is no yaml":                  {"convert -f testdata/packs/broken.yaml -f testdata/packs/incomplete.yaml", codeError},
		"no such rules":                           {"convert -f testdata/none", codeError},
		"no rules named":                          {"convert", codeError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := runWith(t, "", strings.Fields(test.args)...)
			if got.Code != test.code {
				t.Errorf("exit code %d, want %d", got.Code, test.code)
			}
			file := filepath.Join("testdata", "golden", strings.NewReplacer(" ", "-", ",", "").Replace(name)+".txt")
			golden(t, file, "$ kubectl hookstorm "+test.args+"\n"+got.Out+mark(got.ErrOut))
		})
	}
}

// mark tells the lines of the standard error from others.
func mark(errOut string) string {
	var b strings.Builder
	for line := range strings.Lines(errOut) {
		b.WriteString("! " + line)
	}
	return b.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-update writes it): %s", file, diff)
	}
}

func TestTheStandardInputIsReadWhereItIsNamed(t *testing.T) {
	const (
		rule = "{apiVersion: hookstorm.dev/v1alpha1, kind: Rule, metadata: {name: r}, spec: {trigger: {type: t}}}\n"
		old  = "{name: r, enabled: true, trigger: {type: t}, action: {ref: core.inject_trigger, parameters: {trigger: u}}}\n"
	)
	tests := map[string]struct {
		args, stdin string
		want        ran
	}{
		"a rule":  {"test -f - --payload testdata/count.json", rule, ran{codeYes, "r: MATCHES\nNoCriteria\n", ""}},
		"payload": {"test -f testdata/several.yaml --payload - -o json", `{"count": 0}`, ran{codeYes, lines(t, `{"rule":"else","matched":true,"reason":"NoCriteria","message":"","actions":[]}`, `{"rule":"red","matched":false,"reason":"CriterionNotMet","message":"trigger.count: gt 1: saw 0","actions":[]}`, `{"rule":"other","matched":true,"reason":"NoCriteria","message":"","actions":[]}`), ""}},
		"cases":   {"test --cases -", `{"id":1,"rule":{"trigger":{"type":"t"}}}`, ran{codeYes, `{"id":1,"matched":true,"message":"NoCriteria"}` + "\n", ""}},
		"cases that end early": {"test --cases -", "{\"id\":1,\"rule\":{\"trigger\":{\"type\":\"t\"}}}\n{\"id\":2", ran{codeError,
			`{"id":1,"matched":true,"message":"NoCriteria"}` + "\n", "error: line 2 of the cases: unexpected end of JSON input\n"}},
		"rules to convert": {"convert -f -", old, ran{codeYes, `---
# StackStorm's rule r of -
apiVersion: hookstorm.dev/v1alpha1
kind: Rule
metadata:
  name: r
spec:
  enabled: true
  trigger:
    type: t
  actions:
  - name: core-inject-trigger
    dispatch:
      trigger: u
`, ""}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, runWith(t, test.stdin, strings.Fields(test.args)...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func lines(t *testing.T, all ...string) string {
	t.Helper()
	return strings.Join(all, "\n") + "\n"
}

func TestARuleThatIsNotAcceptedSaysWhy(t *testing.T) {
	const rule = "apiVersion: hookstorm.dev/v1alpha1\nkind: Rule\nmetadata: {name: r}\nspec: "
	tests := map[string]struct{ spec, want string }{
		"an unknown field":  {"{trigger: {type: t}, conditions: {}}", `unknown field "spec.conditions"`},
		"a wrong type":      {"{trigger: {type: [t]}}", "spec.trigger.type"},
		"a wrong operator":  {"{trigger: {type: t}, criteria: {trigger.a: {type: same, pattern: 1}}}", `spec.criteria["trigger.a"]: type: unknown operator "same"`},
		"a wrong condition": {"{trigger: {type: t}, when: [trigger.a.]}", "spec.when[0]: "},
		"a wrong template":  {"{trigger: {type: t}, actions: [{name: a, dispatch: {trigger: '${trigger.}'}}]}", "spec.actions[0] (a): dispatch.trigger: "},
		"no action":         {"{trigger: {type: t}, actions: [{name: a}]}", "spec.actions[0] (a): set exactly one of"},
		"no url":            {"{trigger: {type: core.st2.webhook}}", "spec.trigger.parameters.url: "},
		"no trigger":        {"{}", "spec.trigger.type: required"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := runWith(t, rule+test.spec, "test", "-f", "-", "--payload", "testdata/count.json")
			if got.Code != codeError || got.Out != "" || !strings.Contains(got.ErrOut, "rule r is not accepted: ") || !strings.Contains(got.ErrOut, test.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestARuleThatIsNotAcceptedHidesNoOther(t *testing.T) {
	const rules = `{apiVersion: hookstorm.dev/v1alpha1, kind: Rule, metadata: {name: bad}, spec: {}}
---
{apiVersion: hookstorm.dev/v1alpha1, kind: Rule, metadata: {name: good}, spec: {trigger: {type: t}}}
`
	got := runWith(t, rules, "test", "-f", "-", "--payload", "testdata/count.json")
	want := ran{codeError, "good: MATCHES\nNoCriteria\n", "error: the standard input: rule bad is not accepted: " +
		"spec.trigger.type: required, such as core.st2.webhook\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
