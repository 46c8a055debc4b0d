// Package conformance posts StackStorm's recorded requests to the real binary and compares what it answers and what it
// dispatches with what StackStorm did. What differs on purpose is listed, with its reason, in docs/stackstorm.md.
package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/hack/cluster"
)

const system = "hookstorm-system"

var (
	k8s  client.Client
	base string // where the binary serves, http://…
)

func TestConformance(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Conformance")
}

var _ = BeforeSuite(func(ctx context.Context) {
	SetDefaultEventuallyTimeout(30 * time.Second)
	env, err := cluster.Start(ctx, cluster.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	k8s, err = client.New(env.Config(), client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Expect(k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}})).To(Succeed())
	startBinary(ctx, env)
}, NodeTimeout(10*time.Minute))

// startBinary builds HookStorm and runs it until the suite ends.
func startBinary(ctx context.Context, env *cluster.Cluster) {
	GinkgoHelper()
	root, err := cluster.Root()
	Expect(err).NotTo(HaveOccurred())
	binary := filepath.Join(GinkgoT().TempDir(), "hookstorm")
	build := exec.CommandContext(ctx, "go", "build", "-race", "-o", binary, ".")
	build.Dir = root
	output, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))

	address, err := cluster.FreeAddress()
	Expect(err).NotTo(HaveOccurred())
	health, err := cluster.FreeAddress()
	Expect(err).NotTo(HaveOccurred())
	log, err := os.Create(filepath.Join(GinkgoT().TempDir(), "hookstorm.log"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(log.Close)
	process, err := cluster.Launch("hookstorm", log, binary,
		"--kubeconfig="+env.Kubectl.Kubeconfig, "--webhook-bind-address="+address,
		"--health-probe-bind-address="+health, "--data-dir="+GinkgoT().TempDir())
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(process.Stop)
	Expect(process.WaitReady(ctx, "http://"+health+"/readyz")).To(Succeed())
	base = "http://" + address
}

// deviation is a case in which HookStorm differs on purpose: its answer's status, and what it dispatches is not compared.
type deviation struct {
	status int
	used   bool
}

// deviations reads the table of docs/stackstorm.md: rows "| http-001, http-002 | … | 404 … | … |".
func deviations() map[string]*deviation {
	GinkgoHelper()
	root, err := cluster.Root()
	Expect(err).NotTo(HaveOccurred())
	document, err := os.ReadFile(filepath.Join(root, "docs", "stackstorm.md"))
	Expect(err).NotTo(HaveOccurred())
	found := map[string]*deviation{}
	for line := range strings.SplitSeq(string(document), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.Contains(cells[1], "http-") {
			continue
		}
		var status int
		_, err := fmt.Sscanf(strings.TrimSpace(cells[3]), "%d", &status)
		Expect(err).NotTo(HaveOccurred(), "the third cell begins with a status: "+line)
		for id := range strings.SplitSeq(cells[1], ",") {
			found[strings.TrimSpace(id)] = &deviation{status: status}
		}
	}
	return found
}

var _ = It("answers and dispatches as StackStorm does, or as documented", func(ctx context.Context) {
	document, err := os.ReadFile(filepath.Join("testdata", "http.json"))
	Expect(err).NotTo(HaveOccurred())
	var cases []*testCase
	Expect(json.Unmarshal(document, &cases)).To(Succeed())

	listed := deviations()
	var failures []string
	passed, deviated := 0, 0
	for _, group := range bySetup(cases) {
		arrangement := arrange(ctx, group[0].Setup)
		for _, c := range group {
			exchange := arrangement.send(c)
			difference := exchange.compare(ctx, c)
			known := listed[c.ID]
			switch {
			case known == nil && difference == "":
				passed++
			case known == nil:
				failures = append(failures, fmt.Sprintf("%s (%s): %s", c.ID, c.Name, difference))
			case difference == "":
				failures = append(failures, fmt.Sprintf("%s (%s): is listed as a deviation, and passes", c.ID, c.Name))
			case exchange.status != known.status:
				failures = append(failures, fmt.Sprintf("%s (%s): status %d, documented %d", c.ID, c.Name, exchange.status, known.status))
			default:
				deviated++
				known.used = true
			}
		}
		arrangement.clear(ctx)
	}
	for id, known := range listed {
		if !known.used {
			failures = append(failures, id+": is listed as a deviation, and there is no such case or it failed")
		}
	}
	fmt.Printf("\nStackStorm's %d cases: %d passed, %d deviated as documented, %d failed\n", len(cases), passed, deviated, len(cases)-passed-deviated)
	Expect(failures).To(BeEmpty())
}, NodeTimeout(10*time.Minute))
