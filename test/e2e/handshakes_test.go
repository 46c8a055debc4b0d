package e2e_test

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A handshake", func() {
	// ExpectNoRecord expects that nothing was recorded, by a delivery that comes later and is.
	ExpectNoRecord := func(ctx context.Context, later request) {
		GinkgoHelper()
		ExpectRecord(ctx, namespace, ExpectAccepted(ctx, later))
		Expect(Records(ctx, namespace, "")).To(HaveLen(1))
	}

	It("of Slack is answered with its challenge once it is signed, and is no delivery", func(ctx context.Context) {
		slack, key := providerOf("Slack"), canary("key")
		Apply(ctx, namespace, signingSecret("keys", key), webhook("hook", "url: "+namespace+", auth: ["+slack.auth("keys")+"]"))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
		const question = `{"token": "deprecated", "type": "url_verification", "challenge": "3eZbrw1aB10FEMAGAZd4FyFQ"}`
		answered := ExpectAnswer(ctx, slack.post(key, short(namespace), question), http.StatusOK)
		Expect(answered.body).To(Equal("3eZbrw1aB10FEMAGAZd4FyFQ"))
		Expect(answered.header.Get("Content-Type")).To(HavePrefix("text/plain"))
		Expect(answered.Delivery()).To(BeEmpty())
		ExpectAsUnknown(ctx, slack.post(canary("wrong key"), short(namespace), question))
		ExpectNoRecord(ctx, slack.post(key, short(namespace), `{"type": "event_callback"}`))
	})

	It("of Event Grid is answered with its code where the Webhook says so", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("hook", "url: "+namespace+", handshakes: {eventGrid: {}}"))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
		const question = `[{"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
			"data": {"validationCode": "512d38b6", "validationUrl": "https://example.org"}}]`
		asking := post(short(namespace), question).with("Aeg-Event-Type", "SubscriptionValidation")
		answered := ExpectAnswer(ctx, asking, http.StatusOK)
		Expect(answered.body).To(MatchJSON(`{"validationResponse": "512d38b6"}`))
		Expect(answered.Delivery()).To(BeEmpty())
		ExpectAsUnknown(ctx, asking.as(canary("wrong token")))
		ExpectNoRecord(ctx, post(short(namespace), `[{"id": "2"}]`).with("Aeg-Event-Type", "Notification"))
	})

	It("of CloudEvents grants the origins that the Webhook lists, before anybody is authenticated", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("hook", "url: "+namespace+
			", handshakes: {cloudEvents: {allowedOrigins: [events.example.org], requestsPerMinute: 120}}"))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
		asking := request{method: http.MethodOptions, path: short(namespace), headers: map[string]string{
			"WebHook-Request-Origin": "events.example.org", "WebHook-Request-Callback": "http://127.0.0.1:1/", "WebHook-Request-Rate": "1000",
		}}
		answered := ExpectAnswer(ctx, asking, http.StatusOK)
		Expect(answered.header).To(And(HaveKeyWithValue("Webhook-Allowed-Origin", []string{"events.example.org"}),
			HaveKeyWithValue("Webhook-Allowed-Rate", []string{"120"}), HaveKeyWithValue("Allow", []string{"POST"})))
		ExpectAsUnknown(ctx, asking.with("WebHook-Request-Origin", "example.org"))
		ExpectAsUnknown(ctx, asking.with("WebHook-Request-Origin", ""))
		ExpectNoRecord(ctx, post(short(namespace), `{}`))
	})

	It("is a delivery where nobody asked for it to be answered", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("hook", "url: "+namespace))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
		for _, r := range []request{
			post(short(namespace), `{"type": "url_verification", "challenge": "a"}`),
			post(short(namespace), `[{"data": {"validationCode": "512d38b6"}}]`).with("Aeg-Event-Type", "SubscriptionValidation"),
			post(short(namespace), `{"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/"}`),
		} {
			ExpectRecord(ctx, namespace, ExpectAccepted(ctx, r))
		}
		ExpectAsUnknown(ctx, request{method: http.MethodOptions, path: short(namespace), headers: map[string]string{
			"WebHook-Request-Origin": "events.example.org",
		}})
	})
})
