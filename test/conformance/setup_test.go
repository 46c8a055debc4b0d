package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// systemToken stands in where StackStorm asked for no credential.
const systemToken = "0123456789abcdef-conformance"

// setup is what StackStorm had registered.
type setup struct {
	Hooks []struct {
		URL string `json:"url"`
	} `json:"hooks"`
	TriggerTypes []struct {
		Ref           string         `json:"ref"`
		PayloadSchema map[string]any `json:"payload_schema"`
	} `json:"triggerTypes"`
	ValidateTriggerPayload *bool `json:"validateTriggerPayload"`
	Auth                   *struct {
		Tokens []struct {
			Token   string `json:"token"`
			Expired bool   `json:"expired"`
		} `json:"tokens"`
		APIKeys []struct {
			Key     string `json:"key"`
			Enabled *bool  `json:"enabled"`
		} `json:"apiKeys"`
	} `json:"auth"`
}

// arrangement is a setup in the cluster.
type arrangement struct {
	objects       []client.Object
	authenticated bool // the cases bring their own credentials
}

// bySetup groups cases by their setup, in order.
func bySetup(cases []*testCase) [][]*testCase {
	var groups [][]*testCase
	index := map[string]int{}
	for _, c := range cases {
		key := string(c.Setup)
		if _, ok := index[key]; !ok {
			index[key] = len(groups)
			groups = append(groups, nil)
		}
		groups[index[key]] = append(groups[index[key]], c)
	}
	return groups
}

// arrange applies a setup and waits until it is live.
func arrange(ctx context.Context, document json.RawMessage) *arrangement {
	GinkgoHelper()
	var s setup
	Expect(json.Unmarshal(document, &s)).To(Succeed())
	a := &arrangement{authenticated: s.Auth != nil}
	a.create(ctx, a.webhook(&s))
	for i, hook := range s.Hooks {
		a.create(ctx, &v1alpha1.Rule{ObjectMeta: named(fmt.Sprintf("hook-%d", i)), Spec: v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{
			Type: v1alpha1.TriggerWebhook, Parameters: map[string]v1alpha1.ParameterValue{"url": v1alpha1.ParameterValue(hook.URL)},
		}}})
	}
	for i, t := range s.TriggerTypes {
		spec := v1alpha1.TriggerTypeSpec{Type: t.Ref}
		if t.PayloadSchema != nil {
			schema, err := json.Marshal(modern(t.PayloadSchema))
			Expect(err).NotTo(HaveOccurred())
			spec.PayloadSchema = &apiextensionsv1.JSON{Raw: schema}
		}
		a.create(ctx, &v1alpha1.TriggerType{ObjectMeta: named(fmt.Sprintf("type-%d", i)), Spec: spec})
	}
	a.createTokens(ctx, &s)
	a.await(ctx)
	return a
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: system, Name: name} }

// webhook is the generic webhook, as strict as StackStorm is.
func (a *arrangement) webhook(s *setup) *v1alpha1.Webhook {
	w := &v1alpha1.Webhook{ObjectMeta: named("st2"), Spec: v1alpha1.WebhookSpec{
		URL: "st2", Type: v1alpha1.WebhookGeneric, KnownTriggersOnly: true,
	}}
	if s.ValidateTriggerPayload != nil && !*s.ValidateTriggerPayload {
		w.Spec.Validation, w.Spec.KnownTriggersOnly = v1alpha1.ValidationAudit, false
	}
	return w
}

// createTokens creates the credentials, of which every request gets one.
func (a *arrangement) createTokens(ctx context.Context, s *setup) {
	valid, expired := map[string]string{"system": systemToken}, map[string]string{}
	if s.Auth != nil {
		for _, t := range s.Auth.Tokens {
			if t.Expired {
				expired[t.Token] = t.Token
				continue
			}
			valid[t.Token] = t.Token
		}
		for _, k := range s.Auth.APIKeys {
			if k.Enabled == nil || *k.Enabled {
				valid[k.Key] = k.Key
			}
		}
	}
	for name, tokens := range map[string]map[string]string{"valid": valid, "expired": expired} {
		secret := &corev1.Secret{ObjectMeta: named(name), StringData: tokens}
		secret.Labels = map[string]string{v1alpha1.LabelAuth: v1alpha1.AuthToken}
		secret.Annotations = map[string]string{v1alpha1.AnnotationScopes: "send, list, read"}
		if name == "expired" {
			secret.Annotations[v1alpha1.AnnotationExpiresAt] = "2020-01-01T00:00:00Z"
		}
		a.create(ctx, secret)
	}
}

// create creates an object. A url that HookStorm does not take stays unknown.
func (a *arrangement) create(ctx context.Context, o client.Object) {
	GinkgoHelper()
	err := k8s.Create(ctx, o)
	if _, isRule := o.(*v1alpha1.Rule); isRule && apierrors.IsInvalid(err) {
		return
	}
	Expect(err).NotTo(HaveOccurred())
	a.objects = append(a.objects, o)
}

// await waits until the setup is live: a build of the route table covers all that was created before it, so that a marker
// that is created last shows that the rest is there.
func (a *arrangement) await(ctx context.Context) {
	GinkgoHelper()
	marker := &v1alpha1.Rule{ObjectMeta: named("marker"), Spec: v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{Type: "marker.marker"}}}
	a.create(ctx, marker)
	Eventually(func(g Gomega) {
		for _, o := range a.objects {
			if c, ok := o.(interface{ GetConditions() *[]metav1.Condition }); ok {
				g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
				g.Expect(*c.GetConditions()).NotTo(BeEmpty(), o.GetName())
			}
		}
		g.Expect(status(systemToken)).To(Equal(http.StatusOK))
	}).Should(Succeed())
}

// clear deletes the setup and waits until no webhook is left.
func (a *arrangement) clear(ctx context.Context) {
	GinkgoHelper()
	for _, o := range slices.Backward(a.objects) {
		Expect(client.IgnoreNotFound(k8s.Delete(ctx, o))).To(Succeed())
	}
	Eventually(func(g Gomega) {
		var webhooks v1alpha1.WebhookList
		g.Expect(k8s.List(ctx, &webhooks)).To(Succeed())
		g.Expect(webhooks.Items).To(BeEmpty())
		g.Expect(status(systemToken)).To(Equal(http.StatusUnauthorized))
	}).Should(Succeed())
}

// status is what the list of webhooks answers to a token.
func status(token string) int {
	request, err := http.NewRequest(http.MethodGet, base+"/v1/webhooks", nil)
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("X-Auth-Token", token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// modern rewrites a schema in StackStorm's form into one of JSON Schema 2020-12 that means the same: there "required" is a
// member's own, a default satisfies it, and null is good for every member that is not required.
func modern(schema map[string]any) map[string]any {
	rewritten := maps.Clone(schema)
	if _, own := rewritten["required"].(bool); own {
		delete(rewritten, "required")
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return rewritten
	}
	members := map[string]any{}
	required := []string{}
	for name, value := range properties {
		member := value.(map[string]any)
		_, defaulted := member["default"]
		if needed, _ := member["required"].(bool); needed && !defaulted {
			required = append(required, name)
			members[name] = modern(member)
			continue
		}
		members[name] = nullable(modern(member))
	}
	rewritten["properties"] = members
	if len(required) > 0 {
		rewritten["required"] = required
	}
	return rewritten
}

// nullable adds null to the types of a schema, and to its alternatives.
func nullable(schema map[string]any) map[string]any {
	switch types := schema["type"].(type) {
	case string:
		schema["type"] = []any{types, "null"}
	case []any:
		schema["type"] = append(slices.Clone(types), "null")
	}
	if alternatives, ok := schema["anyOf"].([]any); ok {
		schema["anyOf"] = append(slices.Clone(alternatives), map[string]any{"type": "null"})
	}
	return schema
}
