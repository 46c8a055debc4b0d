package webhookserver_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver"
)

func compile(t *testing.T, document string) *webhookserver.Schema {
	t.Helper()
	schema, err := webhookserver.CompileSchema([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestTheGenericWebhook(t *testing.T) {
	s := serve(t, generic(func(h *webhookserver.Hook) {
		h.TriggerSchemas = map[string]*webhookserver.Schema{
			"p.strict": compile(t, `{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}`),
			"p.free":   nil,
		}
	}))
	const failed = `Trigger payload validation failed and validation is enabled, not dispatching a trigger "p.strict": `
	for _, c := range []struct {
		name, body, fault, trigger, payload string
	}{
		{"the payload goes as it was sent", `{"trigger": "a.b", "payload": {"n" : 1.0}, "x": 1}`, "", "a.b", `{"n" : 1.0}`},
		{"any trigger is taken", `{"trigger": "no pack", "payload": {}}`, "", "no pack", `{}`},
		{"no payload", `{"trigger": "p.free"}`, "", "p.free", ``},
		{"a payload of null is none", `{"trigger": "p.free", "payload": null}`, "", "p.free", ``},
		{"a name in another case is another member", `{"trigger": "a", "Trigger": "b"}`, "", "a", ``},
		{"a payload that fits", `{"trigger": "p.strict", "payload": {"n": 12345678901234567890}}`, "", "p.strict", `{"n": 12345678901234567890}`},
		{"a payload that does not fit", `{"trigger": "p.strict", "payload": {"n": "x"}}`, failed + `/n: 'x' is not of type 'integer'`, "", ""},
		{"a payload without what is required", `{"trigger": "p.strict", "payload": {}}`, failed + `'n' is a required property`, "", ""},
		{"no payload where one is described", `{"trigger": "p.strict"}`, failed + `None is not of type 'object'`, "", ""},
		{"a payload that is no object", `{"trigger": "p.strict", "payload": "x"}`, failed + `'x' is not of type 'object'`, "", ""},
		{"a list as payload of any trigger", `{"trigger": "p.free", "payload": []}`, `dispatching a trigger "p.free": [] is not of type 'object'`, "", ""},
		{"an array", `[]`, "Webhook body needs to be an object, got: array", "", ""},
		{"two triggers", `{"trigger": "a", "trigger": "b"}`, `Failed to parse request body: duplicate name "trigger" at byte 17`, "", ""},
		{"no trigger", `{"payload": {}}`, "Trigger not specified.", "", ""},
		{"an empty trigger", `{"trigger": ""}`, "Trigger not specified.", "", ""},
		{"null as trigger", `{"trigger": null}`, "Trigger not specified.", "", ""},
		{"a number as trigger", `{"trigger": 1}`, "Trigger needs to be a string.", "", ""},
		{"the trigger of custom webhooks", `{"trigger": "core.st2.webhook"}`, "comes from webhooks only", "", ""},
		{"a trigger with control characters", `{"trigger": "a\u001b[1m"}`, "Trigger has control characters.", "", ""},
		{"a trigger that is too long", `{"trigger": "` + strings.Repeat("x", 254) + `"}`, "Trigger is too long: at most 253 characters.", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.send(request{path: "/v1/webhooks/st2", body: c.body})
			deliveries := s.publisher.take()
			if c.fault != "" {
				if got.status != 400 || !strings.Contains(got.fault(t), c.fault) || len(deliveries) != 0 {
					t.Errorf("got %d %s, want 400 %s", got.status, got.body, c.fault)
				}
				return
			}
			if got.status != 202 || got.body != c.body {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			d := deliveries[0]
			want := delivery.Delivery{Namespace: system, Webhook: "st2", URL: "st2", Trigger: c.trigger, ID: d.ID, TraceTag: d.TraceTag,
				Sender: "127.0.0.1", Received: now, RuleVersion: 42}
			if c.payload != "" {
				want.Payload = []byte(c.payload)
			}
			if diff := cmp.Diff(want, d); diff != "" {
				t.Errorf("delivery (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKnownTriggersOnly(t *testing.T) {
	known := func(h *webhookserver.Hook) {
		h.KnownTriggers = map[string]bool{"of.rule": true}
		h.TriggerSchemas = map[string]*webhookserver.Schema{"of.type": nil}
	}
	s := serve(t, generic(known))
	for trigger, want := range map[string]int{"of.rule": 202, "of.type": 202, "of.nobody": 400} {
		got := s.send(request{path: "/v1/webhooks/st2", body: `{"trigger": "` + trigger + `"}`})
		if got.status != want {
			t.Errorf("%s: %d %s", trigger, got.status, got.body)
		}
		if want == 400 && !strings.Contains(got.fault(t), `: Trigger type with reference "of.nobody" doesn't exist`) {
			t.Errorf("%s: %s", trigger, got.body)
		}
	}
}

func TestAuditRecordsAViolation(t *testing.T) {
	audit := func(h *webhookserver.Hook) { h.Audit = true }
	number := compile(t, `{"type": "object", "properties": {"n": {"type": "integer"}}}`)
	s := serve(t,
		hook("git", audit, func(h *webhookserver.Hook) { h.Schema = number }),
		generic(audit, func(h *webhookserver.Hook) {
			h.TriggerSchemas, h.KnownTriggers = map[string]*webhookserver.Schema{"p.t": number}, map[string]bool{}
		}))
	for _, c := range []struct{ path, body, violation string }{
		{"/v1/webhooks/git", `{"n": 1}`, ""},
		{"/v1/webhooks/git", `{"n": "x"}`, "/n: 'x' is not of type 'integer'"},
		{"/v1/webhooks/st2", `{"trigger": "p.t", "payload": {"n": null}}`, "/n: None is not of type 'integer'"},
		{"/v1/webhooks/st2", `{"trigger": "p.none"}`, `Trigger type with reference "p.none" doesn't exist`},
	} {
		if got := s.send(request{path: c.path, body: c.body}); got.status != 202 {
			t.Errorf("%s: %d %s", c.body, got.status, got.body)
		}
		if diff := cmp.Diff(c.violation, s.publisher.take()[0].Violation); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
	}
}
