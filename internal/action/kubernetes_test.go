package action_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
)

const named = `{apiVersion: v1, kind: ConfigMap, metadata: {name: config}, data: {a: "1"}}`

var _ = Describe("create", func() {
	It("creates an object whose name derives from the delivery, labeled as the Rule's", func(ctx SpecContext) {
		t := task(create(`{apiVersion: v1, kind: ConfigMap, metadata: {generateName: out-, labels: {team: ci}, annotations: {a: b}}, data: {a: "1"}}`))
		name := t.ObjectName("out-")
		Expect(ExpectDone(ctx, t)).To(Equal(action.Result{Object: "configmap/" + name + " in " + namespace}))
		created := ExpectConfigMap(ctx, name)
		Expect(created.Data).To(Equal(map[string]string{"a": "1"}))
		Expect(created.Labels).To(Equal(map[string]string{
			"team": "ci", "hookstorm.dev/rule": "on-push", "hookstorm.dev/delivery": t.DeliveryID, "hookstorm.dev/webhook": "github-push",
		}))
		Expect(created.Annotations).To(Equal(map[string]string{"a": "b", "hookstorm.dev/action": t.IdempotencyKey()}))
		Expect(created.OwnerReferences).To(BeEmpty())
		Expect(created.ManagedFields[0].Manager).To(Equal("hookstorm"))
	})

	It("keeps in an annotation what is too long for a label", func(ctx SpecContext) {
		t := task(create(named), func(t *action.Task) {
			t.Webhook = action.Webhook{Namespace: "hookstorm-system", Name: strings.Repeat("w", 60)}
		})
		ExpectDone(ctx, t)
		created := ExpectConfigMap(ctx, "config")
		Expect(created.Labels).To(HaveKeyWithValue("hookstorm.dev/webhook", "hookstorm-system."+strings.Repeat("w", 46)))
		Expect(created.Annotations).To(HaveKeyWithValue("hookstorm.dev/webhook", "hookstorm-system/"+strings.Repeat("w", 60)))
	})

	DescribeTable("creates one object for a delivery that is processed twice", func(ctx SpecContext, template string) {
		t := task(create(template))
		first := ExpectDone(ctx, t)
		second := ExpectDone(ctx, t)
		Expect(second).To(Equal(action.Result{Object: first.Object, Message: "it was created at an earlier attempt"}))
	},
		Entry("under a derived name", `{apiVersion: v1, kind: ConfigMap}`),
		Entry("under its own name", named),
	)

	It("needs no right to get for a derived name", func(ctx SpecContext) {
		grant(ctx, rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}})
		t := task(create(`{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}`))
		first := ExpectDone(ctx, t)
		Expect(ExpectDone(ctx, t).Object).To(Equal(first.Object))
	})

	It("fails where another action of the same delivery has the name, and says which", func(ctx SpecContext) {
		t := task(create(named))
		ExpectDone(ctx, t)
		other := task(create(named))
		other.Action.Name = "other"
		failure := ExpectFailure(ctx, other, action.ReasonAlreadyExists)
		Expect(failure.Message).To(Equal("configmap/config in " + namespace + " exists already, created by action " + t.IdempotencyKey() +
			" of Rule on-push; choose another name, or ifExists: Keep"))
		Expect(failure.Retryable).To(BeFalse())
	})

	It("fails where somebody else has the name, and says who", func(ctx SpecContext) {
		createConfigMap(ctx, map[string]string{"a": "alice's"})
		failure := ExpectFailure(ctx, task(create(named)), action.ReasonAlreadyExists)
		Expect(failure.Message).To(ContainSubstring("exists already, created by alice;"))
		Expect(failure.Retryable).To(BeFalse())
	})

	It("is tried again where what has the name is being deleted", func(ctx SpecContext) {
		held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "config", Finalizers: []string{"example.org/hold"}}}
		Expect(admin.Create(ctx, held)).To(Succeed())
		Expect(admin.Delete(ctx, held)).To(Succeed())
		Expect(ExpectFailure(ctx, task(create(named)), action.ReasonAlreadyExists).Retryable).To(BeTrue())
	})

	It("leaves alone what somebody else has made, with ifExists: Keep", func(ctx SpecContext) {
		createConfigMap(ctx, map[string]string{"a": "alice's"})
		Expect(ExpectDone(ctx, task(keep(named)))).To(Equal(action.Result{
			Object: "configmap/config in " + namespace, Message: "it exists already and is kept",
		}))
		Expect(ExpectConfigMap(ctx, "config").Data).To(Equal(map[string]string{"a": "alice's"}))
	})

	It("refuses a field that the kind does not have", func(ctx SpecContext) {
		failure := ExpectFailure(ctx, task(create(`{apiVersion: v1, kind: ConfigMap, dada: {a: "1"}}`)), action.ReasonInvalid)
		Expect(failure.Message).To(ContainSubstring(`unknown field "dada"`))
		Expect(failure.Retryable).To(BeFalse())
	})

	It("is tried again for a kind that comes later", func(ctx SpecContext) {
		gadget := create(`{apiVersion: action.example.org/v1, kind: Gadget, spec: {a: 1}}`)
		failure := ExpectFailure(ctx, task(gadget), action.ReasonKindUnknown)
		Expect(failure.Message).To(Equal("the API server has no kind Gadget in action.example.org/v1; correct it, or install its CRD"))
		Expect(failure.Retryable).To(BeTrue())
		installGadgets(ctx)
		grant(ctx, rbacv1.PolicyRule{APIGroups: []string{"action.example.org"}, Resources: []string{"gadgets"}, Verbs: []string{"create", "get"}})
		Eventually(func() error { _, err := runner.Run(ctx, task(gadget)); return err }).Should(Succeed())
	})
})

// installGadgets installs a CRD.
func installGadgets(ctx context.Context) {
	GinkgoHelper()
	preserve := true
	Expect(admin.Create(ctx, unstructuredOf(&apiextensionsv1.CustomResourceDefinition{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"},
		ObjectMeta: metav1.ObjectMeta{Name: "gadgets.action.example.org"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "action.example.org", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "gadgets", Kind: "Gadget"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{
					OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &preserve},
				}}},
		},
	}))).To(Succeed())
}

var _ = Describe("apply", func() {
	It("creates an object and changes it", func(ctx SpecContext) {
		Expect(ExpectDone(ctx, task(apply(named, false))).Object).To(Equal("configmap/config in " + namespace))
		ExpectDone(ctx, task(apply(`{apiVersion: v1, kind: ConfigMap, metadata: {name: config}, data: {b: "2"}}`, false)))
		applied := ExpectConfigMap(ctx, "config")
		Expect(applied.Data).To(Equal(map[string]string{"b": "2"}))
		Expect(applied.Labels).To(HaveKeyWithValue("hookstorm.dev/rule", "on-push"))
	})

	It("fails where somebody else manages a field, and names both; force takes it over", func(ctx SpecContext) {
		createConfigMap(ctx, map[string]string{"a": "alice's"})
		failure := ExpectFailure(ctx, task(apply(named, false)), action.ReasonConflict)
		Expect(failure.Message).To(And(ContainSubstring(`"alice"`), ContainSubstring(".data.a"), HaveSuffix("; force: true takes the fields over")))
		Expect(failure.Retryable).To(BeFalse())
		ExpectDone(ctx, task(apply(named, true)))
		Expect(ExpectConfigMap(ctx, "config").Data).To(Equal(map[string]string{"a": "1"}))
	})
})

var _ = Describe("patch", func() {
	DescribeTable("changes an object", func(ctx SpecContext, format v1alpha1.PatchType, document string) {
		createConfigMap(ctx, map[string]string{"a": "old", "b": "old"})
		Expect(ExpectDone(ctx, task(patch("config", format, document)))).To(Equal(action.Result{Object: "configmap/config in " + namespace}))
		Expect(ExpectConfigMap(ctx, "config").Data).To(Equal(map[string]string{"a": "new"}))
	},
		Entry("with a merge patch", v1alpha1.PatchMerge, `{data: {a: new, b: null}}`),
		Entry("with the type omitted", v1alpha1.PatchType(""), `{data: {a: new, b: null}}`),
		Entry("with a strategic merge patch", v1alpha1.PatchStrategic, `{data: {$patch: replace, a: new}}`),
		Entry("with a JSON patch", v1alpha1.PatchJSON, `[{op: replace, path: /data/a, value: new}, {op: remove, path: /data/b}]`),
	)

	DescribeTable("fails for good", func(ctx SpecContext, format v1alpha1.PatchType, document string) {
		const old = "what nobody else may read"
		createConfigMap(ctx, map[string]string{"a": old})
		failure := ExpectFailure(ctx, task(patch("config", format, document)), action.ReasonInvalid)
		Expect(failure.Retryable).To(BeFalse())
		Expect(failure.Message).NotTo(ContainSubstring(old), "the ServiceAccount may have no right to read the object")
		Expect(ExpectConfigMap(ctx, "config").Data).To(Equal(map[string]string{"a": old}))
	},
		Entry("where a value is of another type", v1alpha1.PatchMerge, `{metadata: {labels: {version: 7}}}`),
		Entry("where a JSON patch's test fails", v1alpha1.PatchJSON, `[{op: test, path: /data/a, value: other}, {op: replace, path: /data/a, value: new}]`),
		Entry("where a JSON patch's path does not exist", v1alpha1.PatchJSON, `[{op: replace, path: /nothing/a, value: new}]`),
		Entry("where the object would be invalid", v1alpha1.PatchMerge, `{data: {"a/b": new}}`),
		Entry("where the kind has no such field", v1alpha1.PatchMerge, `{dada: {a: new}}`),
	)

	It("is tried again for an object that does not exist", func(ctx SpecContext) {
		failure := ExpectFailure(ctx, task(patch("none", v1alpha1.PatchMerge, `{data: {a: new}}`)), action.ReasonNotFound)
		Expect(failure).To(Equal(&action.Failure{
			Reason: action.ReasonNotFound, Message: "configmap/none in " + namespace + " does not exist", Retryable: true,
		}))
	})
})

var _ = Describe("delete", func() {
	It("deletes an object, and is done where it is gone", func(ctx SpecContext) {
		createConfigMap(ctx, nil)
		object := "configmap/config in " + namespace
		Expect(ExpectDone(ctx, task(remove(configMap("config"))))).To(Equal(action.Result{Object: object}))
		err := admin.Get(ctx, types.NamespacedName{Namespace: namespace, Name: "config"}, &corev1.ConfigMap{})
		Expect(err).To(MatchError(ContainSubstring("not found")))
		Expect(ExpectDone(ctx, task(remove(configMap("config"))))).To(Equal(action.Result{Object: object, Message: "it was gone already"}))
	})
})

var _ = Describe("rights", func() {
	It("are the ServiceAccount's, and what is missing is named with how to grant it", func(ctx SpecContext) {
		t := task(create(`{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}`))
		failure := ExpectFailure(ctx, t, action.ReasonForbidden)
		Expect(failure.Retryable).To(BeFalse())
		Expect(failure.Message).To(Equal("ServiceAccount " + namespace + "/builder may not create jobs.batch in namespace " + namespace +
			"; grant it with: kubectl create role builder-create-jobs.batch --verb=create --resource=jobs.batch -n " + namespace +
			" && kubectl create rolebinding builder-create-jobs.batch --role=builder-create-jobs.batch --serviceaccount=" + namespace +
			":builder -n " + namespace))
	})

	It("name the verb that an apply needs", func(ctx SpecContext) {
		failure := ExpectFailure(ctx, task(apply(`{apiVersion: v1, kind: Secret, metadata: {name: a}}`, false)), action.ReasonForbidden)
		Expect(failure.Message).To(HavePrefix("ServiceAccount " + namespace + "/builder may not patch secrets in namespace " + namespace + ";"))
	})

	It("end at the namespace: nothing of the cluster is written", func(ctx SpecContext) {
		cluster := create(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: everything, namespace: ignored}, rules: []}`)
		failure := ExpectFailure(ctx, task(cluster), action.ReasonForbidden)
		Expect(failure.Message).To(HavePrefix("ServiceAccount " + namespace + "/builder may not create clusterroles.rbac.authorization.k8s.io in the cluster" +
			"; grant it with: kubectl create clusterrole " + namespace + "-builder-create-clusterroles"))
	})

	It("end at the namespace: nothing of another is written", func(ctx SpecContext) {
		other := newNamespace(ctx)
		template := `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ` + other + `}}`
		failure := ExpectFailure(ctx, task(create(template)), action.ReasonForbidden)
		Expect(failure.Message).To(HavePrefix("ServiceAccount " + namespace + "/builder may not create configmaps in namespace " + other + ";"))
	})

	It("are those that the groups of ServiceAccounts have, too", func(ctx SpecContext) {
		Expect(admin.Create(ctx, &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "group"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"create"}}},
		})).To(Succeed())
		Expect(admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "group"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "group"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts:" + namespace}},
		})).To(Succeed())
		ExpectDone(ctx, task(create(`{apiVersion: v1, kind: Service, spec: {ports: [{port: 80}]}}`)))
	})

	It("are never HookStorm's own", func(ctx SpecContext) {
		// HookStorm may create Secrets, and the ServiceAccount may not.
		Expect(admin.Create(ctx, &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "own"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}}},
		})).To(Succeed())
		bind(ctx, "Role", "own", account)
		Eventually(func() error {
			return own.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "own-"}})
		}).Should(Succeed())
		Expect(ExpectFailure(ctx, task(create(`{apiVersion: v1, kind: Secret}`)), action.ReasonForbidden).Message).To(HavePrefix("ServiceAccount " + namespace + "/builder"))
	})

	It("to act are HookStorm's only where the namespace binds them", func(ctx SpecContext) {
		ExpectDone(ctx, task(create(`{apiVersion: v1, kind: ConfigMap}`)))
		unbound := newNamespace(ctx)
		t := task(create(`{apiVersion: v1, kind: ConfigMap}`))
		t.Namespace = unbound
		failure := ExpectFailure(ctx, t, action.ReasonActionsNotAllowed)
		Expect(failure.Message).To(Equal(notAllowed(unbound)))
		Expect(failure.Retryable).To(BeFalse())
	})

	It("of RBAC itself cannot be widened", func(ctx SpecContext) {
		grant(ctx, rbacv1.PolicyRule{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles"}, Verbs: []string{"create"}})
		widening := create(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: all}, rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}`)
		Expect(ExpectFailure(ctx, task(widening), action.ReasonDenied).Message).To(ContainSubstring("is attempting to grant RBAC permissions not currently held"))
	})
})

var _ = Describe("namespaces", func() {
	It("that are being deleted take nothing new", func(ctx SpecContext) {
		ExpectDone(ctx, task(create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: first}}`)))
		held := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		Expect(admin.Delete(ctx, held)).To(Succeed())
		failure := ExpectFailure(ctx, task(create(`{apiVersion: v1, kind: ConfigMap}`)), action.ReasonNamespaceGone)
		Expect(failure).To(Equal(&action.Failure{Reason: action.ReasonNamespaceGone, Message: "namespace " + namespace + " is being deleted"}))
	})

	It("that do not exist take nothing", func(ctx SpecContext) {
		Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "builder"}},
		})).To(Succeed())
		none := `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: none-such}}`
		for _, a := range []v1alpha1.Action{create(none), apply(none, false)} {
			failure := ExpectFailure(ctx, task(a), action.ReasonNamespaceGone)
			Expect(failure).To(Equal(&action.Failure{Reason: action.ReasonNamespaceGone, Message: "namespace none-such does not exist"}))
		}
	})

	It("whose quota is used up are tried again", func(ctx SpecContext) {
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "small"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("1")}},
		}
		Expect(admin.Create(ctx, quota)).To(Succeed())
		quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"count/configmaps": resource.MustParse("1")}}
		Expect(admin.Status().Update(ctx, quota)).To(Succeed())
		failure := ExpectFailure(ctx, task(create(`{apiVersion: v1, kind: ConfigMap}`)), action.ReasonQuotaExceeded)
		Expect(failure.Message).To(ContainSubstring("exceeded quota: small"))
		Expect(failure.Retryable).To(BeTrue())
	})
})

// unstructuredOf returns an object as a client without its type knows it.
func unstructuredOf(o *apiextensionsv1.CustomResourceDefinition) client.Object {
	GinkgoHelper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	Expect(err).NotTo(HaveOccurred())
	return &unstructured.Unstructured{Object: content}
}
