package convert

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

var update = flag.Bool("update", false, "write what the golden files should hold")

// TestRules converts each file of testdata/rules. Beside it stand the Rules that it should become, and the problems.
func TestRules(t *testing.T) {
	files, err := filepath.Glob("testdata/rules/*")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		base := strings.TrimSuffix(file, filepath.Ext(file))
		if strings.HasSuffix(base, ".golden") || strings.HasSuffix(base, ".problems") {
			continue
		}
		checked++
		t.Run(filepath.Base(file), func(t *testing.T) {
			documents, problems := convertFile(t, New(), file)
			golden(t, base+".golden.yaml", "---\n"+strings.Join(documents, "---\n"))
			golden(t, base+".problems.txt", problems)
			for _, document := range documents {
				if err := acceptable(t, document); err != nil {
					t.Errorf("%v\n%s", err, document)
				}
			}
		})
	}
	if checked < 10 {
		t.Errorf("only %d files of rules were found", checked)
	}
}

func convertFile(t *testing.T, c *Converter, file string) (documents []string, problems string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return convertText(t, c, filepath.Base(file), string(content))
}

func convertText(t *testing.T, c *Converter, name, content string) (documents []string, problems string) {
	t.Helper()
	converted, found, err := c.File(name, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range converted {
		documents = append(documents, string(document))
	}
	for _, problem := range found {
		problems += problem.String() + "\n"
	}
	return documents, problems
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

// decodeRule decodes a document as kubectl apply does, and compiles it.
func decodeRule(document string) (*v1alpha1.Rule, *rule.Rule, error) {
	declared := &v1alpha1.Rule{}
	if err := yaml.UnmarshalStrict([]byte(document), declared, yaml.DisallowUnknownFields); err != nil {
		return nil, nil, err
	}
	compiled, err := rule.Compile(declared)
	return declared, compiled, err
}

// TestPatternsMatchAsRecorded converts criteria that StackStorm itself evaluated, and compares what the Rules make of the
// payloads. What cannot be turned is not compared.
func TestPatternsMatchAsRecorded(t *testing.T) {
	content, err := os.ReadFile("testdata/recorded/patterns.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		ID                string
		Payload, Criteria json.RawMessage
		Expect            any // true, false or "error"
	}
	if err := json.Unmarshal(content, &cases); err != nil {
		t.Fatal(err)
	}
	// StackStorm finds the method items of Python's dict where HookStorm finds the member.
	deviations := map[string]bool{"rule-0282": true}
	compared := 0
	for _, c := range cases {
		source := `{"name": "recorded", "enabled": true, "trigger": {"type": "t"}, "criteria": ` + string(c.Criteria) +
			`, "action": {"ref": "core.inject_trigger", "parameters": {"trigger": "u"}}}`
		documents, problems := convertText(t, New(), "recorded.json", source)
		if problems != "" {
			continue
		}
		compared++
		_, compiled, err := decodeRule(documents[0])
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		outcome := compiled.Evaluate(t.Context(), rule.NewInput(c.Payload, rule.Delivery{}, time.Now()))
		matched := outcome.Result == v1alpha1.ResultMatched
		if want := c.Expect == true; matched != want && !deviations[c.ID] {
			t.Errorf("%s: got %s (%s), StackStorm %v\n%s", c.ID, outcome.Result, outcome.Message, c.Expect, documents[0])
		}
	}
	if compared < 24 {
		t.Errorf("only %d of %d cases were compared", compared, len(cases))
	}
}

func TestActionsDoWhatStackStormsDo(t *testing.T) {
	payload := `{"body": {"id": 7, "kind": "web", "service": "s", "version": "1.2", "items": [{"name": "n"}], "price": 5,
		"namespace": "ci", "odd name": {"x": {"in": true}}}}`
	documents, _ := convertFile(t, New(), "testdata/rules/chain.yaml")
	var dispatched []string
	for _, document := range documents {
		_, compiled, err := decodeRule(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range compiled.Render(t.Context(), rule.NewInput([]byte(payload), rule.Delivery{}, time.Now())) {
			if action.Err != nil {
				t.Fatal(action.Err)
			}
			dispatched = append(dispatched, action.Action.Dispatch.Trigger+" "+string(action.Action.Dispatch.Payload.Raw))
		}
	}
	want := []string{
		`mypack.deployed {"first":"n","fixed":[1,2.5,true,null,"on",10],"items":[{"name":"n"}],"namespace":"ci","odd":true,` +
			`"price":"$5","script":"echo ${HOME}","service":"s","version":"v1.2"}`,
		`mypack.web {"id":7,"items":[{"name":"n"}],"kind":"web","namespace":"ci","odd name":{"x":{"in":true}},"price":5,` +
			`"service":"s","version":"1.2"}`,
	}
	if diff := cmp.Diff(want, dispatched); diff != "" {
		t.Error(diff)
	}
}

func TestNamesStayApartAcrossFiles(t *testing.T) {
	const source = "{name: %, pack: p, enabled: true, trigger: {type: t}, action: {ref: core.inject_trigger, parameters: {trigger: u}}}"
	c := New()
	var names []string
	var noted string
	for _, name := range []string{"a_b", "a.b", "a_b", strings.Repeat("x", 70), "東京"} {
		documents, problems := convertText(t, c, name+".yaml", strings.Replace(source, "%", name, 1))
		declared, _, err := decodeRule(documents[0])
		if err != nil {
			t.Fatal(err)
		}
		names, noted = append(names, declared.Name), noted+problems
	}
	want := []string{"p-a-b", "p-a-b-f0566636", "p-a-b-27c89a7a", "p-" + strings.Repeat("x", 52) + "-26e3b49e", "p"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if want := "a_b.yaml:1: rule p.a_b: name: there is a rule p.a_b already, and StackStorm has one of a name; leave one of them out\n"; noted != want {
		t.Errorf("problems: %s", cmp.Diff(want, noted))
	}
}

func TestWhatIsWrongWithARuleIsNamed(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"a webhook without a url": {
			`trigger: {type: core.st2.webhook}`,
			"x.yaml:1: rule r: trigger.parameters.url: required; without it, the Rule is not accepted\n",
		},
		"a trigger without a type": {
			`trigger: {parameters: {a: b}}`,
			"x.yaml:1: rule r: trigger.type: required; write the trigger's name, such as core.st2.webhook\n",
		},
		"a type that there is not": {
			`trigger: {type: t}, type: {ref: sometimes}`,
			"x.yaml:1: rule r: type.ref: \"sometimes\" is no type of rule; there are standard and backstop\n",
		},
		"a field that there is not": {
			`trigger: {type: t}, when: {}`,
			"x.yaml:1: rule r: when: no field of a rule\n",
		},
		"criteria that are a list": {
			`trigger: {type: t}, criteria: [a]`,
			"x.yaml:1: rule r: criteria: write a mapping from paths to criteria\n",
		},
		"a criterion that is a text": {
			`trigger: {type: t}, criteria: {trigger.a: b}`,
			"x.yaml:1: rule r: criteria[\"trigger.a\"]: write a mapping with type and pattern\n",
		},
		"enabled is no boolean": {
			`trigger: {type: t}, enabled: maybe`,
			"x.yaml:1: rule r: enabled: write true or false\n",
		},
		"a long description": {
			`trigger: {type: t}, description: ` + strings.Repeat("é", 1025),
			"x.yaml:1: rule r: description: cut to 1024 characters\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			action := "action: {ref: core.inject_trigger, parameters: {trigger: u}}"
			_, problems := convertText(t, New(), "x.yaml", "{name: r, "+action+", "+test.source+"}")
			if diff := cmp.Diff(test.want, problems); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestContentThatCannotBeRead(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for _, pair := range []string{"ba", "cb", "dc", "ed", "fe"} {
		bomb += pair[:1] + ": &" + pair[:1] + " [" + strings.Repeat("*"+pair[1:]+", ", 10) + "]\n"
	}
	tests := map[string]string{
		"no YAML":               "name: [",
		"aliases without bound": bomb,
		"an alias of itself":    "a: &a [*a]",
		"a list as a key":       "? [a]\n: b",
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			if documents, _, err := New().File("x.yaml", []byte(content)); err == nil {
				t.Errorf("accepted: %s", bytes.Join(documents, nil))
			}
		})
	}
}

// FuzzFile makes sure that whatever is read becomes Rules that are accepted, unless a problem says why not.
func FuzzFile(f *testing.F) {
	files, err := filepath.Glob("testdata/rules/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		documents, problems, err := New().File("x.yaml", content)
		if err != nil || len(problems) > 0 {
			return
		}
		for _, document := range documents {
			if _, _, err := decodeRule(string(document)); err != nil {
				t.Errorf("%v\n%s", err, document)
			}
		}
	})
}
