package rule

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

func TestTargets(t *testing.T) {
	hookRule := func(namespace, name, url string) *Rule {
		return compiled(t, namespace, name, v1alpha1.TriggerWebhook, map[string]v1alpha1.ParameterValue{"url": v1alpha1.ParameterValue(url)})
	}
	book := NewBook([]*Rule{
		hookRule("ci", "second", "/push/"),
		hookRule("ci", "first", "push"),
		hookRule("ci", "other", "pull"),
		hookRule("dev", "away", "push"),
		compiled(t, "ci", "plain", "mypack.mytrigger", nil),
		compiled(t, "dev", "plain", "mypack.mytrigger", nil),
		compiled(t, "dev", "picky", "mypack.mytrigger", map[string]v1alpha1.ParameterValue{"color": "red"}),
	}, nil, 1)
	own := Webhook{Key: Key{Namespace: "ci", URL: "push"}}
	all := Webhook{Key: Key{Namespace: "hookstorm-system", URL: "st2"}, Sees: func(string) bool { return true }}
	dev := Webhook{Key: all.Key, Sees: func(namespace string) bool { return namespace == "dev" }}

	tests := map[string]struct {
		webhook    Webhook
		trigger    string
		parameters map[string]string
		want       map[string][]string
	}{
		"rules of the url, in the order of their names, whatever slashes they wrote": {own, v1alpha1.TriggerWebhook, map[string]string{"url": "push"}, map[string][]string{"ci": {"first", "second"}}},
		"no rule: its own namespace":                               {own, "no.such", nil, map[string][]string{"ci": nil}},
		"every namespace that has a rule":                          {all, "mypack.mytrigger", nil, map[string][]string{"ci": {"plain"}, "dev": {"plain"}}},
		"parameters must be equal":                                 {dev, "mypack.mytrigger", map[string]string{"color": "red"}, map[string][]string{"dev": {"picky", "plain"}}},
		"a namespace that may not see it gets nothing":             {dev, "mypack.mytrigger", nil, map[string][]string{"dev": {"plain"}}},
		"none that may see it has a rule: the webhook's own, bare": {all, "no.such", nil, map[string][]string{"hookstorm-system": nil}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := map[string][]string{}
			for _, target := range book.Targets(test.webhook, test.trigger, test.parameters) {
				got[target.Namespace] = nil
				for _, r := range target.Rules {
					got[target.Namespace] = append(got[target.Namespace], r.Name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAReaderWaitsForTheBookThatItsDeliveryNeeds(t *testing.T) {
	books := NewBooks()
	found := make(chan *Book)
	go func() {
		book, _ := books.At(t.Context(), 7, time.Hour)
		found <- book
	}()
	books.Publish(NewBook(nil, nil, 6))
	newer := NewBook(nil, nil, 7)
	books.Publish(newer)
	if got := <-found; got != newer {
		t.Errorf("got version %d", got.version)
	}
}

func TestAVersionIsWaitedForOnce(t *testing.T) {
	books := NewBooks()
	old := NewBook(nil, nil, 6)
	books.Publish(old)
	for _, patience := range []time.Duration{time.Millisecond, time.Hour} {
		if got, err := books.At(t.Context(), 7, patience); got != old || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewBooks().At(ctx, 0, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func compiled(t *testing.T, namespace, name, trigger string, parameters map[string]v1alpha1.ParameterValue) *Rule {
	t.Helper()
	r := compiledSpec(t, name, v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{Type: trigger, Parameters: parameters}})
	r.Namespace = namespace
	return r
}
