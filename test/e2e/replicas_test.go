package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/queue/queuetest"
)

const (
	// handOverTime is how long it may take until another replica has done what a killed one had begun: NATS hands that out
	// again after 20 s, and the lease of what one replica alone does ends sooner.
	handOverTime = 2 * time.Minute
	// callTime is how long a call of the target takes, so that some are under way when a replica is killed.
	callTime = 500 * time.Millisecond
	// patiently is a retry policy that outlasts all of that.
	patiently = ", retry: {attempts: 100, backoff: {initial: 500ms, max: 2s}}"
)

// natsTesting is how queuetest sees a spec, with a directory that the spec can read.
type natsTesting struct {
	FullGinkgoTInterface
	dir string
}

func (t natsTesting) TempDir() string { return t.dir }

// by has the helpers speak to a replica while a function runs.
func by(s *server, do func()) {
	usual := hookstorm
	defer func() { hookstorm = usual }()
	hookstorm = s
	do()
}

// replicas are two HookStorms that share a queue on three NATS servers. The first takes the place of the suite's own.
type replicas struct {
	servers *queuetest.Servers
	stored  string // where the servers store
	a, b    *server
}

// startReplicas starts them in the place of the suite's HookStorm, until the specs of a container end.
func startReplicas(ctx context.Context) *replicas {
	GinkgoHelper()
	embedded := hookstorm
	embedded.Stop() // it would lead and record, too
	dir, password := GinkgoT().TempDir(), canary("password for NATS")
	r := &replicas{stored: filepath.Join(dir, "nats")}
	Expect(os.Mkdir(r.stored, 0o700)).To(Succeed())
	const user = "hookstorm"
	r.servers = queuetest.Start(natsTesting{GinkgoT(), r.stored}, queuetest.Options{Servers: 3, User: user, Password: password})
	url := "--nats-url=" + strings.ReplaceAll(r.servers.URL(), "nats://", fmt.Sprintf("nats://%s:%s@", user, password))
	start := func(name string) *server {
		own := filepath.Join(dir, name)
		Expect(os.Mkdir(own, 0o700)).To(Succeed())
		s := newServer(embedded.kubeconfig, own, url, "--nats-name=e2e", "--nats-replicas=3")
		s.Start(ctx)
		DeferCleanup(s.Stop)
		return s
	}
	r.a, r.b = start("a"), start("b")
	hookstorm = r.a
	DeferCleanup(func(ctx context.Context) {
		hookstorm = embedded
		for _, s := range r.both() {
			s.Stop()
		}
		r.ExpectClean(ctx)
	})
	return r
}

func (r *replicas) both() []*server { return []*server{r.a, r.b} }

// Keeper returns the replica that hands out what waits, the last to have said so, and the other.
func (r *replicas) Keeper() (keeper, other *server) {
	GinkgoHelper()
	var latest [2]time.Time
	for i, s := range r.both() {
		log, _ := s.Log(0)
		for line := range strings.Lines(log) {
			var entry struct {
				Time    time.Time `json:"ts"`
				Message string    `json:"msg"`
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Message == "this process hands out what waits" {
				latest[i] = entry.Time
			}
		}
	}
	Expect(latest).To(ContainElement(Not(BeZero())), "no replica says that it hands out what waits")
	if latest[0].After(latest[1]) {
		return r.a, r.b
	}
	return r.b, r.a
}

// Restore starts what does not run.
func (r *replicas) Restore(ctx context.Context) {
	GinkgoHelper()
	r.servers.StartAll()
	for _, s := range r.both() {
		if !s.Running() {
			s.Start(ctx)
		}
	}
}

// ExpectServed waits until both serve a webhook.
func (r *replicas) ExpectServed(ctx context.Context, path string) {
	GinkgoHelper()
	for _, s := range r.both() {
		by(s, func() { ExpectServed(ctx, path) })
	}
}

// ExpectClean expects of both what the suite expects of its HookStorm.
func (r *replicas) ExpectClean(ctx context.Context) {
	GinkgoHelper()
	places := (&server{dataDir: r.stored}).QueueFiles()
	for place := range places {
		if strings.HasSuffix(place, ".conf") {
			delete(places, place) // the password is set there
		}
	}
	for name, s := range map[string]*server{"a": r.a, "b": r.b} {
		log, _ := s.Log(0)
		if CurrentSpecReport().Failed() {
			AddReportEntry("The log of replica "+name, log[max(0, len(log)-20_000):], ReportEntryVisibilityFailureOrVerbose)
		}
		Expect(log).NotTo(ContainSubstring("DATA RACE"))
		Expect(log).NotTo(MatchRegexp(`system:serviceaccount:[^ ]* cannot`), "a right is missing in config/rbac")
		Expect(s.dataDir).NotTo(BeADirectory(), "a replica has nothing of its own on disk")
		places["log of "+name] = []byte(log)
		if s.Running() {
			places["metrics of "+name] = s.Metrics(ctx)
		}
	}
	ExpectNoCredential(places)
}

// work is deliveries that have a Job made and a target called: half of them are packed with others, and half are to a webhook
// that takes each once.
type work struct {
	namespace string
	target    *target
	texts     map[string]string // of the bodies, by the delivery's id
	copies    []request         // of those that are taken once
}

// newWork applies what the deliveries need.
func newWork(ctx context.Context, r *replicas) *work {
	GinkgoHelper()
	w := &work{namespace: namespace, target: newTarget(callTime), texts: map[string]string{}}
	builder(ctx, namespace)
	for _, name := range []string{"each", "once"} {
		deduplicate := ""
		if name == "once" {
			deduplicate = ", deduplicate: {by: Header, header: X-Id}"
		}
		url := namespace + "/" + name
		Apply(ctx, namespace, webhook(name, "url: "+url+", history: {succeeded: 1000}"+deduplicate),
			acting(name, url, "{name: build, create: {template: "+jobTemplate+"}}, "+
				`{name: call, http: {url: "`+w.target.URL+`", body: {text: "${trigger.body.id}"}}}`, patiently))
	}
	for _, name := range []string{"each", "once"} {
		r.ExpectServed(ctx, short(namespace+"/"+name))
		ExpectReady(ctx, ruleNamed(namespace, name))
	}
	return w
}

// Post posts deliveries to a replica, and expects that they are taken.
func (w *work) Post(ctx context.Context, s *server, deliveries int) {
	GinkgoHelper()
	by(s, func() {
		for range deliveries {
			id := fmt.Sprint(len(w.texts))
			name := "each"
			if len(w.texts)%2 == 1 {
				name = "once"
			}
			one := post(short(w.namespace+"/"+name), fmt.Sprintf(`{"id": %q}`, id)).with("X-Id", id)
			w.texts[ExpectAccepted(ctx, one)] = id
			if name == "once" {
				w.copies = append(w.copies, one)
			}
		}
	})
}

// Begin takes the target down and posts to the replicas in turn, until some deliveries wait for another attempt, some are on
// their first, and none is done.
func (w *work) Begin(ctx context.Context, deliveries int, to ...*server) {
	GinkgoHelper()
	w.target.setDown(true)
	share := deliveries / len(to) / 2
	for _, s := range to {
		w.Post(ctx, s, share)
	}
	Eventually(ctx, func() []v1alpha1.TriggerInstance { return Records(ctx, w.namespace, "") }).Should(
		ContainElement(HaveField("Status.Phase", v1alpha1.PhaseProcessing)))
	for _, s := range to {
		w.Post(ctx, s, share)
	}
}

// ExpectDone waits until each delivery is processed, and expects that it had its effects once.
func (w *work) ExpectDone(ctx context.Context) {
	GinkgoHelper()
	Eventually(ctx, func() map[string]string {
		missing := map[string]string{}
		for delivery, text := range w.texts {
			missing[delivery] = text
		}
		for _, record := range Records(ctx, w.namespace, "") {
			if record.Status.Phase == v1alpha1.PhaseProcessed {
				delete(missing, record.Spec.DeliveryID)
			}
		}
		return missing
	}).WithTimeout(handOverTime).WithPolling(250*time.Millisecond).Should(BeEmpty(), "acknowledged, but not processed")

	Expect(Records(ctx, w.namespace, "")).To(And(HaveLen(len(w.texts)), HaveEach(HaveField("Status.Conditions", ContainElement(And(
		HaveField("Type", v1alpha1.ConditionSucceeded), HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonMatched)))))))
	made := map[string]int{}
	for _, job := range jobs(ctx, w.namespace) {
		made[job.Spec.Template.Spec.Containers[0].Args[0]]++
	}
	Expect(made).To(And(HaveLen(len(w.texts)), HaveEach(1)), "Jobs by the text of the delivery")
	Expect(w.target.keys()).To(And(HaveLen(len(w.texts)), HaveEach(HaveLen(1))), "keys of the calls by the text of the delivery")
}

// ExpectCopies sends a replica what is taken once again, and expects that it knows all of it.
func (w *work) ExpectCopies(ctx context.Context, s *server) {
	GinkgoHelper()
	by(s, func() {
		for _, one := range w.copies {
			a := ExpectAnswer(ctx, one, http.StatusAccepted)
			Expect(a.header.Get("X-Delivery-Duplicate")).To(Equal("true"))
			Expect(one.headers["X-Id"]).To(Equal(w.texts[a.Delivery()]))
		}
	})
}

// ExpectMoreTaken waits until so many more of what each of some loads posts is taken, and returns how long that took.
func ExpectMoreTaken(more int, loads ...*load) time.Duration {
	GinkgoHelper()
	begin := time.Now()
	for _, l := range loads {
		before := len(l.soFar())
		Eventually(func() int {
			return len(slices.DeleteFunc(l.soFar()[before:], func(s sent) bool { return !s.accepted() }))
		}).WithTimeout(handOverTime).Should(BeNumerically(">=", more))
	}
	return time.Since(begin)
}

var _ = Describe("Replicas that share a queue on NATS servers", Ordered, ContinueOnFailure, func() {
	var r *replicas

	BeforeAll(func(ctx context.Context) { r = startReplicas(ctx) })
	BeforeEach(func(ctx context.Context) { r.Restore(ctx) })
	AfterEach(func(ctx context.Context) {
		if r != nil { // else they did not start
			r.ExpectClean(ctx)
		}
	})

	It("take a copy for the delivery that another of them took, also when that one is gone", func(ctx context.Context) {
		key := canary("key")
		Apply(ctx, namespace, signingSecret("keys", key),
			webhook("hook", "url: "+namespace+", deduplicate: {by: SignedContent}, auth: ["+github.auth("keys")+"]"))
		r.ExpectServed(ctx, short(namespace))
		one := github.post(key, short(namespace), `{"id": 1}`)
		ids := []string{ExpectNew(ctx, one)}
		by(r.b, func() { ExpectSame(ctx, ids[0], one) })
		ExpectSame(ctx, ids[0], one)

		const times = 20
		many := github.post(key, short(namespace), `{"id": 2}`)
		answers, errs := make([]answer, times), make([]error, times)
		var all sync.WaitGroup
		for i := range times {
			all.Go(func() { answers[i], errs[i] = r.both()[i%2].send(ctx, many) })
		}
		all.Wait()
		Expect(errs).To(HaveEach(Succeed()))
		news := 0
		for _, a := range answers {
			Expect(a.status).To(Equal(http.StatusAccepted), a.body)
			Expect(a.Delivery()).To(Equal(answers[0].Delivery()))
			if a.header.Get("X-Delivery-Duplicate") == "" {
				news++
			}
		}
		Expect(news).To(Equal(1))
		ids = append(ids, answers[0].Delivery())
		for _, id := range ids {
			ExpectRecord(ctx, namespace, id)
		}

		r.a.Kill()
		by(r.b, func() {
			ExpectSame(ctx, ids[0], one)
			ExpectSame(ctx, ids[1], many)
		})
		r.a.Start(ctx)
		ExpectSame(ctx, ids[0], one)
		ExpectSame(ctx, ids[1], many)
		Consistently(ctx, func() int { return len(Records(ctx, namespace, "")) }).Should(Equal(len(ids)))
	})

	It("do what another had taken and begun when it was killed", func(ctx context.Context) {
		kills := 1
		if soak() {
			kills = 6
		}
		w := newWork(ctx, r)
		for i := range kills {
			killed, other := r.Keeper() // what waits is in its hands
			if i%2 == 1 {
				killed, other = other, killed
			}
			w.Begin(ctx, 60, killed)
			killed.Kill()
			w.target.setDown(false)
			w.ExpectCopies(ctx, other)
			w.ExpectDone(ctx)
			r.Restore(ctx)
			w.ExpectCopies(ctx, killed)
		}
	})

	It("go on when all were killed at once and are started again", func(ctx context.Context) {
		w := newWork(ctx, r)
		w.Begin(ctx, 40, r.both()...)
		for _, s := range r.both() {
			s.Kill()
		}
		w.target.setDown(false)
		r.Restore(ctx)
		w.ExpectCopies(ctx, r.a)
		w.ExpectDone(ctx)
	})

	It("replay what failed and is too large for its record, whichever of them leads", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("hook", "url: "+namespace), ruleAt("rule", namespace, "trigger.body.number: {type: regex, pattern: x}"))
		r.ExpectServed(ctx, short(namespace))
		ExpectReady(ctx, ruleNamed(namespace, "rule"))
		large := fmt.Sprintf(`{"number": 1, "padding": %q, "last": "whole"}`, strings.Repeat("x", 300<<10))
		a, err := r.a.send(ctx, post(short(namespace), large)) // more than curl's arguments may hold
		Expect(err).NotTo(HaveOccurred())
		Expect(a.status).To(Equal(http.StatusAccepted), a.body)
		original := ExpectPhase(ctx, namespace, a.Delivery(), v1alpha1.PhaseProcessingFailed)
		Expect(len(original.Spec.Payload)).To(BeNumerically("<", len(large)))

		Apply(ctx, namespace, ruleAt("rule", namespace, "trigger.body.last: {type: equals, pattern: whole}"))
		ExpectReady(ctx, ruleNamed(namespace, "rule"))
		for i, stopped := range r.both() {
			r.Restore(ctx)
			stopped.Stop()
			name := fmt.Sprintf("replay-%d", i)
			kubectl(ctx, "create", "-n", namespace, "-f", write(object("TriggerInstance", name, "replayOf: "+original.Name)))
			replay := &v1alpha1.TriggerInstance{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
			Eventually(ctx, func(g Gomega) {
				g.Expect(fetch(ctx, replay)).To(Succeed())
				g.Expect(replay.Status).NotTo(BeNil())
				g.Expect(replay.Status.Phase).To(Equal(v1alpha1.PhaseProcessed), "%+v", replay.Status)
			}).Should(Succeed())
			Expect(outcome(*replay, "rule").Result).To(Equal(v1alpha1.ResultMatched))
		}
	})

	It("go on taking deliveries when a server fails, and take them again when most of the servers are back", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("hook", "url: "+namespace+", history: {succeeded: 1000}"), ruleAt("rule", namespace, ""))
		r.ExpectServed(ctx, short(namespace))
		ExpectReady(ctx, ruleNamed(namespace, "rule"))
		DeferCleanup(r.servers.StartAll)
		var loads []*load
		for _, s := range r.both() {
			by(s, func() {
				l := startLoad(loadOptions{path: short(namespace), clients: 4, perSecond: 5})
				loads = append(loads, l)
				DeferCleanup(l.Stop)
			})
		}
		ExpectMoreTaken(5, loads...)

		failures := []int{int(GinkgoRandomSeed() % 3)}
		if soak() {
			failures = []int{0, 1, 2}
		}
		var outages []string
		for _, i := range failures {
			r.servers.Kill(i)
			outages = append(outages, fmt.Sprintf("%.1f s after server %d was killed", ExpectMoreTaken(5, loads...).Seconds(), i))
			r.servers.StartAll()
			ExpectMoreTaken(5, loads...)
		}

		all := &round{namespace: namespace}
		r.servers.Kill(0)
		r.servers.Kill(1)
		for i, s := range r.both() {
			by(s, func() {
				refused := sent{uuid: fmt.Sprint(i), status: http.StatusServiceUnavailable} // it may be stored all the same
				all.sent = append(all.sent, refused)
				a := ExpectRefused(ctx, post(short(namespace), fmt.Sprintf(`{"uuid": %q}`, refused.uuid)), refused.status)
				Expect(a.header).To(HaveKey("Retry-After"))
			})
		}
		r.servers.StartAll()
		outages = append(outages, fmt.Sprintf("%.1f s after most were back", ExpectMoreTaken(5, loads...).Seconds()))

		for _, l := range loads {
			all.sent = append(all.sent, l.Stop()...)
		}
		for _, s := range all.sent {
			Expect(s.err).NotTo(HaveOccurred())
			Expect(s.status).To(BeElementOf(http.StatusAccepted, http.StatusServiceUnavailable))
		}
		all.ExpectRecorded(ctx)
		AddReportEntry("servers", fmt.Sprintf("%d posted, %d acknowledged, %d recorded; five more of each load were taken %s",
			len(all.sent), all.count(sent.accepted), all.found, strings.Join(outages, ", ")), ReportEntryVisibilityAlways)
		for _, s := range r.both() {
			Expect(s.Running()).To(BeTrue())
		}
	})
})
