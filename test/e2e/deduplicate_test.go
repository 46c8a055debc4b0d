package e2e_test

import (
	"context"
	"net/http"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// ExpectSame sends a request, and expects that it is taken for the one whose id this is.
func ExpectSame(ctx context.Context, id string, r request) {
	GinkgoHelper()
	a := ExpectAnswer(ctx, r, http.StatusAccepted)
	Expect(a.Delivery()).To(Equal(id))
	Expect(a.header.Get("X-Delivery-Duplicate")).To(Equal("true"))
}

// ExpectNew sends a request, expects that it is a delivery of its own, and returns its id.
func ExpectNew(ctx context.Context, r request) string {
	GinkgoHelper()
	a := ExpectAnswer(ctx, r, http.StatusAccepted)
	Expect(a.header).NotTo(HaveKey("X-Delivery-Duplicate"))
	Expect(a.Delivery()).To(HaveLen(26))
	return a.Delivery()
}

var _ = Describe("A delivery that is sent again", func() {
	const body = `{"id": 7, "text": "hello"}`
	var key string
	var signed, byHeader, byExpression, each request

	BeforeEach(func(ctx context.Context) {
		key = canary("key")
		auth := ", auth: [" + github.auth("keys") + "]"
		Apply(ctx, namespace, signingSecret("keys", key),
			webhook("signed", "url: "+namespace+"/signed, deduplicate: {by: SignedContent}"+auth),
			webhook("header", "url: "+namespace+"/header, deduplicate: {by: Header, header: X-GitHub-Delivery}"+auth),
			webhook("expression", "url: "+namespace+"/expression, deduplicate: {by: Expression, expression: trigger.body.id}"+auth),
			webhook("each", "url: "+namespace+"/each"+auth))
		for _, name := range []string{"signed", "header", "expression", "each"} {
			ExpectServed(ctx, short(namespace+"/"+name))
		}
		to := func(name string) request { return github.post(key, short(namespace+"/"+name), body) }
		signed, byHeader = to("signed"), to("header").with("X-GitHub-Delivery", "d-1")
		byExpression, each = to("expression"), to("each")
	})

	It("is the same one where the Webhook says so, also after kill -9", func(ctx context.Context) {
		ids := map[string]string{}
		for name, r := range map[string]request{"signed": signed, "header": byHeader, "expression": byExpression} {
			ids[name] = ExpectNew(ctx, r)
			ExpectSame(ctx, ids[name], r)
		}
		ExpectSame(ctx, ids["signed"], signed.with("X-GitHub-Delivery", "d-2"))
		ExpectSame(ctx, ids["header"], github.post(key, byHeader.path, `{"id": 8}`).with("X-GitHub-Delivery", "d-1"))
		ExpectSame(ctx, ids["expression"], github.post(key, byExpression.path, `{"id": 7, "text": "other"}`))
		first := ExpectNew(ctx, each)
		Expect(ExpectNew(ctx, each)).NotTo(Equal(first))

		hookstorm.Kill()
		hookstorm.Start(ctx)
		DeferCleanup(func(ctx context.Context) { // or the next leader waits until the lease of the dead one ends
			kubectl(ctx, "delete", "lease", "--all", "--namespace", systemNamespace)
		})
		ExpectSame(ctx, ids["signed"], signed)
		ExpectSame(ctx, ids["header"], byHeader)
		ExpectSame(ctx, ids["expression"], byExpression)
		ExpectNew(ctx, each)

		for _, id := range ids {
			ExpectRecord(ctx, namespace, id)
		}
		Eventually(ctx, func() int { return len(Records(ctx, namespace, "")) }).Should(Equal(len(ids) + 3))
		Consistently(ctx, func() int { return len(Records(ctx, namespace, "")) }).Should(Equal(len(ids) + 3))
	})

	It("is another one where what makes it the same differs or is missing", func(ctx context.Context) {
		for _, r := range []request{
			signed, github.post(key, signed.path, `{"id": 7, "text": "Hello"}`),
			byHeader, byHeader.with("X-GitHub-Delivery", "d-2"),
			byHeader.with("X-GitHub-Delivery", ""), byHeader.with("X-GitHub-Delivery", ""),
			byExpression, github.post(key, byExpression.path, `{"id": 8}`),
			github.post(key, byExpression.path, `{}`), github.post(key, byExpression.path, `{}`),
		} {
			ExpectNew(ctx, r)
		}
	})

	It("is not used up by who may not post", func(ctx context.Context) {
		ExpectRefused(ctx, github.post(canary("wrong key"), byHeader.path, body).with("X-GitHub-Delivery", "d-1"), http.StatusUnauthorized)
		ExpectSame(ctx, ExpectNew(ctx, byHeader), byHeader)
	})

	It("is one of many that come at once", func(ctx context.Context) {
		const times = 20
		answers := make([]answer, times)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i], _ = hookstorm.send(ctx, signed) })
		}
		all.Wait()
		news := 0
		for _, a := range answers {
			Expect(a.status).To(Equal(http.StatusAccepted))
			Expect(a.Delivery()).To(Equal(answers[0].Delivery()))
			if a.header.Get("X-Delivery-Duplicate") == "" {
				news++
			}
		}
		Expect(news).To(Equal(1))
	})
})
