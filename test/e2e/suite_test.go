// Package e2e_test tries HookStorm as its users meet it: the default manifests are on a real API server, the real binary, built
// with the race detector, runs as its ServiceAccount, manifests are applied with kubectl and deliveries posted with curl. What
// a spec looks at is what a user sees: answers, resources, conditions, Events.
//
// The suite has one control plane and one HookStorm, which some specs end and start again on the same data, or put two that share
// a queue in the place of; so specs run one after the other. Each has a namespace of its own. HOOKSTORM_SOAK=1 makes the kill test and the outage longer.
//
// Specs make credentials with canary, or note with secret those that they get. None may be found outside of Secrets.
package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/hack/cluster"
)

const (
	systemNamespace = "hookstorm-system"
	serviceAccount  = "hookstorm"
)

// systemToken is a token for all webhooks, with all scopes. The one of config/local is no word to look for in logs.
var systemToken = canary("system-token")

var (
	env       *cluster.Cluster
	admin     client.Client
	binary    string  // HookStorm, with the race detector
	hookstorm *server // the one of the suite
	namespace string  // the spec's own
)

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(30 * time.Second) // after a kill, a new leader is there after 17 s
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	SetDefaultConsistentlyDuration(time.Second)
	SetDefaultConsistentlyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "End to end")
}

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	env, err = cluster.Start(ctx, cluster.Options{Policy: true, Audit: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)
	admin = connect()

	Expect(env.Kubectl.Apply(ctx, "config/default")).To(Succeed())
	kubectl(ctx, "apply", "--filename", "config/local/matoken.yaml")
	watchSecrets()
	Apply(ctx, systemNamespace, tokenSecret("e2e", "token: "+systemToken, v1alpha1.AnnotationScopes+`: "send, list, read, replay"`))
	metricsToken = accountToken(ctx, systemNamespace, "metrics-reader", "")
	kubectl(ctx, "create", "clusterrolebinding", "metrics-reader", "--clusterrole=hookstorm-metrics-reader",
		"--serviceaccount="+systemNamespace+":metrics-reader")

	binary, err = gexec.Build("github.com/hookstorm/hookstorm", "-race")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)

	dir := GinkgoT().TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	Expect(env.Kubectl.WriteServiceAccountKubeconfig(ctx, systemNamespace, serviceAccount, kubeconfig)).To(Succeed())
	for _, file := range []string{kubeconfig, env.Kubectl.Kubeconfig} {
		config, err := clientcmd.BuildConfigFromFlags("", file)
		Expect(err).NotTo(HaveOccurred())
		secret("token for the API server", config.BearerToken)
	}
	hookstorm = newServer(kubeconfig, dir)
	hookstorm.Start(ctx)
	DeferCleanup(func() { hookstorm.Stop() })
}, NodeTimeout(10*time.Minute))

var _ = BeforeEach(func(ctx context.Context) {
	if !hookstorm.Running() {
		hookstorm.Start(ctx)
	}
	namespace = makeNamespace(ctx)
})

// Neither a race nor a missing right may stay unseen because a spec passed all the same; nor may a credential in what the next
// spec could end.
var _ = AfterEach(func(ctx context.Context) {
	log, err := os.ReadFile(hookstorm.log)
	Expect(err).NotTo(HaveOccurred())
	if CurrentSpecReport().Failed() {
		AddReportEntry("HookStorm's log", string(log[max(0, len(log)-20_000):]), ReportEntryVisibilityFailureOrVerbose)
	}
	Expect(string(log)).NotTo(ContainSubstring("DATA RACE"))
	Expect(string(log)).NotTo(MatchRegexp(`system:serviceaccount:[^ ]* cannot`), "a right is missing in config/rbac")
	places := hookstorm.QueueFiles()
	if hookstorm.Running() {
		places["metrics"] = hookstorm.Metrics(ctx)
	}
	ExpectNoCredential(places)
})

// soak reports whether the long versions are asked for.
func soak() bool { return os.Getenv("HOOKSTORM_SOAK") == "1" }

func connect() client.Client {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	c, err := client.New(env.Config(), client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// makeNamespace makes a namespace that is empty again after the spec. It is not deleted: nobody here would finish that.
func makeNamespace(ctx context.Context) string {
	GinkgoHelper()
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	Expect(admin.Create(ctx, made)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		ExpectNoCredential(objectsOf(ctx, made.Name))
		for _, kind := range []client.Object{
			&v1alpha1.Rule{}, &v1alpha1.Webhook{}, &v1alpha1.TriggerType{}, &v1alpha1.TriggerInstance{}, &corev1.Secret{},
		} {
			Expect(admin.DeleteAllOf(ctx, kind, client.InNamespace(made.Name))).To(Succeed())
		}
	})
	return made.Name
}
