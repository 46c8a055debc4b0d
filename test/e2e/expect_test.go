package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// conditioned is a resource with conditions.
type conditioned interface {
	client.Object
	GetConditions() *[]metav1.Condition
}

func webhookNamed(namespace, name string) *v1alpha1.Webhook {
	return &v1alpha1.Webhook{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func ruleNamed(namespace, name string) *v1alpha1.Rule {
	return &v1alpha1.Rule{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// fetch reads an object as it is now: nothing stays of what was read into it before.
func fetch(ctx context.Context, o client.Object) error {
	now := reflect.New(reflect.TypeOf(o).Elem())
	if err := admin.Get(ctx, client.ObjectKeyFromObject(o), now.Interface().(client.Object)); err != nil {
		return err
	}
	reflect.ValueOf(o).Elem().Set(now.Elem())
	return nil
}

// ExpectCondition waits until an object, as it is now, has a condition of a status and a reason, whose message holds all parts.
func ExpectCondition(ctx context.Context, o conditioned, conditionType string, status metav1.ConditionStatus, reason string, parts ...string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		g.Expect(fetch(ctx, o)).To(Succeed())
		condition := meta.FindStatusCondition(*o.GetConditions(), conditionType)
		g.Expect(condition).NotTo(BeNil())
		g.Expect(condition.ObservedGeneration).To(Equal(o.GetGeneration()))
		g.Expect(condition.Status).To(Equal(status), condition.Message)
		g.Expect(condition.Reason).To(Equal(reason))
		for _, part := range parts {
			g.Expect(condition.Message).To(ContainSubstring(part))
		}
	}).Should(Succeed())
}

// ExpectReady waits until objects are live.
func ExpectReady(ctx context.Context, objects ...conditioned) {
	GinkgoHelper()
	for _, o := range objects {
		ExpectCondition(ctx, o, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
}

// ExpectServed waits until a webhook is served, which needs no leader that tells.
func ExpectServed(ctx context.Context, path string) {
	GinkgoHelper()
	ExpectAnswer(ctx, get(path), http.StatusOK)
}

// ExpectGone waits until an object is no more.
func ExpectGone(ctx context.Context, o client.Object) {
	GinkgoHelper()
	Eventually(ctx, func() bool {
		return apierrors.IsNotFound(fetch(ctx, o))
	}).Should(BeTrue(), "%s still exists", o.GetName())
}

// ExpectKept waits until HookStorm keeps a Webhook for a url, and returns it.
func ExpectKept(ctx context.Context, namespace, url string) *v1alpha1.Webhook {
	GinkgoHelper()
	var kept v1alpha1.Webhook
	Eventually(ctx, func(g Gomega) {
		var webhooks v1alpha1.WebhookList
		g.Expect(admin.List(ctx, &webhooks, client.InNamespace(namespace),
			client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedByHookStorm})).To(Succeed())
		g.Expect(webhooks.Items).To(HaveLen(1))
		kept = webhooks.Items[0]
		g.Expect(kept.Spec.URL).To(Equal(url))
	}).Should(Succeed())
	return &kept
}

// Records returns the TriggerInstances of a namespace; of one delivery, where its id is not "".
func Records(ctx context.Context, namespace, delivery string) []v1alpha1.TriggerInstance {
	GinkgoHelper()
	options := []client.ListOption{client.InNamespace(namespace)}
	if delivery != "" {
		options = append(options, client.MatchingLabels{v1alpha1.LabelDelivery: delivery})
	}
	var list v1alpha1.TriggerInstanceList
	Expect(admin.List(ctx, &list, options...)).To(Succeed())
	return list.Items
}

// ExpectRecord waits until a delivery is recorded in a namespace, and returns the record.
func ExpectRecord(ctx context.Context, namespace, delivery string) v1alpha1.TriggerInstance {
	GinkgoHelper()
	var found []v1alpha1.TriggerInstance
	Eventually(ctx, func() int {
		found = Records(ctx, namespace, delivery)
		return len(found)
	}).Should(Equal(1), "delivery %s is not recorded in %s", delivery, namespace)
	Expect(found[0].Spec.DeliveryID).To(Equal(delivery))
	return found[0]
}

// succeeded returns the condition that sums a record up.
func succeeded(record v1alpha1.TriggerInstance) metav1.Condition {
	GinkgoHelper()
	Expect(record.Status).NotTo(BeNil())
	condition := meta.FindStatusCondition(record.Status.Conditions, v1alpha1.ConditionSucceeded)
	Expect(condition).NotTo(BeNil())
	return *condition
}

// outcome returns what a record says of a Rule.
func outcome(record v1alpha1.TriggerInstance, rule string) v1alpha1.RuleOutcome {
	GinkgoHelper()
	for _, o := range record.Status.Rules {
		if o.Name == rule {
			return o
		}
	}
	Fail("the record says nothing of Rule " + rule)
	return v1alpha1.RuleOutcome{}
}

// customPayload is the payload of a custom webhook.
type customPayload struct {
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// payload reads the payload of a record.
func payload(record v1alpha1.TriggerInstance) customPayload {
	GinkgoHelper()
	var p customPayload
	Expect(json.NewDecoder(strings.NewReader(record.Spec.Payload)).Decode(&p)).To(Succeed())
	return p
}
