package main

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	namespace = "bench"
	// quietURL and recordedURL are the webhooks that the loads post to; each has one Rule, which does not match.
	quietURL    = "quiet"
	recordedURL = "recorded"
	// liveURL is the webhook of the Rules that become live.
	liveURL = "live"
)

// fixtures are the objects that are there from the start.
func fixtures() []client.Object {
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		credential(namespace),
		webhook(quietURL, &v1alpha1.WebhookHistory{Record: v1alpha1.RecordNone}),
		webhook(recordedURL, nil),
		webhook(liveURL, nil),
		unmatched(rule(quietURL, quietURL)),
		unmatched(rule(recordedURL, recordedURL)),
	}
}

// tenant returns a namespace with a webhook and a Rule that matches what is posted there, all of one name.
func tenant(name string, history *v1alpha1.WebhookHistory, actions ...v1alpha1.Action) []client.Object {
	w, r := webhook(name, history), rule(name, name)
	w.Namespace, r.Namespace = name, name
	r.Spec.Actions = actions
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, credential(name), w, r,
	}
}

// credential returns the token that every request carries.
func credential(namespace string) client.Object {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "sender", Labels: map[string]string{v1alpha1.LabelAuth: v1alpha1.AuthToken},
		},
		StringData: map[string]string{"token": token},
	}
}

// otherRules are the Rules beside which a Rule becomes live; each has a webhook of its own, which HookStorm keeps.
func otherRules(n int) []client.Object {
	rules := make([]client.Object, 0, n)
	for i := range n {
		name := fmt.Sprintf("other-%04d", i)
		rules = append(rules, unmatched(rule(name, "others/"+name)))
	}
	return rules
}

// webhook returns a Webhook with the namespace's tokens.
func webhook(url string, history *v1alpha1.WebhookHistory) *v1alpha1.Webhook {
	return &v1alpha1.Webhook{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: url},
		Spec: v1alpha1.WebhookSpec{
			URL: url, Auth: []v1alpha1.WebhookAuth{{Tokens: &v1alpha1.TokenAuth{}}}, History: history,
		},
	}
}

// rule returns a Rule that matches whatever is posted to a webhook.
func rule(name, url string) *v1alpha1.Rule {
	return &v1alpha1.Rule{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{
			Type:       v1alpha1.TriggerWebhook,
			Parameters: map[string]v1alpha1.ParameterValue{v1alpha1.ParameterURL: v1alpha1.ParameterValue(url)},
		}},
	}
}

// unmatched gives a Rule a criterion that what is posted does not meet.
func unmatched(r *v1alpha1.Rule) *v1alpha1.Rule {
	r.Spec.Criteria = map[string]v1alpha1.Criterion{
		"trigger.body.action": equals("closed"),
	}
	return r
}

// equals returns the criterion that a value is a text.
func equals(text string) v1alpha1.Criterion {
	return v1alpha1.Criterion{Type: "equals", Pattern: &apiextensionsv1.JSON{Raw: []byte(strconv.Quote(text))}}
}
