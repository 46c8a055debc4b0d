package expression

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestATreeIsRendered(t *testing.T) {
	tree, err := CompileTree([]byte(job), "apiVersion", "kind", "metadata.namespace")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.Render(t.Context(), &Scope{Payload: NewPayload(pullRequest(t))})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"generateName": "build-", "labels": map[string]any{"number": "pr-1347"}},
		"spec": map[string]any{
			"backoffLimit": json.Number("2"),
			"template": map[string]any{"spec": map[string]any{"restartPolicy": "Never", "containers": []any{map[string]any{
				"name": "build", "image": "builder", "args": []any{"--sha", "6dcb09b5b57875f334f61aebed695e2e4193db5e"},
			}}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsRenderedBelongsToTheCaller(t *testing.T) {
	tree, err := CompileTree([]byte(`{"static": {"a": [1]}, "object": "${trigger.object}", "list": "${trigger.list}"}`))
	if err != nil {
		t.Fatal(err)
	}
	scope := scopeOf(values)
	first := render(t, tree, scope).(map[string]any)
	want := render(t, tree, scope)
	first["static"].(map[string]any)["a"].([]any)[0] = "changed"
	first["object"].(map[string]any)["a"] = "changed"
	first["list"].([]any)[2].(map[string]any)["x"] = "changed"
	if diff := cmp.Diff(want, render(t, tree, scope)); diff != "" {
		t.Error(diff)
	}
}

func render(t *testing.T, tree *Tree, scope *Scope) any {
	t.Helper()
	rendered, err := tree.Render(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

func TestWhatIsWrongWithATreeIsSaidWithItsPath(t *testing.T) {
	tests := map[string]struct{ document, want string }{
		"no JSON":                      {`{"a"`, "decoding JSON: unexpected EOF"},
		"more than one document":       {`{} {}`, "there is more after the value"},
		"a broken template":            {`{"spec": {"args": ["${trigger.}"]}}`, "spec.args[0]: ${trigger.}: 1:9: Syntax error"},
		"a document that is one":       {`"${x}"`, "${x}: 1:1: there is no variable x"},
		"an odd name on the way":       {`{"annotations": {"a.b/c": "${x}"}}`, `annotations["a.b/c"]: ${x}: 1:1`},
		"another language's template":  {`{"a": [{"b": "{{ x }}"}]}`, `a[0].b: "{{" begins no template here`},
		"a name that is a template":    {`{"a": {"${trigger.n}": 1}}`, `a["${trigger.n}"]: the name of a member cannot be a template`},
		"a kind that is a template":    {`{"kind": "${trigger.s}"}`, "kind: it cannot be a template; write the value itself"},
		"a part of what is literal":    {`{"metadata": {"namespace": ["${trigger.s}"]}}`, "metadata.namespace[0]: it cannot be a template"},
		"an escaped mark in a literal": {`{"kind": "$${x}"}`, "kind: it cannot be a template"},
		"more than 256 KiB":            {`["` + strings.Repeat("x", maxRendered) + `"]`, "at most 262144 are allowed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := CompileTree([]byte(test.document), "kind", "metadata.namespace")
			wantError(t, err, test.want)
		})
	}
}

func TestAllThatIsWrongWithATreeIsSaid(t *testing.T) {
	_, err := CompileTree([]byte(`{"a": "${x}", "b": "{{", "c": "${trigger}"}`))
	if err == nil {
		t.Fatal("no error")
	}
	want := "a: ${x}: 1:1: there is no variable x; there are trigger, delivery and rule\n" +
		`b: "{{" begins no template here; write ${…}, or ${"{{"} for these characters`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestATreeThatCannotBeRenderedSaysWhere(t *testing.T) {
	tree, err := CompileTree([]byte(`{"a": [{"b": "${trigger.missing}"}], "c": "${trigger.missing}"}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tree.Render(t.Context(), scopeOf(values))
	wantError(t, err, "a[0].b: ${trigger.missing}: trigger.missing: no such key: missing")
}

func TestATreeIsBounded(t *testing.T) {
	tree, err := CompileTree([]byte(`["${trigger}", "${trigger}", "${trigger}"]`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tree.Render(t.Context(), scopeOf(`{"a": "`+strings.Repeat("x", maxRendered/3)+`"}`))
	wantError(t, err, "[2]: ${trigger}: the result is larger than 256 KiB")
}

// Whatever a payload holds, it changes the leaves that show it and nothing else.
func FuzzTree(f *testing.F) {
	for _, seed := range []string{`x`, `"}, {"kind": "ClusterRole`, `${trigger.other}`, `{{ .Values }}`, "a: b\n- c", "!!python/object", "\x00", "\xff"} {
		f.Add(seed, seed)
	}
	tree, err := CompileTree([]byte(`{
		"kind": "ConfigMap", "metadata": {"namespace": "ci", "name": "a"},
		"data": {"alone": "${trigger.alone}", "within": "-${trigger.within}-", "static": "$${x}"}
	}`), "kind", "metadata.namespace")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, alone, within string) {
		if len(alone) > maxString || len(within)+2 > maxString {
			return
		}
		payload, err := json.Marshal(map[string]string{"alone": alone, "within": within})
		if err != nil {
			t.Fatal(err)
		}
		var sent map[string]string // what is no UTF-8 does not pass through JSON
		if err := json.Unmarshal(payload, &sent); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"kind": "ConfigMap", "metadata": map[string]any{"namespace": "ci", "name": "a"},
			"data": map[string]any{"alone": sent["alone"], "within": "-" + sent["within"] + "-", "static": "${x}"},
		}
		if diff := cmp.Diff(want, render(t, tree, scopeOf(string(payload)))); diff != "" {
			t.Error(diff)
		}
	})
}
