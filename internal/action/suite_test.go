package action_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/hack/cluster"
	"github.com/hookstorm/hookstorm/internal/action"
)

// actions is the ClusterRole that a namespace binds to let HookStorm act in it.
const actions = "hookstorm-actions"

var (
	admin     client.Client
	own       client.Client  // HookStorm's ServiceAccount
	runner    *action.Runner // as HookStorm's ServiceAccount, which has no right but where a namespace binds actions to it
	namespace string         // of the spec, which binds it
)

func TestKubernetes(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Actions on a Kubernetes API server")
}

var _ = BeforeSuite(func(ctx context.Context) {
	env, err := cluster.Start(ctx, cluster.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)
	admin, err = client.New(env.Config(), client.Options{})
	Expect(err).NotTo(HaveOccurred())
	createNamespace(ctx, account.Namespace)
	Expect(admin.Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: actions},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate"}}},
	})).To(Succeed())
	config := serviceAccount(ctx, env.Config(), account)
	own, err = client.New(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	runner, err = action.New(action.Options{Config: config, Account: account})
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(5*time.Minute))

// serviceAccount makes a ServiceAccount and returns how it reaches the API server: with a token of its own.
func serviceAccount(ctx context.Context, config *rest.Config, name types.NamespacedName) *rest.Config {
	GinkgoHelper()
	made := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	Expect(admin.Create(ctx, made)).To(Succeed())
	token := &authenticationv1.TokenRequest{}
	Expect(admin.SubResource("token").Create(ctx, made, token)).To(Succeed())
	config = rest.AnonymousClientConfig(config)
	config.BearerToken = token.Status.Token
	return config
}

var _ = BeforeEach(func(ctx context.Context) {
	SetDefaultEventuallyTimeout(patience)
	namespace = newNamespace(ctx)
	bind(ctx, "ClusterRole", actions, account)
	grant(ctx, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "create", "patch", "delete"},
	})
})

func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "act-"}}
	Expect(admin.Create(ctx, created)).To(Succeed())
	return created.Name
}

func createNamespace(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
}

// bind gives a role to a ServiceAccount in the spec's namespace.
func bind(ctx context.Context, kind, role string, to types.NamespacedName) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: role + "-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: to.Namespace, Name: to.Name}},
	})).To(Succeed())
}

// grant lets the spec's ServiceAccount builder do something in the spec's namespace.
func grant(ctx context.Context, rules ...rbacv1.PolicyRule) {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "builder-"}, Rules: rules}
	Expect(admin.Create(ctx, role)).To(Succeed())
	bind(ctx, "Role", role.Name, types.NamespacedName{Namespace: namespace, Name: "builder"})
}

// task builds a task of the spec's namespace.
func task(a v1alpha1.Action, change ...func(*action.Task)) *action.Task {
	t := aTask(a)
	t.Namespace, t.Webhook.Namespace = namespace, namespace
	for _, c := range change {
		c(t)
	}
	return t
}

// create is an action that creates an object, given in YAML.
func create(template string) v1alpha1.Action {
	return v1alpha1.Action{Create: &v1alpha1.CreateAction{Template: fromYAML(template)}}
}

// keep is one that leaves alone what exists.
func keep(template string) v1alpha1.Action {
	return v1alpha1.Action{Create: &v1alpha1.CreateAction{Template: fromYAML(template), IfExists: v1alpha1.IfExistsKeep}}
}

// apply is an action that applies an object.
func apply(template string, force bool) v1alpha1.Action {
	return v1alpha1.Action{Apply: &v1alpha1.ApplyAction{Template: fromYAML(template), Force: force}}
}

// patch is an action that patches a ConfigMap.
func patch(name string, format v1alpha1.PatchType, document string) v1alpha1.Action {
	return v1alpha1.Action{Patch: &v1alpha1.PatchAction{Target: configMap(name), Type: format, Patch: fromYAML(document)}}
}

// remove is an action that deletes an object.
func remove(target v1alpha1.ObjectTarget) v1alpha1.Action {
	return v1alpha1.Action{Delete: &v1alpha1.DeleteAction{Target: target}}
}

func configMap(name string) v1alpha1.ObjectTarget {
	return v1alpha1.ObjectTarget{APIVersion: "v1", Kind: "ConfigMap", Name: name}
}

func fromYAML(document string) apiextensionsv1.JSON {
	GinkgoHelper()
	converted, err := yaml.YAMLToJSON([]byte(document))
	Expect(err).NotTo(HaveOccurred())
	return raw(string(converted))
}

// ExpectDone runs a task until it succeeds, since RBAC takes a moment to know of a grant, and returns what it did.
func ExpectDone(ctx context.Context, t *action.Task) action.Result {
	GinkgoHelper()
	var result action.Result
	Eventually(func(g Gomega) {
		done, err := runner.Run(ctx, t)
		if failure, ok := errors.AsType[*action.Failure](err); ok && !early(failure) {
			StopTrying(failure.Message).Now()
		}
		g.Expect(err).NotTo(HaveOccurred())
		result = done
	}).Should(Succeed())
	return result
}

// early reports whether a failure may be due to a grant that RBAC does not know yet.
func early(failure *action.Failure) bool {
	return failure.Reason == action.ReasonForbidden || failure.Reason == action.ReasonActionsNotAllowed
}

// ExpectFailure runs a task until it fails for the reason, and returns why.
func ExpectFailure(ctx context.Context, t *action.Task, reason action.Reason) *action.Failure {
	GinkgoHelper()
	var failure *action.Failure
	Eventually(func(g Gomega) {
		_, err := runner.Run(ctx, t)
		var ok bool
		failure, ok = errors.AsType[*action.Failure](err)
		g.Expect(ok).To(BeTrue(), "it succeeded")
		g.Expect(failure.Reason).To(Equal(reason), failure.Message)
	}).Should(Succeed())
	return failure
}

// ExpectConfigMap reads a ConfigMap of the spec's namespace.
func ExpectConfigMap(ctx context.Context, name string) *corev1.ConfigMap {
	GinkgoHelper()
	found := &corev1.ConfigMap{}
	Expect(admin.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, found)).To(Succeed())
	return found
}

// createConfigMap makes the ConfigMap config as somebody else does.
func createConfigMap(ctx context.Context, data map[string]string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "config"}, Data: data,
	}, client.FieldOwner("alice"))).To(Succeed())
}
