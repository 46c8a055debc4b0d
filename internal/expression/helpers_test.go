package expression

import (
	"os"
	"strings"
	"testing"
	"time"
)

// pullRequest is a trigger's payload: GitHub's webhook for a merged pull request, about 10 KiB.
func pullRequest(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/pull_request.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// scopeOf returns a scope with a payload.
func scopeOf(payload string) *Scope {
	return &Scope{
		Payload: NewPayload([]byte(payload)),
		Delivery: Delivery{
			ID: "01jd8x3q", Namespace: "ci", Webhook: "github-pr", URL: "github/pr", Sender: "10.0.0.7",
			Received: time.Date(2026, 2, 26, 19, 14, 43, 0, time.UTC),
		},
		Rule: Rule{Namespace: "ci", Name: "on-merge"},
	}
}

// job is a template of an object.
const job = `{
	"apiVersion": "batch/v1", "kind": "Job",
	"metadata": {"generateName": "build-", "labels": {"number": "pr-${trigger.body.number}"}},
	"spec": {
		"backoffLimit": "${size(trigger.body.pull_request.labels)}",
		"template": {"spec": {"restartPolicy": "Never", "containers": [
			{"name": "build", "image": "builder", "args": ["--sha", "${trigger.body.pull_request.head.sha}"]}
		]}}
	}
}`

// wantError fails the test unless an error says what it should: "" is no error.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Fatalf("error %q, want none", err)
	case want != "" && err == nil:
		t.Fatalf("no error, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Fatalf("error %q, want %q", err, want)
	case want != "" && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }):
		t.Fatalf("error %q is not one line", err)
	}
}
