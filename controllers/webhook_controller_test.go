package controllers_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	yes = metav1.ConditionTrue
	no  = metav1.ConditionFalse
)

// tokenSecret builds a Secret of the spec's namespace that holds tokens.
func tokenSecret(name string, tokens map[string]string) *corev1.Secret {
	return aSecret(name, v1alpha1.AuthToken, tokens)
}

func withSecretRef(name string) func(*v1alpha1.Webhook) {
	return func(w *v1alpha1.Webhook) {
		w.Spec.Auth = []v1alpha1.WebhookAuth{{Tokens: &v1alpha1.TokenAuth{SecretRef: &v1alpha1.LocalSecretReference{Name: name}}}}
	}
}

var _ = Describe("A Webhook", func() {
	It("is ready, and says where and how to post", func(ctx context.Context) {
		ExpectCreated(ctx, tokenSecret("tokens", map[string]string{"a": "0123456789abcdef"}), aRule("one", namespace+"/x"))
		w := aWebhook("mine", "/"+namespace+"/x/")
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, "Ready", yes, "Ready", "all is well")
		ExpectCondition(ctx, w, "ShortURL", yes, "Assigned", "")
		Expect(w.Status.Path).To(Equal("/v1/webhooks/" + namespace + "/x"))
		Expect(w.Status.NamespacedPath).To(Equal("/v1/namespaces/" + namespace + "/webhooks/" + namespace + "/x"))
		Expect(w.Status.URL).To(Equal("https://hooks.example" + w.Status.Path))
		Expect(w.Status.Authentication).To(Equal("tokens"))
		Expect(*w.Status.AttachedRules).To(BeEquivalentTo(1))
	})

	It("names the Secret that is missing, and follows it", func(ctx context.Context) {
		w := aWebhook("mine", namespace, withSecretRef("tokens"))
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, "ResolvedRefs", no, "SecretNotFound", `spec.auth[0].tokens.secretRef: this namespace has no Secret "tokens" with the label hookstorm.dev/auth: token; create or label it`)
		ExpectCondition(ctx, w, "Ready", no, "SecretNotFound", "")

		empty := tokenSecret("tokens", map[string]string{"a": "\n"})
		ExpectCreated(ctx, empty)
		ExpectCondition(ctx, w, "ResolvedRefs", no, "SecretInvalid", "holds no token; add a key")

		empty.StringData = map[string]string{"a": "0123456789abcdef"}
		Expect(k8s.Update(ctx, empty)).To(Succeed())
		ExpectCondition(ctx, w, "Ready", yes, "Ready", "")
	})

	It("does not read a Secret without the label", func(ctx context.Context) {
		secret := tokenSecret("database", map[string]string{"password": "0123456789abcdef"})
		secret.Labels = nil
		w := aWebhook("mine", namespace, withSecretRef("database"))
		ExpectCreated(ctx, secret, w)
		ExpectCondition(ctx, w, "ResolvedRefs", no, "SecretNotFound", `create or label it`)
	})

	It("is refused what only the system namespace may have", func(ctx context.Context) {
		w := aWebhook("mine", namespace, func(w *v1alpha1.Webhook) {
			w.Spec.AllowedRules = &v1alpha1.AllowedRules{Namespaces: &v1alpha1.RuleNamespaces{From: v1alpha1.FromAll}}
		})
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, "Accepted", no, "Invalid", "spec.allowedRules.namespaces.from: All is only for Webhooks in namespace hookstorm-system; write Same")
		ExpectCondition(ctx, w, "Programmed", no, "NotAccepted", "")
	})

	It("names a schema that does not compile", func(ctx context.Context) {
		w := aWebhook("mine", namespace, func(w *v1alpha1.Webhook) {
			w.Spec.PayloadSchema = &apiextensionsv1.JSON{Raw: []byte(`{"type": "objekt"}`)}
		})
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, "Accepted", no, "Invalid", "spec.payloadSchema: ")
	})

	It("yields to an older one of its url, and takes over when that is deleted", func(ctx context.Context) {
		first, second := aWebhook("first", namespace), aWebhook("second", "/"+namespace)
		ExpectCreated(ctx, first)
		ExpectCondition(ctx, first, "Accepted", yes, "Accepted", "")
		ExpectCreated(ctx, second)
		ExpectCondition(ctx, second, "Accepted", no, "Conflicted", "spec.url: Webhook first of this namespace has this url; choose another, or delete one of the two")
		ExpectCondition(ctx, first, "Accepted", yes, "Accepted", "")
		Expect(k8s.Delete(ctx, first)).To(Succeed())
		ExpectCondition(ctx, second, "Accepted", yes, "Accepted", "")
	})

	It("is written once: nothing changes while nothing changes", func(ctx context.Context) {
		w := aWebhook("mine", namespace)
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, "Programmed", yes, "Programmed", "")
		ExpectCreated(ctx, aRule("another", namespace+"/another"))
		kept := aWebhook("", "")
		Eventually(func(g Gomega) { g.Expect(keptFor(ctx, namespace+"/another", kept)).To(BeTrue()) }).Should(Succeed())
		ExpectCondition(ctx, kept, "Programmed", yes, "Programmed", "")
		before := w.ResourceVersion
		Consistently(func(g Gomega) {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(w), w)).To(Succeed())
			g.Expect(w.ResourceVersion).To(Equal(before))
		}).WithTimeout(time.Second).Should(Succeed())
	})
})

var _ = Describe("A short url", func() {
	var url string
	var older, younger *v1alpha1.Webhook

	BeforeEach(func(ctx context.Context) {
		url = namespace
		older = aWebhook("older", url)
		ExpectCreated(ctx, older)
		ExpectCondition(ctx, older, "ShortURL", yes, "Assigned", "")
		// Ages have whole seconds, and at one age the first namespace wins: the other has to be the later one.
		Eventually(time.Now).Should(BeTemporally(">=", older.CreationTimestamp.Add(time.Second)))
		younger = aWebhook("younger", url)
		younger.Namespace = newNamespace(ctx)
		ExpectCreated(ctx, younger)
	})

	It("belongs to the older claim; the other is served on its namespaced path", func(ctx context.Context) {
		ExpectCondition(ctx, younger, "ShortURL", no, "Conflicted", "the short url belongs to namespace "+older.Namespace)
		Expect(younger.Status.Path).To(Equal("/v1/namespaces/" + younger.Namespace + "/webhooks/" + url))
		ExpectCondition(ctx, older, "ShortURL", yes, "Assigned", "")
	})

	It("stays with whoever has it, though an older object is given its url", func(ctx context.Context) {
		ExpectCondition(ctx, younger, "ShortURL", no, "Conflicted", "")
		free := aWebhook("free", younger.Namespace)
		free.Namespace = younger.Namespace
		ExpectCreated(ctx, free)
		ExpectCondition(ctx, free, "ShortURL", yes, "Assigned", "")
		ancient := older
		ancient.Spec.URL = younger.Namespace
		Expect(k8s.Update(ctx, ancient)).To(Succeed())
		ExpectCondition(ctx, ancient, "ShortURL", no, "Conflicted", "belongs to namespace "+free.Namespace)
		ExpectCondition(ctx, free, "ShortURL", yes, "Assigned", "")
	})

	It("passes to nobody silently, but to whoever then asks for it", func(ctx context.Context) {
		ExpectCondition(ctx, younger, "ShortURL", no, "Conflicted", "")
		Expect(k8s.Delete(ctx, older)).To(Succeed())
		ExpectCondition(ctx, younger, "ShortURL", no, "Conflicted", "passes to nobody by itself; edit spec to claim it")
		younger.Spec.Description = "now mine"
		Expect(k8s.Update(ctx, younger)).To(Succeed())
		ExpectCondition(ctx, younger, "ShortURL", yes, "Assigned", "")
	})
})

// keptFor finds the Webhook that HookStorm keeps for a url of the spec's namespace.
func keptFor(ctx context.Context, url string, found *v1alpha1.Webhook) bool {
	var list v1alpha1.WebhookList
	err := k8s.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedByHookStorm})
	if err != nil {
		return false
	}
	for _, w := range list.Items {
		if w.Spec.URL == url {
			*found = w
			return true
		}
	}
	return false
}
