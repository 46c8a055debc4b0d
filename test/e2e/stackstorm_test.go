package e2e_test

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// sampleRule is the sample that registers the webhook "sample" in the namespace default.
const sampleRule = "config/samples/rule_sample.yaml"

var _ = Describe("StackStorm's own lines", func() {
	const samples = "default"

	Context("to the generic webhook", func() {
		line := post("/webhooks/st2", `{"trigger": "mypack.mytrigger", "payload": {"attribute1": "value1"}}`)

		BeforeEach(func(ctx context.Context) { ExpectReady(ctx, webhookNamed(systemNamespace, "st2")) })

		It("dispatch the trigger that the body names", func(ctx context.Context) {
			a := ExpectAnswer(ctx, line, http.StatusAccepted)
			Expect(a.body).To(MatchJSON(line.body))

			record := ExpectRecord(ctx, systemNamespace, a.Delivery())
			Expect(record.Spec.Trigger.Type).To(Equal("mypack.mytrigger"))
			Expect(record.Spec.Payload).To(MatchJSON(`{"attribute1": "value1"}`))
			Expect(record.Spec.Webhook).To(Equal("st2"))
		})

		It("are refused without a token", func(ctx context.Context) {
			ExpectRefused(ctx, line.as(""), http.StatusUnauthorized)
		})

		It("find the webhook in the list", func(ctx context.Context) {
			Expect(Table(ctx, "webhooks", "--namespace", systemNamespace)).To(HaveKeyWithValue("st2",
				And(HaveKeyWithValue("URL", "st2"), HaveKeyWithValue("AUTH", "tokens"), HaveKeyWithValue("READY", "True"))))
		})
	})

	Context("to the webhook of the sample Rule", func() {
		BeforeEach(func(ctx context.Context) {
			kubectl(ctx, "apply", "--filename", sampleRule)
			DeferCleanup(func(ctx context.Context) {
				kubectl(ctx, "delete", "--ignore-not-found", "--filename", sampleRule)
				ExpectGone(ctx, webhookNamed(samples, "sample"))
				Expect(admin.DeleteAllOf(ctx, &v1alpha1.TriggerInstance{}, client.InNamespace(samples))).To(Succeed())
			})
			ExpectReady(ctx, ruleNamed(samples, "sample"), webhookNamed(samples, "sample"))
		})

		It("find it in the list", func(ctx context.Context) {
			Expect(Table(ctx, "webhooks", "--all-namespaces")).To(And(HaveKey("st2"), HaveKeyWithValue("sample", And(
				HaveKeyWithValue("URL", "sample"), HaveKeyWithValue("RULES", "1"), HaveKeyWithValue("READY", "True")))))
			Expect(Table(ctx, "rules", "--namespace", samples)).To(HaveKeyWithValue("sample", And(
				HaveKeyWithValue("TRIGGER", v1alpha1.TriggerWebhook), HaveKeyWithValue("URL", "sample"), HaveKeyWithValue("READY", "True"))))
		})

		It("dispatch a trigger with headers and body, which the Rule matches", func(ctx context.Context) {
			id := ExpectAccepted(ctx, post("/v1/webhooks/sample", `{"key1": "value1"}`).with("X-Custom", "yes"))

			record := ExpectRecord(ctx, samples, id)
			Expect(record.Spec.Trigger.Type).To(Equal(v1alpha1.TriggerWebhook))
			Expect(record.Spec.Trigger.Parameters).To(HaveKeyWithValue(v1alpha1.ParameterURL, BeEquivalentTo("sample")))
			Expect(payload(record).Headers).To(HaveKeyWithValue("X-Custom", "yes"))
			Expect(payload(record).Body).To(MatchJSON(`{"key1": "value1"}`))
			Expect(record.Spec.Payload).NotTo(ContainSubstring(systemToken))
			Expect(record.Status.Phase).To(Equal(v1alpha1.PhaseProcessed))
			Expect(succeeded(record).Reason).To(Equal(v1alpha1.ReasonMatched))
			Expect(outcome(record, "sample").Result).To(Equal(v1alpha1.ResultMatched))
			Expect(Table(ctx, "triggerinstances", "--namespace", samples)).To(HaveKeyWithValue(record.Name, And(
				HaveKeyWithValue("PHASE", "Processed"), HaveKeyWithValue("MATCHED", "1"))))
		})

		It("may carry the token in the query", func(ctx context.Context) {
			id := ExpectAccepted(ctx, post("/v1/webhooks/sample?x-auth-token="+systemToken, `{}`).as(""))
			Expect(ExpectRecord(ctx, samples, id).Spec.Payload).NotTo(ContainSubstring(systemToken))
		})

		It("are refused without a token, and with a wrong one", func(ctx context.Context) {
			ExpectRefused(ctx, post("/v1/webhooks/sample", `{}`).as(""), http.StatusUnauthorized)
			ExpectRefused(ctx, post("/v1/webhooks/sample", `{}`).as("wrong"), http.StatusUnauthorized)
		})

		It("find nobody once the Rule is deleted", func(ctx context.Context) {
			kubectl(ctx, "delete", "--filename", sampleRule)
			a := ExpectAnswer(ctx, post("/v1/webhooks/sample", `{}`), http.StatusNotFound)
			Expect(a.body).To(ContainSubstring("Webhook sample not registered with st2"))
			ExpectGone(ctx, webhookNamed(samples, "sample"))
		})
	})
})
