package controllers_test

import (
	"context"
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

var _ = Describe("History", func() {
	It("keeps the newest records of a webhook, and what asks for a dispatch", func(ctx context.Context) {
		two := int32(2)
		ExpectCreated(ctx, aWebhook("mine", namespace, func(w *v1alpha1.Webhook) {
			w.Spec.History = &v1alpha1.WebhookHistory{Succeeded: &two}
		}))
		ExpectCreated(ctx, &v1alpha1.TriggerInstance{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "request"},
			Spec:       v1alpha1.TriggerInstanceSpec{Trigger: v1alpha1.Trigger{Type: "a.b"}},
		})
		for i := range 5 {
			id := fmt.Sprintf("id%d", i)
			ExpectCreated(ctx, &v1alpha1.TriggerInstance{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mine-" + id, Labels: map[string]string{
					v1alpha1.LabelWebhook: "mine", v1alpha1.LabelDelivery: id, v1alpha1.LabelOutcome: v1alpha1.OutcomeSucceeded,
				}},
				Spec: v1alpha1.TriggerInstanceSpec{Trigger: v1alpha1.Trigger{Type: "a.b"}, DeliveryID: id},
			})
		}
		Eventually(func(g Gomega) {
			var list v1alpha1.TriggerInstanceList
			g.Expect(k8s.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
			var names []string
			for _, item := range list.Items {
				names = append(names, item.Name)
			}
			slices.Sort(names)
			g.Expect(names).To(Equal([]string{"mine-id3", "mine-id4", "request"}))
		}).Should(Succeed())
	})
})
