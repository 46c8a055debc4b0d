package controllers_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/controllers"
	"github.com/hookstorm/hookstorm/hack/cluster"
	"github.com/hookstorm/hookstorm/internal/rule"
	"github.com/hookstorm/hookstorm/webhookserver"
)

const system = "hookstorm-system"

var (
	k8s      client.Client
	books    = rule.NewBooks()
	routes   = &webhookserver.Routes{}
	injector = &injections{}

	programmer *controllers.Programmer

	namespace string
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Controllers")
}

var _ = BeforeSuite(func(ctx context.Context) {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	env, err := cluster.Start(ctx, cluster.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)

	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	k8s, err = client.New(env.Config(), client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Expect(k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}})).To(Succeed())

	mgr, err := ctrl.NewManager(env.Config(), ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	Expect(err).NotTo(HaveOccurred())
	startControllers(mgr)
}, NodeTimeout(5*time.Minute))

// startControllers runs the controllers as the program does, but for the queue and the server.
func startControllers(mgr ctrl.Manager) {
	GinkgoHelper()
	c := mgr.GetClient()
	programmer = controllers.NewProgrammer(c, controllers.Settings{SystemNamespace: system, ExternalURL: "https://hooks.example", TLS: true}, identity(), books, routes)
	keeper := &controllers.KeptWebhookReconciler{Client: c}
	history := &controllers.HistoryReconciler{Client: c, Limits: controllers.DefaultHistoryLimits, Now: time.Now}
	secrets := &controllers.SecretReconciler{Client: c, Events: mgr.GetEventRecorder("hookstorm")}
	injection := &controllers.InjectionReconciler{Client: c, Live: mgr.GetAPIReader(), Injector: injector}
	leadership, err := controllers.NewLeadership(mgr.GetConfig(), system, ctrl.Log, programmer.ReportAll, keeper.KeepAll, history.LookAgain,
		secrets.LookAtAll, injection.LookAtAll)
	Expect(err).NotTo(HaveOccurred())
	keeper.Leader, history.Leader, secrets.Leader, injection.Leader = leadership, leadership, leadership, leadership
	for _, controller := range []interface{ SetupWithManager(ctrl.Manager) error }{
		programmer, keeper, history, secrets, injection, controllers.NewGrantReconciler(c, programmer),
		controllers.NewRuleReconciler(c, leadership, programmer),
		controllers.NewWebhookReconciler(c, leadership, programmer, mgr.GetEventRecorder("hookstorm")),
		controllers.NewTriggerTypeReconciler(c, leadership, programmer),
	} {
		Expect(controller.SetupWithManager(mgr)).To(Succeed())
	}
	Expect(mgr.Add(leadership)).To(Succeed())

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).WithTimeout(time.Minute).Should(Receive(Succeed()))
	})
}

var _ = BeforeEach(func(ctx context.Context) {
	SetDefaultEventuallyTimeout(20 * time.Second)
	namespace = newNamespace(ctx)
})

func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "ns-"}}
	Expect(k8s.Create(ctx, created)).To(Succeed())
	return created.Name
}

// aWebhook builds a Webhook of the spec's namespace.
func aWebhook(name, url string, change ...func(*v1alpha1.Webhook)) *v1alpha1.Webhook {
	w := &v1alpha1.Webhook{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.WebhookSpec{URL: url}}
	for _, c := range change {
		c(w)
	}
	return w
}

// aRule builds a Rule of the spec's namespace that registers a url.
func aRule(name, url string, change ...func(*v1alpha1.Rule)) *v1alpha1.Rule {
	r := &v1alpha1.Rule{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.RuleSpec{Trigger: v1alpha1.RuleTrigger{
		Type: v1alpha1.TriggerWebhook, Parameters: map[string]v1alpha1.ParameterValue{"url": v1alpha1.ParameterValue(url)},
	}}}
	for _, c := range change {
		c(r)
	}
	return r
}

// ExpectCreated creates objects.
func ExpectCreated(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, o := range objects {
		Expect(k8s.Create(ctx, o)).To(Succeed())
	}
}

// ExpectCondition waits until an object's condition, of its present generation, is as told. It leaves the object as read.
func ExpectCondition(ctx context.Context, o interface {
	client.Object
	GetConditions() *[]metav1.Condition
}, conditionType string, status metav1.ConditionStatus, reason, message string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
		condition := meta.FindStatusCondition(*o.GetConditions(), conditionType)
		g.Expect(condition).NotTo(BeNil())
		g.Expect(condition.ObservedGeneration).To(Equal(o.GetGeneration()))
		g.Expect(condition.Status).To(Equal(status), condition.Message)
		g.Expect(condition.Reason).To(Equal(reason), condition.Message)
		g.Expect(condition.Message).To(ContainSubstring(message))
	}).Should(Succeed())
}

// ExpectGone waits until an object is deleted.
func ExpectGone(ctx context.Context, o client.Object) {
	GinkgoHelper()
	Eventually(func() error { return k8s.Get(ctx, client.ObjectKeyFromObject(o), o) }).Should(MatchError(ContainSubstring("not found")))
}
