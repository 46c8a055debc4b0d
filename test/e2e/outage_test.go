package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

var _ = Describe("While Kubernetes lets it down, HookStorm", func() {
	BeforeEach(func(ctx context.Context) {
		Apply(ctx, namespace, webhook("hook", "url: "+namespace+", history: {succeeded: 1000}"), ruleAt("rule", namespace, ""))
		ExpectReady(ctx, webhookNamed(namespace, "hook"), ruleNamed(namespace, "rule"))
	})

	It("goes on taking deliveries when it loses its lease, and leads again when the lease is free", func(ctx context.Context) {
		_, mark := hookstorm.Log(0)
		senders := startLoad(loadOptions{path: short(namespace), clients: 2, perSecond: 20})
		DeferCleanup(senders.Stop)

		const usurper = "somebody-else"
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "hookstorm-leader"}}
		Eventually(ctx, func(g Gomega) {
			g.Expect(fetch(ctx, lease)).To(Succeed())
			lease.Spec.HolderIdentity = ptr.To(usurper)
			lease.Spec.RenewTime = &metav1.MicroTime{Time: time.Now()}
			g.Expect(admin.Update(ctx, lease)).To(Succeed())
		}).Should(Succeed())
		Eventually(ctx, func() string {
			log, _ := hookstorm.Log(mark)
			return log
		}).Should(ContainSubstring("leads no more"))
		Apply(ctx, namespace, ruleAt("meanwhile", namespace+"/meanwhile", ""))
		ExpectServed(ctx, short(namespace+"/meanwhile"))
		ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(namespace+"/meanwhile"), `{}`)))

		Eventually(ctx, func(g Gomega) {
			g.Expect(fetch(ctx, lease)).To(Succeed())
			g.Expect(lease.Spec.HolderIdentity).NotTo(HaveValue(Equal(usurper)))
		}).WithTimeout(time.Minute).Should(Succeed())
		ExpectReady(ctx, ruleNamed(namespace, "meanwhile"))
		ExpectKept(ctx, namespace, namespace+"/meanwhile")

		Expect(slices.DeleteFunc(senders.Stop(), sent.accepted)).To(BeEmpty())
		Expect(hookstorm.Running()).To(BeTrue())
	})

	It("goes on taking deliveries when the API server does not answer, and records them all afterwards", func(ctx context.Context) {
		outage := 15 * time.Second
		if soak() {
			outage = 20 * time.Second
		}
		r := &round{namespace: namespace}
		senders := startLoad(loadOptions{path: short(namespace), clients: 4, perSecond: 30})
		DeferCleanup(senders.Stop)
		senders.ExpectAnswers(10)

		resume := pauseAPIServer()
		Consistently(ctx, func() []sent {
			return slices.DeleteFunc(senders.soFar(), sent.accepted)
		}).WithTimeout(outage).Should(BeEmpty())
		senders.ExpectAnswers(10)
		r.sent = senders.Stop()
		Expect(hookstorm.Running()).To(BeTrue())
		resume()

		Expect(slices.DeleteFunc(slices.Clone(r.sent), sent.accepted)).To(BeEmpty())
		r.ExpectRecorded(ctx)
	})
})

// pauseAPIServer stops the API server where it is, and returns how it goes on; after the spec it does in any case.
func pauseAPIServer() (resume func()) {
	GinkgoHelper()
	const name = "kube-apiserver"
	process := childNamed(name)
	Expect(process.Signal(syscall.SIGSTOP)).To(Succeed())
	resume = func() { Expect(process.Signal(syscall.SIGCONT)).To(Succeed()) }
	DeferCleanup(resume)
	return resume
}

// childNamed returns a child of this process. It reads /proc, as only Linux has it; elsewhere the spec is skipped.
func childNamed(name string) *os.Process {
	GinkgoHelper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	Expect(err).NotTo(HaveOccurred())
	if len(files) == 0 {
		Skip("there is no /proc here")
	}
	for _, file := range files {
		// pid (name) state parent ...; the kernel cuts a name to 15 characters
		stat, err := os.ReadFile(file)
		fields := strings.Fields(string(stat))
		if err != nil || len(fields) < 4 || fields[1] != "("+name[:min(len(name), 15)]+")" || fields[3] != strconv.Itoa(os.Getpid()) {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		Expect(err).NotTo(HaveOccurred())
		process, err := os.FindProcess(pid)
		Expect(err).NotTo(HaveOccurred())
		return process
	}
	Fail("no process " + name)
	return nil
}
