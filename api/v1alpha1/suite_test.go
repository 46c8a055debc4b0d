package v1alpha1_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hookstorm/hookstorm/hack/cluster"
)

var (
	env       *cluster.Cluster
	admin     client.Client
	namespace string
)

func TestAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "API")
}

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	env, err = cluster.Start(ctx, cluster.Options{Policy: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)
	admin = connect(env.Config())
}, NodeTimeout(5*time.Minute))

var _ = BeforeEach(func(ctx context.Context) {
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "api-"}}
	Expect(admin.Create(ctx, created)).To(Succeed())
	namespace = created.Name
})

// connect returns a client that, as kubectl does, has the server refuse unknown fields.
func connect(config *rest.Config) client.Client {
	GinkgoHelper()
	c, err := client.New(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	return client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

// object reads a manifest into the spec's namespace.
func object(manifest string) *unstructured.Unstructured {
	GinkgoHelper()
	o := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte(manifest), &o.Object)).To(Succeed())
	o.SetAPIVersion("hookstorm.dev/v1alpha1")
	o.SetNamespace(namespace)
	if o.GetName() == "" {
		o.SetGenerateName("x-")
	}
	return o
}

// ExpectAccepted creates the object of a manifest.
func ExpectAccepted(ctx context.Context, manifest string) *unstructured.Unstructured {
	GinkgoHelper()
	o := object(manifest)
	Expect(admin.Create(ctx, o)).To(Succeed())
	return o
}

// ExpectRefused expects that the server refuses a manifest and says why.
func ExpectRefused(ctx context.Context, manifest string, why string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, object(manifest))).To(MatchError(ContainSubstring(why)))
}

// grant lets a user do something in the spec's namespace, once RBAC knows.
func grant(ctx context.Context, user string, rules ...rbacv1.PolicyRule) client.Client {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: namespace}, Rules: rules}
	Expect(admin.Create(ctx, role)).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
	c := connect(env.As(user))
	Eventually(func() error {
		return c.List(ctx, list("TriggerInstanceList"), client.InNamespace(namespace))
	}).WithTimeout(30 * time.Second).Should(Succeed())
	return c
}

func list(kind string) *unstructured.UnstructuredList {
	l := &unstructured.UnstructuredList{}
	l.SetAPIVersion("hookstorm.dev/v1alpha1")
	l.SetKind(kind)
	return l
}
