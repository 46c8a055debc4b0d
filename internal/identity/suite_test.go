package identity

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/hack/cluster"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

var (
	admin     client.Client
	own       *rest.Config // HookStorm's ServiceAccount, with the rights of a Reviewer
	namespace string       // of the spec
)

func TestKubernetes(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Token reviews by a Kubernetes API server")
}

var _ = BeforeSuite(func(ctx context.Context) {
	env, err := cluster.Start(ctx, cluster.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)
	admin, err = client.New(env.Config(), client.Options{})
	Expect(err).NotTo(HaveOccurred())
	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hookstorm-system"}})).To(Succeed())
	own = rest.AnonymousClientConfig(env.Config())
	own.QPS = -1
	own.BearerToken = token(ctx, createAccount(ctx, "hookstorm-system", "hookstorm"), "https://kubernetes.default.svc")
	Expect(admin.Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "reviewer"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
			{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
		},
	})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reviewer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reviewer"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "hookstorm-system", Name: "hookstorm"}},
	})).To(Succeed())
}, NodeTimeout(5*time.Minute))

var _ = BeforeEach(func(ctx context.Context) {
	SetDefaultEventuallyTimeout(2 * patience) // the API server keeps tokens for ten seconds
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "team-"}}
	Expect(admin.Create(ctx, created)).To(Succeed())
	namespace = created.Name
})

func createAccount(ctx context.Context, namespace, name string) *corev1.ServiceAccount {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(admin.Create(ctx, account)).To(Succeed())
	return account
}

// token is one of a ServiceAccount, for an audience.
func token(ctx context.Context, account *corev1.ServiceAccount, audience string) string {
	GinkgoHelper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
	Expect(admin.SubResource("token").Create(ctx, account, request)).To(Succeed())
	return request.Status.Token
}

// grant lets a ServiceAccount post to webhooks of the spec's namespace; without names to all.
func grant(ctx context.Context, to *corev1.ServiceAccount, webhooks ...string) {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "sender-"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"hookstorm.dev"}, Resources: []string{"webhooks/deliveries"}, Verbs: []string{"create"}, ResourceNames: webhooks,
	}}}
	Expect(admin.Create(ctx, role)).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "sender-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: to.Namespace, Name: to.Name}},
	})).To(Succeed())
}

// vault is the audience of another webhook.
const vault = "vault"

// door is the way in of the spec's webhooks, with a clock that the spec moves.
type door struct {
	clock
	method *auth.Kubernetes
}

func newDoor(config *rest.Config) *door {
	GinkgoHelper()
	clients, err := kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	d := &door{}
	d.method, err = auth.NewKubernetes(NewReviewer(ReviewerOptions{
		Tokens: clients.AuthenticationV1().TokenReviews(), Access: clients.AuthorizationV1().SubjectAccessReviews(),
		Logger: GinkgoLogr, Now: d.now,
	}).For([]string{auth.DefaultAudience, vault}), "")
	Expect(err).NotTo(HaveOccurred())
	return d
}

// admit is what a webhook of the spec's namespace makes of a token.
func (d *door) admit(ctx context.Context, token, webhook string) auth.Verdict {
	return d.method.Admit(ctx, &auth.Request{
		Credentials: auth.Credentials{Bearer: token}, Namespace: namespace, Webhook: webhook, Now: d.now(),
	}).Verdict
}

// ExpectSoon polls what a webhook makes of a token, past what is remembered.
func (d *door) ExpectSoon(ctx context.Context, token, webhook string, want auth.Verdict) {
	GinkgoHelper()
	Eventually(func() auth.Verdict {
		d.pass(reviewBounds().yes)
		return d.admit(ctx, token, webhook)
	}).Should(Equal(want))
}

var _ = Describe("A token of the cluster", func() {
	It("admits to the webhook that its account may post to, and to no other", func(ctx context.Context) {
		d := newDoor(own)
		sender, stranger := createAccount(ctx, namespace, "sender"), createAccount(ctx, namespace, "stranger")
		grant(ctx, sender, "git")
		good := token(ctx, sender, auth.DefaultAudience)
		d.ExpectSoon(ctx, good, "git", auth.Admitted)
		Expect(d.admit(ctx, good, "other")).To(Equal(auth.Refused))
		Expect(d.admit(ctx, good, "")).To(Equal(auth.Refused), "a url that nobody owns")
		Expect(d.admit(ctx, token(ctx, stranger, auth.DefaultAudience), "git")).To(Equal(auth.Refused))
	})

	It("admits everywhere in the namespace if its account may post to all webhooks", func(ctx context.Context) {
		d := newDoor(own)
		sender := createAccount(ctx, namespace, "sender")
		grant(ctx, sender)
		good := token(ctx, sender, auth.DefaultAudience)
		d.ExpectSoon(ctx, good, "git", auth.Admitted)
		Expect(d.admit(ctx, good, "")).To(Equal(auth.Admitted))
		namespace = "hookstorm-system"
		Expect(d.admit(ctx, good, "git")).To(Equal(auth.Refused), "another namespace")
	})

	It("admits only if it is for HookStorm", func(ctx context.Context) {
		d := newDoor(own)
		sender := createAccount(ctx, namespace, "sender")
		grant(ctx, sender)
		d.ExpectSoon(ctx, token(ctx, sender, auth.DefaultAudience), "git", auth.Admitted)
		for _, audience := range []string{"https://kubernetes.default.svc", vault} {
			Expect(d.admit(ctx, token(ctx, sender, audience), "git")).To(Equal(auth.Refused), audience)
		}
	})

	It("admits no longer when its account is deleted", func(ctx context.Context) {
		d := newDoor(own)
		sender := createAccount(ctx, namespace, "sender")
		grant(ctx, sender)
		good := token(ctx, sender, auth.DefaultAudience)
		d.ExpectSoon(ctx, good, "git", auth.Admitted)
		Expect(admin.Delete(ctx, sender)).To(Succeed())
		d.ExpectSoon(ctx, good, "git", auth.Refused)
	})

	It("admits nobody whom another cluster vouches for", func(ctx context.Context) {
		d := newDoor(own)
		Expect(d.admit(ctx, newSigner("key").token(start), "git")).To(Equal(auth.Refused))
	})

	It("is worth trying again while HookStorm may not ask, or the API server is away", func(ctx context.Context) {
		powerless := rest.CopyConfig(own)
		powerless.BearerToken = token(ctx, createAccount(ctx, namespace, "powerless"), "https://kubernetes.default.svc")
		away := rest.CopyConfig(own)
		away.Host = "https://127.0.0.1:1"
		good := token(ctx, createAccount(ctx, namespace, "sender"), auth.DefaultAudience)
		for _, config := range []*rest.Config{powerless, away} {
			d := newDoor(config)
			Expect(d.admit(ctx, good, "git")).To(Equal(auth.Unavailable))
			Expect(d.admit(ctx, "opaque", "git")).To(Equal(auth.Refused))
		}
	})
})
