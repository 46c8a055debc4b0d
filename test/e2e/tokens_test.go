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

// rotationTime is how soon a changed Secret counts.
const rotationTime = 2 * time.Second

// ExpectSoon sends a request until it is answered with a status, which must not take longer than a rotation may.
func ExpectSoon(ctx context.Context, r request, status int) {
	GinkgoHelper()
	Eventually(ctx, func() (int, error) {
		a, err := send(ctx, r)
		return a.status, err
	}).WithTimeout(rotationTime).Should(Equal(status))
}

var _ = Describe("Tokens", func() {
	var path string
	var send request

	BeforeEach(func(ctx context.Context) {
		path = short(namespace)
		send = post(path, `{}`)
		Apply(ctx, namespace, webhook("hook", "url: "+namespace))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
	})

	// token returns a token that no other namespace has.
	token := func(name string) string { return namespace + "-" + name }

	It("are all keys of a Secret, and are rotated live", func(ctx context.Context) {
		Apply(ctx, namespace, tokenSecret("keys", "first: "+token("first")+", second: "+token("second"), ""))
		ExpectSoon(ctx, send.as(token("first")), http.StatusAccepted)
		ExpectAccepted(ctx, send.as(token("second")))
		ExpectRefused(ctx, send.as(token("third")), http.StatusUnauthorized)

		Patch(ctx, namespace, "secret/keys", "data: {first: null}\nstringData: {third: "+token("third")+"}")
		ExpectSoon(ctx, send.as(token("third")), http.StatusAccepted)
		ExpectSoon(ctx, send.as(token("first")), http.StatusUnauthorized)
		ExpectAccepted(ctx, send.as(token("second")))

		Delete(ctx, namespace, "secret/keys")
		ExpectSoon(ctx, send.as(token("third")), http.StatusUnauthorized)
		ExpectAccepted(ctx, send)
	})

	It("go in every place that StackStorm and its successors use", func(ctx context.Context) {
		Apply(ctx, namespace, tokenSecret("keys", "key: "+token("key"), ""))
		ExpectSoon(ctx, send.as(token("key")), http.StatusAccepted)
		anonymous := send.as("")
		ExpectAccepted(ctx, anonymous.with("St2-Api-Key", token("key")))
		ExpectAccepted(ctx, anonymous.with("Authorization", "Bearer "+token("key")))
		for _, parameter := range []string{"x-auth-token", "st2-api-key"} {
			anonymous.path = path + "?" + parameter + "=" + token("key")
			ExpectAccepted(ctx, anonymous)
		}
	})

	It("of a Secret without the label do not count", func(ctx context.Context) {
		Apply(ctx, namespace, tokenSecret("keys", "key: "+token("key"), ""))
		ExpectSoon(ctx, send.as(token("key")), http.StatusAccepted)
		kubectl(ctx, "label", "secret/keys", "--namespace", namespace, v1alpha1.LabelAuth+"-")
		ExpectSoon(ctx, send.as(token("key")), http.StatusUnauthorized)
	})

	It("end when their Secret says so", func(ctx context.Context) {
		expires := time.Now().Add(3 * time.Second)
		Apply(ctx, namespace,
			tokenSecret("brief", "key: "+token("brief"), v1alpha1.AnnotationExpiresAt+": "+expires.Format(`"2006-01-02T15:04:05.000Z07:00"`)),
			tokenSecret("past", "key: "+token("past"), v1alpha1.AnnotationExpiresAt+`: "2020-01-01T00:00:00Z"`),
			tokenSecret("unreadable", "key: "+token("unreadable"), v1alpha1.AnnotationExpiresAt+": next week"),
			tokenSecret("good", "key: "+token("good"), v1alpha1.AnnotationExpiresAt+`: "2999-01-01T00:00:00Z"`))
		ExpectSoon(ctx, send.as(token("brief")), http.StatusAccepted)
		ExpectSoon(ctx, send.as(token("good")), http.StatusAccepted)
		ExpectRefused(ctx, send.as(token("past")), http.StatusUnauthorized)
		ExpectRefused(ctx, send.as(token("unreadable")), http.StatusUnauthorized)
		ExpectAnswer(ctx, send.as(token("brief")), http.StatusUnauthorized)
		Expect(time.Now()).To(BeTemporally(">=", expires.Truncate(time.Millisecond)))
		ExpectAccepted(ctx, send.as(token("good")))
	})

	It("are good for their scopes only", func(ctx context.Context) {
		Apply(ctx, namespace,
			tokenSecret("sender", "key: "+token("sender"), ""),
			tokenSecret("reader", "key: "+token("reader"), v1alpha1.AnnotationScopes+`: "list, read"`),
			tokenSecret("nobody", "key: "+token("nobody"), v1alpha1.AnnotationScopes+`: ""`))
		ExpectSoon(ctx, send.as(token("sender")), http.StatusAccepted)
		ExpectRefused(ctx, get(path).as(token("sender")), http.StatusUnauthorized)
		ExpectRefused(ctx, get("/v1/webhooks").as(token("sender")), http.StatusUnauthorized)

		ExpectSoon(ctx, get(path).as(token("reader")), http.StatusOK)
		Expect(ExpectAnswer(ctx, get("/v1/webhooks").as(token("reader")), http.StatusOK).body).To(ContainSubstring(namespace))
		ExpectRefused(ctx, send.as(token("reader")), http.StatusUnauthorized)

		ExpectRefused(ctx, send.as(token("nobody")), http.StatusUnauthorized)
		ExpectRefused(ctx, get(path).as(token("nobody")), http.StatusUnauthorized)
	})

	It("of one namespace do not open the webhooks of another", func(ctx context.Context) {
		other := makeNamespace(ctx)
		Apply(ctx, other, tokenSecret("keys", "key: "+token("foreign"), ""), webhook("hook", "url: "+other))
		ExpectSoon(ctx, post(short(other), `{}`).as(token("foreign")), http.StatusAccepted)
		ExpectRefused(ctx, send.as(token("foreign")), http.StatusUnauthorized)
		ExpectRefused(ctx, post(namespaced(namespace, namespace), `{}`).as(token("foreign")), http.StatusUnauthorized)
		ExpectRefused(ctx, get(path).as(token("foreign")), http.StatusUnauthorized)
	})

	It("of a Secret that a Webhook names are the only ones, and it says what is wrong with that Secret", func(ctx context.Context) {
		const field = "spec.auth[0].tokens.secretRef"
		hook := webhookNamed(namespace, "own")
		url := namespace + "/own"
		send.path = short(url)
		Apply(ctx, namespace, webhook("own", "url: "+url+", auth: [{tokens: {secretRef: {name: keys}}}]"))

		ExpectCondition(ctx, hook, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, field, `"keys"`, "create")
		ExpectCondition(ctx, hook, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
		refused := ExpectRefused(ctx, send.as(token("key")), http.StatusServiceUnavailable)
		Expect(refused.header.Get("Retry-After")).NotTo(BeEmpty())
		ExpectRefused(ctx, send.as(""), http.StatusUnauthorized)

		Apply(ctx, namespace, tokenSecret("keys", `key: ""`, ""))
		ExpectCondition(ctx, hook, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid, field, `"keys"`, "add a key")
		ExpectRefused(ctx, send.as(token("key")), http.StatusServiceUnavailable)
		ExpectRefused(ctx, send, http.StatusServiceUnavailable)
		ExpectRefused(ctx, send.as(""), http.StatusUnauthorized)

		Apply(ctx, namespace, tokenSecret("keys", "key: "+token("key"), ""))
		ExpectSoon(ctx, send.as(token("key")), http.StatusAccepted)
		ExpectReady(ctx, hook)
		ExpectRefused(ctx, send, http.StatusUnauthorized)
	})
})
