package v1alpha1_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	request = "kind: TriggerInstance\nspec: {trigger: {type: a.b}, payload: '{}'}"
	record  = "kind: TriggerInstance\nspec: {trigger: {type: a.b}, deliveryID: d}\nstatus: {phase: Processed, matched: 1}"
	denied  = "ValidatingAdmissionPolicy"
)

func may(resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"hookstorm.dev"}, Resources: []string{resource}, Verbs: verbs}
}

var _ = Describe("Who may write what became of a trigger", func() {
	var tenant, hookstorm client.Client

	BeforeEach(func(ctx context.Context) {
		all := []string{"create", "get", "list", "update", "patch", "delete"}
		tenant = grant(ctx, "tenant", may("triggerinstances", all...))
		hookstorm = grant(ctx, "hookstorm", may("triggerinstances", all...), may("triggerinstances/status", "update"))
	})

	It("lets a tenant ask for a dispatch, label records and delete them", func(ctx context.Context) {
		Expect(tenant.Create(ctx, object(request))).To(Succeed())
		o := object(record)
		Expect(hookstorm.Create(ctx, o)).To(Succeed())
		o.SetLabels(map[string]string{"reviewed": "yes"})
		Expect(tenant.Update(ctx, o)).To(Succeed())
		Expect(tenant.Delete(ctx, o)).To(Succeed())
	})

	It("denies a tenant to forge a record", func(ctx context.Context) {
		Expect(tenant.Create(ctx, object(record))).To(MatchError(ContainSubstring(denied)))
		Expect(tenant.Create(ctx, object("kind: TriggerInstance\nspec: {trigger: {type: a.b}, deliveryID: d}"))).To(MatchError(ContainSubstring(denied)))
	})

	It("denies a tenant to turn a request into a record", func(ctx context.Context) {
		o := object(request)
		Expect(tenant.Create(ctx, o)).To(Succeed())
		o.Object["spec"].(map[string]any)["deliveryID"] = "d"
		Expect(tenant.Update(ctx, o)).To(MatchError(ContainSubstring(denied)))
	})

	It("denies a tenant to flip an outcome or to take it away", func(ctx context.Context) {
		o := object(record)
		Expect(hookstorm.Create(ctx, o)).To(Succeed())
		flipped := o.DeepCopy()
		flipped.Object["status"].(map[string]any)["phase"] = "ProcessingFailed"
		Expect(tenant.Update(ctx, flipped)).To(MatchError(ContainSubstring(denied)))
		delete(o.Object, "status")
		Expect(tenant.Update(ctx, o)).To(MatchError(ContainSubstring(denied)))
	})

	It("denies a tenant to mark an object as a record, or a record as none", func(ctx context.Context) {
		o := object(request)
		o.SetLabels(map[string]string{"hookstorm.dev/outcome": "Succeeded", "hookstorm.dev/delivery": "zzzz"})
		Expect(tenant.Create(ctx, o)).To(MatchError(ContainSubstring(denied)))
		marked := object(record)
		marked.SetLabels(map[string]string{"hookstorm.dev/outcome": "Succeeded", "mine": "yes"})
		marked.SetAnnotations(map[string]string{"hookstorm.dev/bytes": "7"})
		Expect(hookstorm.Create(ctx, marked)).To(Succeed())
		marked.SetAnnotations(map[string]string{"hookstorm.dev/bytes": "0"})
		Expect(tenant.Update(ctx, marked)).To(MatchError(ContainSubstring(denied)))
		marked.SetAnnotations(map[string]string{"hookstorm.dev/bytes": "7", "note": "mine"})
		marked.SetLabels(map[string]string{"hookstorm.dev/outcome": "Succeeded"})
		Expect(tenant.Update(ctx, marked)).To(Succeed())
		marked.SetLabels(nil)
		Expect(tenant.Update(ctx, marked)).To(MatchError(ContainSubstring(denied)))
	})

	It("lets HookStorm write outcomes", func(ctx context.Context) {
		o := object(record)
		Expect(hookstorm.Create(ctx, o)).To(Succeed())
		o.Object["status"].(map[string]any)["phase"] = "ProcessingFailed"
		Expect(hookstorm.Update(ctx, o)).To(Succeed())
	})
})
