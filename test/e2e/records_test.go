package e2e_test

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

var _ = Describe("The record of a delivery", func() {
	// hook applies a Webhook with a history, and Rules at its url, and returns its path.
	hook := func(ctx context.Context, name, history string, rules ...string) string {
		GinkgoHelper()
		Apply(ctx, namespace, append(rules, webhook(name, "url: "+namespace+"/"+name+", history: {"+history+"}"))...)
		ExpectReady(ctx, webhookNamed(namespace, name))
		return short(namespace + "/" + name)
	}
	at := func(name, rule, criteria string) string { return ruleAt(rule, namespace+"/"+name, criteria) }

	events := func(ctx context.Context) []eventsv1.Event {
		GinkgoHelper()
		var list eventsv1.EventList
		Expect(admin.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		return list.Items
	}

	It("says which Rules matched, and of the others why not and what they saw", func(ctx context.Context) {
		path := hook(ctx, "hook", "",
			at("hook", "merged", "trigger.body.action: {type: equals, pattern: merged}"),
			at("hook", "closed", "trigger.body.action: {type: equals, pattern: closed}"),
			at("hook", "absent", "trigger.body.number: {type: eq, pattern: 1}"))
		ExpectReady(ctx, ruleNamed(namespace, "merged"), ruleNamed(namespace, "closed"), ruleNamed(namespace, "absent"))

		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(path, `{"action": "merged"}`)))
		Expect(record.Status.Phase).To(Equal(v1alpha1.PhaseProcessed))
		Expect(succeeded(record)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonMatched)))
		Expect(record.Status.Matched).To(BeEquivalentTo(1))
		Expect(record.Status.NotMatched).To(BeEquivalentTo(2))
		Expect(record.Status.Rules[0].Name).To(Equal("merged"))
		Expect(outcome(record, "closed")).To(And(HaveField("Result", v1alpha1.ResultNotMatched), HaveField("Reason", "CriterionNotMet"),
			HaveField("Message", And(ContainSubstring("trigger.body.action"), ContainSubstring(`"closed"`), ContainSubstring(`saw "merged"`)))))
		Expect(outcome(record, "absent").Message).To(And(ContainSubstring("trigger.body.number"), ContainSubstring("saw nothing")))
		Expect(record.Labels).To(And(HaveKeyWithValue(v1alpha1.LabelOutcome, v1alpha1.OutcomeSucceeded), HaveKeyWithValue(v1alpha1.LabelRule, "merged")))

		record = ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(path, `{"action": "opened"}`)))
		Expect(succeeded(record)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonNoRuleMatched)))
	})

	It("says why a Rule failed, and hides no other", func(ctx context.Context) {
		path := hook(ctx, "hook", "record: None",
			at("hook", "failing", "trigger.body.number: {type: regex, pattern: x}"),
			at("hook", "matching", "trigger.body.number: {type: eq, pattern: 5}"))
		ExpectReady(ctx, ruleNamed(namespace, "failing"), ruleNamed(namespace, "matching"))

		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(path, `{"number": 5}`)))
		Expect(record.Status.Phase).To(Equal(v1alpha1.PhaseProcessingFailed))
		Expect(succeeded(record)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonRuleFailed)))
		Expect(record.Status.Rules[0]).To(And(HaveField("Name", "failing"), HaveField("Result", v1alpha1.ResultFailed),
			HaveField("Message", And(ContainSubstring("trigger.body.number"), ContainSubstring("the value is a number")))))
		Expect(outcome(record, "matching").Result).To(Equal(v1alpha1.ResultMatched))
		Expect(record.Labels).To(HaveKeyWithValue(v1alpha1.LabelOutcome, v1alpha1.OutcomeFailed))

		failing := ruleNamed(namespace, "failing")
		Eventually(ctx, func(g Gomega) {
			g.Expect(fetch(ctx, failing)).To(Succeed())
			g.Expect(failing.Status.LastFailure).To(HaveField("Message", ContainSubstring("trigger.body.number")))
		}).Should(Succeed())
	})

	It("is an Event about the Webhook where it says Event, and nothing where it says None", func(ctx context.Context) {
		told := hook(ctx, "told", "record: Event", at("told", "on-told", ""))
		silent := hook(ctx, "silent", "record: None", at("silent", "on-silent", ""))
		ExpectReady(ctx, ruleNamed(namespace, "on-told"), ruleNamed(namespace, "on-silent"))

		quiet := ExpectAccepted(ctx, post(silent, `{}`))
		id := ExpectAccepted(ctx, post(told, `{}`))
		Eventually(ctx, events).WithArguments(ctx).Should(HaveLen(1))
		event := events(ctx)[0]
		Expect(event.Regarding).To(And(HaveField("Kind", "Webhook"), HaveField("Name", "told"), HaveField("Namespace", namespace)))
		Expect(event.Reason).To(Equal(v1alpha1.ReasonMatched))
		Expect(event.Note).To(And(ContainSubstring(id), ContainSubstring(v1alpha1.TriggerWebhook)))
		Expect(kubectl(ctx, "events", "--namespace", namespace, "--for", "webhook/told")).To(ContainSubstring(id))

		Consistently(ctx, events).WithArguments(ctx).Should(HaveLen(1))
		Expect(event.Note).NotTo(ContainSubstring(quiet))
		Expect(Records(ctx, namespace, "")).To(BeEmpty())
	})

	It("is one of the newest, as many as the Webhook's history holds", func(ctx context.Context) {
		path := hook(ctx, "hook", "succeeded: 3")
		var ids []string
		for range 8 {
			ids = append(ids, ExpectAccepted(ctx, post(path, `{}`)))
		}
		Expect(slices.IsSorted(ids)).To(BeTrue())
		Eventually(ctx, func() []string {
			var kept []string
			for _, record := range Records(ctx, namespace, "") {
				kept = append(kept, record.Spec.DeliveryID)
			}
			slices.Sort(kept)
			return kept
		}).Should(Equal(ids[5:]))
	})

	It("leaves the payload out where that is asked for, and says its size", func(ctx context.Context) {
		path := hook(ctx, "hook", "payload: Omit")
		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(path, `{"secret": "hush"}`)))
		Expect(record.Spec.Payload).To(BeEmpty())
		Expect(record.Spec.PayloadSize).To(BeNumerically(">", 18))
		Expect(record.Spec.PayloadDigest).To(HavePrefix("sha256:"))
	})

	It("is in each namespace that has a Rule for a generic trigger, and in no other", func(ctx context.Context) {
		trigger := "mypack." + strings.ReplaceAll(namespace, "-", "_")
		second, without := makeNamespace(ctx), makeNamespace(ctx)
		Apply(ctx, namespace, ruleFor("first", trigger, "trigger.n: {type: eq, pattern: 1}"))
		Apply(ctx, second, ruleFor("second", trigger, "trigger.n: {type: eq, pattern: 2}"))
		Apply(ctx, without, ruleFor("other", trigger+".other", ""))
		ExpectReady(ctx, ruleNamed(namespace, "first"), ruleNamed(second, "second"), ruleNamed(without, "other"))

		id := ExpectAccepted(ctx, post("/v1/webhooks/st2", `{"trigger": "`+trigger+`", "payload": {"n": 1}}`))
		first := ExpectRecord(ctx, namespace, id)
		Expect(first.Spec.Webhook).To(Equal(systemNamespace + "/st2"))
		Expect(outcome(first, "first").Result).To(Equal(v1alpha1.ResultMatched))
		Expect(first.Status.Rules).To(HaveLen(1))
		Expect(outcome(ExpectRecord(ctx, second, id), "second").Result).To(Equal(v1alpha1.ResultNotMatched))
		for _, none := range []string{without, systemNamespace} {
			Expect(Records(ctx, none, id)).To(BeEmpty())
		}
	})
})
