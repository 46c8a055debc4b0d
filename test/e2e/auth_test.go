package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// ExpectAsUnknown sends a request that nobody may learn anything from: the answer is that for a url that nobody owns.
func ExpectAsUnknown(ctx context.Context, r request) {
	GinkgoHelper()
	refused := ExpectRefused(ctx, r, http.StatusUnauthorized)
	r.path = short("nobody-has-this")
	unknown := ExpectRefused(ctx, r, http.StatusUnauthorized)
	for _, a := range []answer{refused, unknown} {
		a.header.Del("X-Request-Id")
		a.header.Del("Date")
	}
	Expect(refused).To(Equal(unknown))
}

// ExpectStatus waits until the status of a Webhook is as wanted. A last* field is written at most once a minute, so that only
// the first of a kind is waited for.
func ExpectStatus(ctx context.Context, namespace, name string, wanted func(g Gomega, status v1alpha1.WebhookStatus)) {
	GinkgoHelper()
	w := webhookNamed(namespace, name)
	Eventually(ctx, func(g Gomega) {
		g.Expect(fetch(ctx, w)).To(Succeed())
		wanted(g, w.Status)
	}).Should(Succeed())
}

func secretNamed(namespace, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// ExpectEvent waits until an Event about an object has a reason, and a note with all parts.
func ExpectEvent(ctx context.Context, namespace, kind, name, reason string, parts ...string) {
	GinkgoHelper()
	matches := And(HaveField("Regarding.Kind", kind), HaveField("Regarding.Name", name),
		HaveField("Reason", reason), HaveField("Type", corev1.EventTypeWarning))
	for _, part := range parts {
		matches = And(matches, HaveField("Note", ContainSubstring(part)))
	}
	Eventually(ctx, func(g Gomega) {
		var events eventsv1.EventList
		g.Expect(admin.List(ctx, &events, client.InNamespace(namespace))).To(Succeed())
		g.Expect(events.Items).To(ContainElement(matches))
	}).Should(Succeed())
}

// posting posts one request again and again until it is stopped.
type posting struct {
	stop  context.CancelFunc
	ended sync.WaitGroup

	statuses map[int]int // how many answers had a status; 0 is no answer
}

func startPosting(every time.Duration, r request) *posting {
	ctx, stop := context.WithCancel(context.Background())
	p := &posting{stop: stop, statuses: map[int]int{}}
	p.ended.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				a, _ := hookstorm.send(context.Background(), r) // one without an answer has status 0
				p.statuses[a.status]++
			}
		}
	})
	return p
}

// Stop stops posting, and returns how many answers had which status. It may be called again.
func (p *posting) Stop() map[int]int {
	p.stop()
	p.ended.Wait()
	return maps.Clone(p.statuses)
}

var _ = Describe("A signature", Ordered, func() {
	var home string             // the namespace of all
	keys := map[string]string{} // by the scheme
	path := func(p *provider, name string) string { return short(home + "/" + p.name(name)) }

	BeforeAll(func(ctx context.Context) {
		home = makeNamespace(ctx)
		var manifests []string
		for i := range providers {
			p := &providers[i]
			keys[p.scheme] = p.key("key of " + p.scheme)
			manifests = append(manifests, signingSecret(p.name("keys"), keys[p.scheme]))
			for _, name := range []string{"taken", "refused"} {
				manifests = append(manifests, webhook(p.name(name), fmt.Sprintf("url: %s/%s, auth: [%s]", home, p.name(name), p.auth(p.name("keys")))))
			}
		}
		Apply(ctx, home, manifests...)
		for i := range providers {
			ExpectReady(ctx, webhookNamed(home, providers[i].name("taken")), webhookNamed(home, providers[i].name("refused")))
		}
	})

	DescribeTable("admits what its provider made, and nothing else:", func(ctx context.Context, p *provider) {
		body, recorded := p.body("hello, world")
		signed := p.post(keys[p.scheme], path(p, "taken"), body)
		record := ExpectRecord(ctx, home, ExpectAccepted(ctx, signed))
		Expect(payload(record).Body).To(MatchJSON(recorded))
		if !p.form {
			Expect(string(payload(record).Body)).To(Equal(body))
		}
		Expect(strings.ToLower(record.Spec.Payload)).NotTo(ContainSubstring(strings.ToLower(p.signatureHeader())))
		Expect(record.Spec.Payload).NotTo(ContainSubstring(signed.headers[p.signatureHeader()]))

		refused := path(p, "refused")
		changed := p.post(keys[p.scheme], refused, body)
		changed.body = strings.Replace(body, "hello", "hullo", 1)
		ExpectAsUnknown(ctx, p.post(p.key("wrong key"), refused, body))
		ExpectAsUnknown(ctx, p.post(keys[p.scheme], refused, body).with(p.signatureHeader(), ""))
		if p.scheme != "GitLab" { // whose token says nothing of the body
			ExpectAsUnknown(ctx, changed)
		}
	}, func() []TableEntry {
		var entries []TableEntry
		for i := range providers {
			entries = append(entries, Entry(providers[i].scheme, &providers[i]))
		}
		return entries
	}())

	It("is told in the Webhook's status, and why others were refused", func(ctx context.Context) {
		for i := range providers {
			p := &providers[i]
			ExpectStatus(ctx, home, p.name("taken"), func(g Gomega, status v1alpha1.WebhookStatus) {
				g.Expect(status.Authentication).To(Equal(p.scheme))
				g.Expect(status.Keys).To(HaveKeyWithValue(p.name("keys")+"/key", HaveField("Time", BeTemporally("~", time.Now(), time.Minute))))
			})
			ExpectStatus(ctx, home, p.name("refused"), func(g Gomega, status v1alpha1.WebhookStatus) {
				g.Expect(status.Keys).To(BeEmpty())
				g.Expect(status.LastRejection).To(HaveValue(And(
					HaveField("Reason", "Unauthorized"), HaveField("Time.Time", BeTemporally("~", time.Now(), time.Minute)))))
			})
		}
	})

	It("of Amazon SNS admits nobody while its certificates cannot be had", func(ctx context.Context) {
		const topic = "arn:aws:sns:eu-west-1:123456789012:builds"
		Apply(ctx, home, webhook("sns", "url: "+home+`/sns, auth: [{signature: {scheme: AWSSNS, sns: {topicARNs: ["`+topic+`"]}}}]`))
		ExpectReady(ctx, webhookNamed(home, "sns"))
		message := request{method: http.MethodPost, path: short(home + "/sns"), headers: map[string]string{
			"Content-Type": "text/plain; charset=UTF-8", "X-Amz-Sns-Message-Type": "Notification",
		}, body: fmt.Sprintf(`{"Type": "Notification", "MessageId": "1", "TopicArn": %q, "Message": "{}", "Timestamp": %q,
			"SignatureVersion": "2", "Signature": "AAAA",
			"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"}`,
			topic, time.Now().UTC().Format(time.RFC3339))}
		refused := ExpectRefused(ctx, message, http.StatusServiceUnavailable)
		Expect(refused.header.Get("Retry-After")).NotTo(BeEmpty())
		ExpectAsUnknown(ctx, message.with("X-Amz-Sns-Message-Type", ""))
		message.body = strings.Replace(message.body, "sns.eu-west-1.amazonaws.com", "sns.example.org", 1)
		ExpectAsUnknown(ctx, message)
	})
})

var _ = Describe("Signing keys", func() {
	It("are rotated without a gap, and an old one is dead as soon as it is removed", func(ctx context.Context) {
		before, after := canary("old key"), canary("new key")
		path := short(namespace)
		Apply(ctx, namespace, signingSecret("keys", before), webhook("hook", "url: "+namespace+", auth: ["+github.auth("keys")+"]"))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
		ExpectAccepted(ctx, github.post(before, path, `{}`))
		ExpectRefused(ctx, github.post(after, path, `{}`), http.StatusUnauthorized)

		Patch(ctx, namespace, "secret/keys", "stringData: {key1: "+after+"}")
		ExpectSoon(ctx, github.post(after, path, `{}`), http.StatusAccepted)
		ExpectAccepted(ctx, github.post(before, path, `{}`))

		steady := startPosting(20*time.Millisecond, github.post(after, path, `{}`))
		DeferCleanup(steady.Stop)
		begin := time.Now()
		removal := client.RawPatch(types.MergePatchType, []byte(`{"data": {"key": null}}`))
		Expect(admin.Patch(ctx, secretNamed(namespace, "keys"), removal)).To(Succeed())
		Eventually(ctx, func() (int, error) {
			a, err := hookstorm.send(ctx, github.post(before, path, `{}`))
			return a.status, err
		}).WithTimeout(10 * time.Second).WithPolling(5 * time.Millisecond).Should(Equal(http.StatusUnauthorized))
		dead := time.Since(begin)
		Consistently(ctx, func() (int, error) {
			a, err := hookstorm.send(ctx, github.post(before, path, `{}`))
			return a.status, err
		}).WithTimeout(300 * time.Millisecond).Should(Equal(http.StatusUnauthorized))
		statuses := steady.Stop()
		Expect(statuses).To(HaveLen(1))
		Expect(statuses).To(HaveKeyWithValue(http.StatusAccepted, BeNumerically(">", 10)))
		AddReportEntry("rotation", fmt.Sprintf("the old key was dead %d ms after its removal was sent; "+
			"of %d requests with the new one meanwhile none was refused", dead.Milliseconds(), statuses[http.StatusAccepted]), ReportEntryVisibilityAlways)
	})

	It("admit nobody while they are missing, and say what is wrong", func(ctx context.Context) {
		const field = "spec.auth[0].signature.secretRef"
		key := canary("key")
		hook, path := webhookNamed(namespace, "hook"), short(namespace)
		signed := github.post(key, path, `{}`)
		ExpectClosed := func(reason string, parts ...string) {
			GinkgoHelper()
			ExpectCondition(ctx, hook, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, reason, append(parts, field, `"keys"`)...)
			ExpectCondition(ctx, hook, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
			ExpectEvent(ctx, namespace, "Webhook", "hook", reason, parts...)
			refused := ExpectRefused(ctx, signed, http.StatusServiceUnavailable)
			Expect(refused.header.Get("Retry-After")).NotTo(BeEmpty())
			ExpectAsUnknown(ctx, signed.with("X-Hub-Signature-256", ""))
			ExpectRefused(ctx, post(path, `{}`), http.StatusUnauthorized)
		}
		ExpectOpen := func() {
			GinkgoHelper()
			ExpectSoon(ctx, signed, http.StatusAccepted)
			ExpectReady(ctx, hook)
		}
		Apply(ctx, namespace, webhook("hook", "url: "+namespace+", auth: ["+github.auth("keys")+"]"))
		ExpectClosed(v1alpha1.ReasonSecretNotFound, "create")
		Apply(ctx, namespace, signingSecret("keys", key))
		ExpectOpen()

		kubectl(ctx, "label", "secret/keys", "--namespace", namespace, "--overwrite", v1alpha1.LabelAuth+"="+v1alpha1.AuthToken)
		ExpectClosed(v1alpha1.ReasonSecretNotFound, "label it")
		kubectl(ctx, "label", "secret/keys", "--namespace", namespace, "--overwrite", v1alpha1.LabelAuth+"="+v1alpha1.AuthSignature)
		ExpectOpen()

		Patch(ctx, namespace, "secret/keys", "data: {key: null}")
		ExpectClosed(v1alpha1.ReasonSecretInvalid, "is empty", "add a key")
		Patch(ctx, namespace, "secret/keys", "stringData: {key: "+key+"}")
		ExpectOpen()

		Patch(ctx, namespace, "secret/keys", "stringData: {key: "+key[:15]+"}")
		ExpectClosed(v1alpha1.ReasonSecretInvalid, `"key"`, "16")
		Patch(ctx, namespace, "secret/keys", "stringData: {key: "+key+"}")
		ExpectOpen()

		Delete(ctx, namespace, "secret/keys")
		ExpectSoon(ctx, signed, http.StatusServiceUnavailable)
		Apply(ctx, namespace, signingSecret("keys", key))
		ExpectOpen()
	})
})
