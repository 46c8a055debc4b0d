package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

var _ = Describe("A body", func() {
	DescribeTable("in a form is its field, and all of the form is what is signed", func(ctx context.Context, scheme, body string, others url.Values) {
		p := providerOf(scheme)
		key := p.key("key")
		Apply(ctx, namespace, signingSecret("keys", key),
			webhook("hook", "url: "+namespace+", auth: ["+p.auth("keys")+"], body: {formField: payload}"))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
		if others == nil {
			others = url.Values{}
		}
		others.Set("payload", body)
		form := p.post(key, short(namespace), others.Encode()).with("Content-Type", formType)
		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, form))
		Expect(string(payload(record).Body)).To(Equal(body))

		changed := form
		changed.body = others.Encode() + "&a=b"
		ExpectAsUnknown(ctx, changed)
		without := p.post(key, short(namespace), "a=b").with("Content-Type", formType)
		Expect(ExpectRefused(ctx, without, http.StatusBadRequest).body).To(ContainSubstring("payload"))
		json := p.post(key, short(namespace), body)
		Expect(string(payload(ExpectRecord(ctx, namespace, ExpectAccepted(ctx, json))).Body)).To(Equal(body))
	},
		Entry("of GitHub", "GitHub", `{"action": "opened", "number": 9007199254740993, "title": "50% + \"ü\" & more"}`, nil),
		Entry("of Slack", "Slack", `{"type": "block_actions", "actions": [{"value": "a=b&c"}]}`, url.Values{"extra": {"1"}}),
	)

	It("of a type that ends in +json is JSON where the Webhook says so", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("plain", "url: "+namespace+"/plain"), webhook("events", "url: "+namespace+"/events, body: {jsonSuffix: true}"))
		ExpectReady(ctx, webhookNamed(namespace, "plain"), webhookNamed(namespace, "events"))
		const event = `{"specversion": "1.0", "id": "1", "source": "/a", "type": "b", "data": {"n": 12345678901234567890}}`
		for _, contentType := range []string{"application/cloudevents+json", "application/cloudevents+json; charset=UTF-8", "application/vnd.github+json"} {
			record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(namespace+"/events"), event).with("Content-Type", contentType)))
			Expect(string(payload(record).Body)).To(Equal(event))
			refused := ExpectRefused(ctx, post(short(namespace+"/plain"), event).with("Content-Type", contentType), http.StatusBadRequest)
			Expect(refused.body).To(ContainSubstring("Unsupported Content-Type"))
		}
	})

	It("has numbers that come to an action as they were sent", func(ctx context.Context) {
		builder(ctx, namespace)
		const (
			precise = "9007199254740993"     // more than the 53 bits of a double
			huge    = "18446744073709551615" // all 64 bits, of which Kubernetes takes 63
		)
		Apply(ctx, namespace, acting("build", namespace, `
			{name: note, create: {template: {apiVersion: v1, kind: ConfigMap, data: {
				precise: "n=${trigger.body.precise}", huge: "n=${trigger.body.huge}"}}}},
			{name: run, create: {template: {apiVersion: batch/v1, kind: Job, spec: {activeDeadlineSeconds: "${trigger.body.precise}",
				template: {spec: {restartPolicy: Never, containers: [{name: main, image: none}]}}}}}}`, ""))
		ExpectReady(ctx, ruleNamed(namespace, "build"))
		id := ExpectAccepted(ctx, post(short(namespace), fmt.Sprintf(`{"precise": %s, "huge": %s}`, precise, huge)))
		record := ExpectPhase(ctx, namespace, id, v1alpha1.PhaseProcessed)
		Expect(string(payload(record).Body)).To(ContainSubstring(huge))

		var made corev1.ConfigMapList
		Expect(admin.List(ctx, &made, client.InNamespace(namespace))).To(Succeed())
		Expect(made.Items).To(ContainElement(HaveField("Data", And(
			HaveKeyWithValue("precise", "n="+precise), HaveKeyWithValue("huge", "n="+huge)))))
		Expect(jobs(ctx, namespace)).To(ConsistOf(HaveField("Spec.ActiveDeadlineSeconds", HaveValue(BeEquivalentTo(9007199254740993)))))
	})
})
