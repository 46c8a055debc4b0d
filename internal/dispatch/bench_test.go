package dispatch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// BenchmarkMatch is what a delivery costs of which nothing is to be done and nothing recorded.
func BenchmarkMatch(b *testing.B) {
	url := map[string]string{v1alpha1.ParameterURL: "push"}
	webhook := rule.Webhook{
		Key: rule.Key{Namespace: "ci", URL: "push"}, Name: "push", History: &v1alpha1.WebhookHistory{Record: v1alpha1.RecordNone},
	}
	shared := webhook
	shared.Sees = func(string) bool { return true }
	for name, book := range map[string]*rule.Book{
		"no rule":              rule.NewBook(nil, []rule.Webhook{webhook}, 1),
		"one rule":             rule.NewBook(unmet(b, 1), []rule.Webhook{webhook}, 1),
		"a hundred rules":      rule.NewBook(unmet(b, 100), []rule.Webhook{webhook}, 1),
		"one that all may see": rule.NewBook(unmet(b, 1), []rule.Webhook{shared}, 1),
	} {
		b.Run(name, func(b *testing.B) {
			d := &Dispatcher{Observer: &bench{}, Log: logr.Discard(), Now: time.Now}
			accepted := &delivery.Delivery{
				ID: "01jxyz", Namespace: "ci", Webhook: "push", URL: "push", Trigger: v1alpha1.TriggerWebhook, Parameters: url,
				Received: noon, Payload: []byte(`{"body":{"action":"closed","number":5}}`),
			}
			ctx, cancel := context.WithCancel(b.Context()) // as that of Start
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if records := d.match(ctx, book, accepted); len(records) > 0 {
					b.Fatalf("it is to be recorded: %+v", records[0])
				}
			}
		})
	}
}

// unmet returns rules of the url "push" that do not match.
func unmet(b *testing.B, n int) []*rule.Rule {
	b.Helper()
	rules := make([]*rule.Rule, n)
	for i := range rules {
		rules[i] = compile(b, fmt.Sprintf("rule-%d", i), v1alpha1.RuleSpec{
			Trigger: v1alpha1.RuleTrigger{
				Type: v1alpha1.TriggerWebhook, Parameters: map[string]v1alpha1.ParameterValue{v1alpha1.ParameterURL: "push"},
			},
			Criteria: map[string]v1alpha1.Criterion{
				"trigger.body.action": {Type: "equals", Pattern: &apiextensionsv1.JSON{Raw: []byte(`"opened"`)}},
			},
		})
	}
	return rules
}
