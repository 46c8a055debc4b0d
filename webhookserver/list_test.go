package webhookserver_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/webhookserver"
)

func TestOneWebhookIsShownInStackStormsShape(t *testing.T) {
	s := serve(t, hook("a/b", func(h *webhookserver.Hook) { h.Description = "Pull requests" }), generic())
	want := `{"id":"uid-a/b","ref":"team.a-b","uid":"trigger:team:a-b","name":"a-b","pack":"team","type":"core.st2.webhook",` +
		`"parameters":{"url":"a/b"},"description":"Pull requests"}`
	for _, path := range []string{"/v1/webhooks/a/b", "/v1/webhooks/a/b/", "/api/v1/webhooks/a/b", "/v1/namespaces/team/webhooks/a/b"} {
		got := s.send(request{method: "GET", path: path})
		if diff := cmp.Diff(want, got.body); got.status != 200 || diff != "" {
			t.Errorf("GET %s: %d (-want +got):\n%s", path, got.status, diff)
		}
	}
	for _, path := range []string{"/v1/webhooks/none", "/v1/webhooks/st2", "/v1/webhooks/a"} {
		if got := s.send(request{method: "GET", path: path}); got.status != 404 || got.fault(t) == "" {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
	}
}

func TestATokenListsTheWebhooksOfItsNamespace(t *testing.T) {
	other := func(h *webhookserver.Hook) { h.Namespace = "other" }
	s := serve(t, hook("b"), hook("a"), hook("b", other), hook("0", other), generic())
	for token, want := range map[string][]string{
		systemToken: {"other/0", "team/a", "other/b", "team/b"},
		teamToken:   {"team/a", "team/b"},
		otherToken:  {"other/0", "other/b"},
	} {
		got := s.send(request{method: "GET", path: "/v1/webhooks/", headers: []string{"X-Auth-Token: " + token}, anonymous: true})
		var list []struct {
			Pack       string
			Parameters struct{ URL string }
		}
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != 200 {
			t.Fatalf("%d %s: %v", got.status, got.body, err)
		}
		names := []string{}
		for _, one := range list {
			names = append(names, one.Pack+"/"+one.Parameters.URL)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", token, diff)
		}
	}
}

func TestAnEmptyListIsAList(t *testing.T) {
	s := serve(t)
	if got := s.send(request{method: "GET", path: "/v1/webhooks"}); got.status != 200 || got.body != "[]" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
