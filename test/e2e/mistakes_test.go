package e2e_test

import (
	"context"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

var _ = Describe("A mistake", func() {
	var url string

	// Whatever is wrong beside it, this Rule goes on.
	BeforeEach(func(ctx context.Context) {
		url = namespace + "-good"
		Apply(ctx, namespace, ruleAt("good", url, "trigger.body.a: {type: eq, pattern: 1}"))
		ExpectReady(ctx, ruleNamed(namespace, "good"))
	})
	AfterEach(func(ctx context.Context) {
		Apply(ctx, namespace, ruleAt("later", url, "trigger.body.a: {type: eq, pattern: 1}"))
		ExpectReady(ctx, ruleNamed(namespace, "later"))
		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(url), `{"a": 1}`)))
		Expect(outcome(record, "good").Result).To(Equal(v1alpha1.ResultMatched))
		Expect(outcome(record, "later").Result).To(Equal(v1alpha1.ResultMatched))
	})

	It("in the form of two Webhooks with one url is told, and the first goes on", func(ctx context.Context) {
		twice := namespace + "-twice"
		Apply(ctx, namespace, webhook("a-first", "url: "+twice))
		ExpectReady(ctx, webhookNamed(namespace, "a-first"))
		Apply(ctx, namespace, webhook("second", "url: /"+twice+"/"))
		ExpectCondition(ctx, webhookNamed(namespace, "second"), v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonConflicted,
			"spec.url", "a-first", "choose another")
		ExpectCondition(ctx, webhookNamed(namespace, "second"), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonConflicted)
		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(twice), `{}`)))
		Expect(record.Spec.Webhook).To(Equal("a-first"))

		Delete(ctx, namespace, "webhook/a-first")
		ExpectReady(ctx, webhookNamed(namespace, "second"))
		record = ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(twice), `{}`)))
		Expect(record.Spec.Webhook).To(Equal("second"))
	})

	DescribeTable("in a Webhook closes it and is told", func(ctx context.Context, fields string, parts ...string) {
		bad := namespace + "-bad"
		Apply(ctx, namespace, webhook("bad", "url: "+bad+", "+fields))
		hook := webhookNamed(namespace, "bad")
		ExpectCondition(ctx, hook, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalid, parts...)
		ExpectCondition(ctx, hook, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalid, parts...)
		ExpectRefused(ctx, post(short(bad), `{}`), http.StatusUnauthorized)

		Apply(ctx, namespace, webhook("bad", "url: "+bad))
		ExpectReady(ctx, hook)
		ExpectAccepted(ctx, post(short(bad), `{}`))
	},
		Entry("that wants the Rules of all namespaces", "allowedRules: {namespaces: {from: All}}",
			"spec.allowedRules.namespaces.from", systemNamespace, "write Same"),
		Entry("that wants the Rules of some namespaces", "allowedRules: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}",
			"spec.allowedRules.namespaces.from", systemNamespace, "write Same"),
		Entry("whose payloadSchema is none", "payloadSchema: {type: 5}", "spec.payloadSchema"),
		Entry("whose payloadSchema refers to a file", `payloadSchema: {$ref: "file:///etc/passwd"}`, "spec.payloadSchema"),
	)

	DescribeTable("in a Rule keeps it out and is told", func(ctx context.Context, criterion string, parts ...string) {
		Apply(ctx, namespace, ruleAt("bad", url, "trigger.body.ok: {type: exists}, trigger.body.wrong: "+criterion))
		bad := ruleNamed(namespace, "bad")
		parts = append(parts, `spec.criteria["trigger.body.wrong"]`)
		ExpectCondition(ctx, bad, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalid, parts...)
		ExpectCondition(ctx, bad, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalid, parts...)
		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(url), `{"a": 1}`)))
		Expect(record.Status.Rules).To(HaveLen(1))

		Apply(ctx, namespace, ruleAt("bad", url, ""))
		ExpectReady(ctx, bad)
		record = ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(url), `{"a": 1}`)))
		Expect(outcome(record, "bad").Result).To(Equal(v1alpha1.ResultMatched))
	},
		Entry("that names an unknown operator", "{type: equalz, pattern: 1}", "type:", `"equalz"`, "use one of", "equals"),
		Entry("that has a broken regular expression", "{type: regex, pattern: '('}", "pattern:", "regular expression"),
		Entry("that has a regular expression of another kind", "{type: regex, pattern: '(?=x)'}", "pattern:", "look-ahead is not supported"),
		Entry("that has a template of Jinja", "{type: eq, pattern: '{{ st2kv.system.x }}'}", "pattern:", "template", "write ${…}"),
		Entry("that has no pattern", "{type: contains}", "pattern:", "required"),
	)

	It("in the path of a criterion is told", func(ctx context.Context) {
		Apply(ctx, namespace, ruleAt("bad", url, "'trigger.body[': {type: exists}"))
		ExpectCondition(ctx, ruleNamed(namespace, "bad"), v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalid,
			`spec.criteria["trigger.body["]`, "write a path such as")
	})

	It("of two TriggerTypes for one trigger is told", func(ctx context.Context) {
		Apply(ctx, namespace, object("TriggerType", "a-first", "type: mypack.twice"), object("TriggerType", "second", "type: mypack.twice"))
		ExpectCondition(ctx, typeNamed(namespace, "a-first"), v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		ExpectCondition(ctx, typeNamed(namespace, "second"), v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonConflicted, "spec.type", "a-first")
	})

	It("in a request is told to its sender", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("small", "url: "+namespace+"/small, limits: {maxBodySize: 1Ki}"))
		ExpectReady(ctx, webhookNamed(namespace, "small"))
		small := short(namespace + "/small")
		for _, mistake := range []struct {
			request request
			status  int
			told    string
		}{
			{post(short(url), `{"a": `), http.StatusBadRequest, "Failed to parse request body"},
			{post(short(url), `"a"`), http.StatusBadRequest, "is not of type 'object', 'array'"},
			{post(small, `{"a": "`+strings.Repeat("x", 1024)+`"}`), http.StatusRequestEntityTooLarge, "at most 1024 bytes"},
			{post(namespaced(namespace, namespace+"%2fsmall"), `{}`), http.StatusNotFound, "not registered"},
			{post(small+"/../small", `{}`), http.StatusNotFound, "not registered"},
			{post("/v1/webhooks//"+url, `{}`), http.StatusNotFound, "not registered"},
			{post("/v2/webhooks/"+url, `{}`), http.StatusNotFound, "could not be found"},
		} {
			Expect(ExpectRefused(ctx, mistake.request, mistake.status).body).To(ContainSubstring(mistake.told), mistake.request.path)
		}
		ExpectAccepted(ctx, post(small, `{"a": 1}`))
	})
})

func typeNamed(namespace, name string) *v1alpha1.TriggerType {
	return &v1alpha1.TriggerType{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}
