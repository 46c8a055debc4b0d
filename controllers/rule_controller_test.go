package controllers_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// ExpectKept waits until HookStorm keeps a Webhook for a url of the spec's namespace.
func ExpectKept(ctx context.Context, url string) *v1alpha1.Webhook {
	GinkgoHelper()
	w := &v1alpha1.Webhook{}
	Eventually(func() bool { return keptFor(ctx, url, w) }).Should(BeTrue())
	return w
}

func withCriterion(key, operator, pattern string) func(*v1alpha1.Rule) {
	return func(r *v1alpha1.Rule) {
		r.Spec.Criteria = map[string]v1alpha1.Criterion{key: {Type: operator, Pattern: &apiextensionsv1.JSON{Raw: []byte(pattern)}}}
	}
}

var _ = Describe("A Rule", func() {
	It("registers its webhook, and has it unregistered when it goes", func(ctx context.Context) {
		r := aRule("one", "/"+namespace+"/Push/")
		ExpectCreated(ctx, r)
		ExpectCondition(ctx, r, "Ready", yes, "Ready", "")
		kept := ExpectKept(ctx, namespace+"/Push")
		Expect(kept.Name).To(MatchRegexp(`^` + namespace + `-push-[0-9a-f]{8}$`))
		Expect(kept.OwnerReferences).To(BeEmpty())
		Expect(r.Status.Webhook).To(Equal(kept.Name))
		Expect(r.Status.Path).To(Equal("/v1/webhooks/" + namespace + "/Push"))
		Expect(k8s.Delete(ctx, r)).To(Succeed())
		ExpectGone(ctx, kept)
	})

	It("has its webhook named after a url that is a name", func(ctx context.Context) {
		ExpectCreated(ctx, aRule("one", namespace))
		Expect(ExpectKept(ctx, namespace).Name).To(Equal(namespace))
	})

	It("shares its webhook with others of its url", func(ctx context.Context) {
		first, second := aRule("one", namespace), aRule("two", "/"+namespace)
		ExpectCreated(ctx, first, second)
		kept := ExpectKept(ctx, namespace)
		Eventually(func(g Gomega) {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(kept), kept)).To(Succeed())
			g.Expect(kept.Status.AttachedRules).To(HaveValue(BeEquivalentTo(2)))
		}).Should(Succeed())
		Expect(k8s.Delete(ctx, first)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(kept), kept)).To(Succeed())
			g.Expect(kept.Status.AttachedRules).To(HaveValue(BeEquivalentTo(1)))
		}).Should(Succeed())
	})

	It("yields its webhook to the user's own", func(ctx context.Context) {
		ExpectCreated(ctx, aRule("one", namespace))
		kept := ExpectKept(ctx, namespace)
		mine := aWebhook("mine", namespace)
		ExpectCreated(ctx, mine)
		ExpectGone(ctx, kept)
		ExpectCondition(ctx, mine, "Accepted", yes, "Accepted", "")
	})

	It("leaves a Webhook that somebody has applied over", func(ctx context.Context) {
		r := aRule("one", namespace)
		ExpectCreated(ctx, r)
		kept := ExpectKept(ctx, namespace)
		mine := aWebhook(kept.Name, namespace, func(w *v1alpha1.Webhook) { w.Spec.Description = "mine" })
		mine.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Webhook"}
		//nolint:staticcheck // the typed apply needs generated configurations
		Expect(k8s.Patch(ctx, mine, client.Apply, client.FieldOwner("kubectl"))).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(mine), mine)).To(Succeed())
			g.Expect(mine.Labels).NotTo(HaveKey(v1alpha1.LabelManagedBy))
		}).Should(Succeed())
		Expect(k8s.Delete(ctx, r)).To(Succeed())
		ExpectCondition(ctx, mine, "Programmed", yes, "Programmed", "")
		Eventually(func(g Gomega) {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(mine), mine)).To(Succeed())
			g.Expect(mine.Status.AttachedRules).To(HaveValue(BeZero()))
		}).Should(Succeed())
		Expect(mine.DeletionTimestamp).To(BeNil())
	})

	It("has its webhook back when somebody deletes it", func(ctx context.Context) {
		ExpectCreated(ctx, aRule("one", namespace))
		kept := ExpectKept(ctx, namespace)
		Expect(k8s.Delete(ctx, kept)).To(Succeed())
		Eventually(func() metav1.ObjectMeta { return ExpectKept(ctx, namespace).ObjectMeta }).
			ShouldNot(HaveField("UID", Equal(kept.UID)))
	})

	It("says that it is disabled", func(ctx context.Context) {
		r := aRule("one", namespace, func(r *v1alpha1.Rule) { r.Spec.Enabled = new(bool) })
		ExpectCreated(ctx, r)
		ExpectCondition(ctx, r, "Ready", no, "Disabled", "spec.enabled is false")
	})

	It("cannot register a url that a generic webhook has", func(ctx context.Context) {
		ExpectCreated(ctx, aWebhook("generic", namespace, func(w *v1alpha1.Webhook) { w.Spec.Type = v1alpha1.WebhookGeneric }))
		r := aRule("one", namespace)
		ExpectCreated(ctx, r)
		ExpectCondition(ctx, r, "Accepted", no, "Conflicted", "spec.trigger.parameters.url: Webhook generic at this url is Generic")
	})

	It("names a criterion that is wrong, stops no other Rule, and is mended by an edit", func(ctx context.Context) {
		wrong := aRule("wrong", namespace, withCriterion("trigger.body.a", "like", `"x"`))
		right := aRule("right", namespace)
		ExpectCreated(ctx, wrong, right)
		ExpectCondition(ctx, wrong, "Accepted", no, "Invalid", `spec.criteria["trigger.body.a"]: type: unknown operator "like"`)
		ExpectCondition(ctx, right, "Ready", yes, "Ready", "")
		withCriterion("trigger.body.a", "equals", `"x"`)(wrong)
		Expect(k8s.Update(ctx, wrong)).To(Succeed())
		ExpectCondition(ctx, wrong, "Ready", yes, "Ready", "")
	})
})

var _ = Describe("A TriggerType", func() {
	It("yields to an older one of its trigger, and names a schema that does not compile", func(ctx context.Context) {
		make := func(name, schema string) *v1alpha1.TriggerType {
			return &v1alpha1.TriggerType{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
				Spec:       v1alpha1.TriggerTypeSpec{Type: "a.b", PayloadSchema: &apiextensionsv1.JSON{Raw: []byte(schema)}},
			}
		}
		broken, first, second := make("broken", `{"type": 5}`), make("first", `{}`), make("second", `{}`)
		ExpectCreated(ctx, broken, first)
		ExpectCondition(ctx, broken, "Accepted", no, "Invalid", "spec.payloadSchema: ")
		ExpectCondition(ctx, first, "Accepted", yes, "Accepted", "")
		ExpectCreated(ctx, second)
		ExpectCondition(ctx, second, "Accepted", no, "Conflicted", "TriggerType first, which is older, describes this trigger")
	})
})
