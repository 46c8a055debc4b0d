package webhookserver_test

import (
	"net/http"
	"testing"

	"github.com/hookstorm/hookstorm/webhookserver"
)

// TestTheSameIsTakenOnce sends pairs of requests that are the same or not.
func TestTheSameIsTakenOnce(t *testing.T) {
	expression, err := webhookserver.ByExpression("trigger.body.id")
	if err != nil {
		t.Fatal(err)
	}
	header, err := webhookserver.ByHeader("x-id")
	if err != nil {
		t.Fatal(err)
	}
	by := func(d *webhookserver.Deduplication) func(*webhookserver.Hook) {
		return func(h *webhookserver.Hook) { h.Deduplicate = d }
	}
	s := serve(t,
		hook("signed", signedBy(t, github(signingKey)), by(webhookserver.BySignedContent())),
		hook("signed2", signedBy(t, github(signingKey)), by(webhookserver.BySignedContent())),
		hook("header", by(header)),
		hook("value", by(expression)),
		hook("every"))
	signed := func(path, body, id string) request {
		return request{path: path, anonymous: true, body: body, headers: []string{hubSignature(signingKey, body), "X-Id: " + id}}
	}
	plain := func(path, body, id string) request {
		return request{path: path, body: body, headers: []string{"X-Id: " + id}}
	}
	for name, c := range map[string]struct {
		first, second request
		same          bool
	}{
		"signed content":                        {signed("signed", `[1]`, "a"), signed("signed", `[1]`, "a"), true},
		"signed content with another header":    {signed("signed", `[2]`, "a"), signed("signed", `[2]`, "b"), true},
		"other signed content":                  {signed("signed", `[3]`, "a"), signed("signed", `[4]`, "a"), false},
		"signed content of another webhook":     {signed("signed", `[5]`, "a"), signed("signed2", `[5]`, "a"), false},
		"a header":                              {plain("header", `[1]`, "a"), plain("header", `[2]`, "a"), true},
		"another header":                        {plain("header", `[1]`, "b"), plain("header", `[1]`, "c"), false},
		"no header":                             {plain("header", `[1]`, ""), plain("header", `[1]`, ""), false},
		"a value":                               {plain("value", `{"id": 12345678901234567890}`, "a"), plain("value", `{"id": 12345678901234567890, "b": 1}`, "b"), true},
		"another value":                         {plain("value", `{"id": 1}`, "a"), plain("value", `{"id": "1"}`, "a"), false},
		"no value":                              {plain("value", `{}`, "a"), plain("value", `{}`, "a"), false},
		"a value that is null":                  {plain("value", `{"id": null}`, "a"), plain("value", `{"id": null}`, "a"), false},
		"where nobody asked to look what it is": {plain("every", `[1]`, "a"), plain("every", `[1]`, "a"), false},
	} {
		t.Run(name, func(t *testing.T) {
			c.first.path, c.second.path = "/v1/webhooks/"+c.first.path, "/v1/webhooks/"+c.second.path
			first, second := s.send(c.first), s.send(c.second)
			if first.status != http.StatusAccepted || second.status != http.StatusAccepted {
				t.Fatalf("got %d %s, %d %s", first.status, first.body, second.status, second.body)
			}
			same := first.header.Get("X-Delivery-Id") == second.header.Get("X-Delivery-Id")
			if same != c.same || len(s.publisher.take()) != map[bool]int{true: 1, false: 2}[c.same] {
				t.Errorf("the same: %v, want %v", same, c.same)
			}
			if told := second.header.Get("X-Delivery-Duplicate"); (told == "true") != c.same || first.header.Get("X-Delivery-Duplicate") != "" {
				t.Errorf("X-Delivery-Duplicate: %q, then %q", first.header.Get("X-Delivery-Duplicate"), told)
			}
		})
	}
}

func TestACredentialMakesNothingTheSame(t *testing.T) {
	for _, name := range []string{"X-Hub-Signature-256", "x-gitlab-token", "Authorization", "X-Auth-Token", "cookie"} {
		if _, err := webhookserver.ByHeader(name); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
