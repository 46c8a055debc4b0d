package e2e_test

import (
	"context"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

var _ = Describe("A short url that two namespaces claim", func() {
	var url, other string
	var owners, others *v1alpha1.Webhook

	BeforeEach(func(ctx context.Context) {
		url, other = namespace+"-shared", makeNamespace(ctx)
		Apply(ctx, namespace, webhook("hook", "url: "+url))
		owners, others = webhookNamed(namespace, "hook"), webhookNamed(other, "hook")
		ExpectReady(ctx, owners)
		// The API server's times are whole seconds.
		Eventually(ctx, time.Now).Should(BeTemporally(">", owners.CreationTimestamp.Add(time.Second)))
		Apply(ctx, other, webhook("hook", "url: "+url))
		ExpectReady(ctx, others)
	})

	It("belongs to the older claim; the other is served on its namespaced path", func(ctx context.Context) {
		ExpectCondition(ctx, owners, v1alpha1.ConditionShortURL, metav1.ConditionTrue, v1alpha1.ReasonAssigned)
		ExpectCondition(ctx, others, v1alpha1.ConditionShortURL, metav1.ConditionFalse, v1alpha1.ReasonConflicted, namespace, "spec.url")
		Expect(owners.Status.Path).To(Equal(short(url)))
		Expect(others.Status.Path).To(Equal(namespaced(other, url)))

		ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(url), `{}`)))
		ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(namespaced(namespace, url), `{}`)))
		ExpectRecord(ctx, other, ExpectAccepted(ctx, post(namespaced(other, url), `{}`)))
	})

	It("passes to nobody when its owner gives it up, until somebody edits his claim", func(ctx context.Context) {
		ExpectCondition(ctx, others, v1alpha1.ConditionShortURL, metav1.ConditionFalse, v1alpha1.ReasonConflicted)
		Delete(ctx, namespace, "webhook/hook")
		ExpectAnswer(ctx, post(short(url), `{}`), http.StatusNotFound)
		ExpectCondition(ctx, others, v1alpha1.ConditionShortURL, metav1.ConditionFalse, v1alpha1.ReasonConflicted, "edit")
		Consistently(ctx, func() int { return Send(ctx, post(short(url), `{}`)).status }).Should(Equal(http.StatusNotFound))
		ExpectRecord(ctx, other, ExpectAccepted(ctx, post(namespaced(other, url), `{}`)))

		Patch(ctx, other, "webhook/hook", "spec: {description: mine now}")
		ExpectCondition(ctx, others, v1alpha1.ConditionShortURL, metav1.ConditionTrue, v1alpha1.ReasonAssigned)
		ExpectRecord(ctx, other, ExpectAccepted(ctx, post(short(url), `{}`)))
	})

	It("passes to nobody when HookStorm starts anew after its owner gave it up", func(ctx context.Context) {
		ExpectCondition(ctx, others, v1alpha1.ConditionShortURL, metav1.ConditionFalse, v1alpha1.ReasonConflicted)
		hookstorm.Stop()
		Delete(ctx, namespace, "webhook/hook")
		hookstorm.Start(ctx)
		ExpectRefused(ctx, post(short(url), `{}`), http.StatusNotFound)
	})
})
