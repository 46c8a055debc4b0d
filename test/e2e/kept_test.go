package e2e_test

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

var _ = Describe("A Webhook that HookStorm keeps for a Rule", func() {
	var url, name string

	BeforeEach(func(ctx context.Context) {
		url = namespace + "/push"
		Apply(ctx, namespace, ruleAt("on-push", url, ""))
		name = ExpectKept(ctx, namespace, url).Name
		ExpectReady(ctx, webhookNamed(namespace, name), ruleNamed(namespace, "on-push"))
	})

	It("shows the Rule where senders post", func(ctx context.Context) {
		r := ruleNamed(namespace, "on-push")
		Expect(fetch(ctx, r)).To(Succeed())
		Expect(r.Status.Webhook).To(Equal(name))
		Expect(r.Status.Path).To(Equal(short(url)))
		ExpectAccepted(ctx, post(r.Status.Path, `{}`))
	})

	DescribeTable("becomes a user's who applies his own spec over it",
		func(ctx context.Context, apply func(ctx context.Context, namespace, manifest string)) {
			before := webhookNamed(namespace, name)
			Expect(fetch(ctx, before)).To(Succeed())

			apply(ctx, namespace, webhook(name, "url: "+url+", description: Mine, limits: {maxBodySize: 1Ki}, history: {succeeded: 7}"))
			w := webhookNamed(namespace, name)
			Eventually(ctx, func(g Gomega) {
				g.Expect(fetch(ctx, w)).To(Succeed())
				g.Expect(w.Labels).NotTo(HaveKey(v1alpha1.LabelManagedBy))
			}).Should(Succeed())

			Delete(ctx, namespace, "rule/on-push")
			Eventually(ctx, func(g Gomega) {
				g.Expect(fetch(ctx, w)).To(Succeed())
				g.Expect(w.Status.AttachedRules).To(HaveValue(BeZero()))
			}).Should(Succeed())
			Consistently(ctx, func(g Gomega) {
				g.Expect(fetch(ctx, w)).To(Succeed())
				g.Expect(w.UID).To(Equal(before.UID))
			}).Should(Succeed())
			Expect(w.Spec.History.Limit(v1alpha1.OutcomeSucceeded)).To(Equal(7))
			ExpectAccepted(ctx, post(short(url), `{}`))
		},
		Entry("on his side", func(ctx context.Context, namespace, manifest string) { Apply(ctx, namespace, manifest) }),
		Entry("on the server's side", ApplyServerSide),
	)

	It("comes back when it is deleted, and no sender notices", func(ctx context.Context) {
		w := webhookNamed(namespace, name)
		Expect(fetch(ctx, w)).To(Succeed())
		senders := startLoad(loadOptions{clients: 4, perSecond: 100, path: short(url)})
		DeferCleanup(senders.Stop)
		senders.ExpectAnswers(10)

		Delete(ctx, namespace, "webhook/"+name)
		Eventually(ctx, func(g Gomega) types.UID {
			g.Expect(fetch(ctx, w)).To(Succeed())
			return w.UID
		}).ShouldNot(Equal(w.UID))
		ExpectReady(ctx, webhookNamed(namespace, name))
		senders.ExpectAnswers(10)

		Expect(slices.DeleteFunc(senders.Stop(), sent.accepted)).To(BeEmpty())
	})

	It("gives way to a user's own Webhook with its url", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("mine", "url: "+url))
		ExpectGone(ctx, webhookNamed(namespace, name))
		ExpectReady(ctx, webhookNamed(namespace, "mine"))
		id := ExpectAccepted(ctx, post(short(url), `{}`))
		record := ExpectRecord(ctx, namespace, id)
		Expect(record.Spec.Webhook).To(Equal("mine"))
		Expect(outcome(record, "on-push").Result).To(Equal(v1alpha1.ResultMatched))
	})
})
