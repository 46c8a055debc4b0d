package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// builder lets HookStorm act as the ServiceAccount "builder" of a namespace, which may create Jobs.
func builder(ctx context.Context, namespace string) {
	GinkgoHelper()
	kubectl(ctx, "create", "serviceaccount", "builder", "-n", namespace)
	kubectl(ctx, "create", "role", "builder", "-n", namespace, "--verb=create,get,patch,delete", "--resource=jobs.batch,configmaps")
	kubectl(ctx, "create", "rolebinding", "builder", "-n", namespace, "--role=builder", "--serviceaccount="+namespace+":builder")
	kubectl(ctx, strings.Fields(v1alpha1.GrantCommand(namespace, systemNamespace))[1:]...)
}

// jobTemplate is the template of a Job, in YAML's flow style.
const jobTemplate = `{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [
  {name: main, image: none, args: ["${trigger.body.id}"]}]}}}}`

// acting returns the manifest of a Rule with actions, in YAML's flow style, at a url.
func acting(name, url, actions, rest string) string {
	return object("Rule", name, fmt.Sprintf("trigger: {type: %s, parameters: {url: %q}}, actions: [%s], serviceAccountName: builder%s",
		v1alpha1.TriggerWebhook, url, actions, rest))
}

// quickly is a retry policy that waits little.
const quickly = ", retry: {attempts: 100, backoff: {initial: 200ms, factor: 1}}"

// ExpectPhase waits until the record of a delivery is in a phase, and returns it.
func ExpectPhase(ctx context.Context, namespace, delivery string, phase v1alpha1.Phase) v1alpha1.TriggerInstance {
	GinkgoHelper()
	var record v1alpha1.TriggerInstance
	Eventually(ctx, func(g Gomega) {
		records := Records(ctx, namespace, delivery)
		g.Expect(records).To(HaveLen(1))
		record = records[0]
		g.Expect(record.Status.Phase).To(Equal(phase), "%+v", record.Status)
	}).Should(Succeed())
	return record
}

// jobs returns the Jobs of a namespace.
func jobs(ctx context.Context, namespace string) []batchv1.Job {
	GinkgoHelper()
	var list batchv1.JobList
	Expect(admin.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}

// audited is a line of the API server's audit log.
type audited struct {
	Verb             string
	User             struct{ Username string }
	ImpersonatedUser *struct{ Username string }
	ObjectRef        *struct{ Resource, Namespace, Name string }
}

// auditOf returns what HookStorm asked of the API server about a resource in a namespace that lets it act: where it may not,
// a request ends before it is somebody else's.
func auditOf(namespace, resource string) []audited {
	GinkgoHelper()
	log, err := env.AuditLog()
	Expect(err).NotTo(HaveOccurred())
	var found []audited
	for line := range bytes.Lines(log) {
		var one audited
		if json.Unmarshal(line, &one) != nil { // the last line may be on its way
			continue
		}
		own := "system:serviceaccount:" + systemNamespace + ":" + serviceAccount
		if one.User.Username == own && one.ObjectRef != nil && one.ObjectRef.Resource == resource && one.ObjectRef.Namespace == namespace {
			found = append(found, one)
		}
	}
	return found
}

var _ = Describe("A Rule's actions", func() {
	It("make a Job, a call and another trigger out of one POST", func(ctx context.Context) {
		builder(ctx, namespace)
		target := newTarget(0)
		Apply(ctx, namespace,
			acting("build", namespace, `{name: build, create: {template: `+jobTemplate+`}},
				{name: tell, http: {url: "`+target.URL+`/${trigger.body.id}", headers: {X-Team: ci}, body: {json: {text: "merged ${trigger.body.number}", count: "${trigger.body.number}"}}, cloudEvents: Binary}},
				{name: chain, dispatch: {trigger: mypack.merged, payload: {number: "${trigger.body.number}"}}}`, ""),
			ruleFor("chained", "mypack.merged", "trigger.number: {type: eq, pattern: 9007199254740993}"))
		ExpectReady(ctx, ruleNamed(namespace, "build"), ruleNamed(namespace, "chained"))
		delivery := ExpectAccepted(ctx, post(short(namespace), `{"id": "abc", "number": 9007199254740993}`))

		record := ExpectPhase(ctx, namespace, delivery, v1alpha1.PhaseProcessed)
		done := outcome(record, "build")
		Expect(done.Actions).To(HaveEach(HaveField("Phase", v1alpha1.ActionSucceeded)))
		made := jobs(ctx, namespace)
		Expect(made).To(HaveLen(1))
		Expect(made[0].Labels).To(HaveKeyWithValue(v1alpha1.LabelDelivery, delivery))
		Expect(made[0].OwnerReferences).To(BeEmpty())
		Expect(made[0].Spec.Template.Spec.Containers[0].Args).To(Equal([]string{"abc"}))
		Expect(done.Actions[0].Object).To(Equal("job.batch/" + made[0].Name + " in " + namespace))
		Expect(target.seen()).To(HaveLen(1))
		Expect(target.seen()[0].body).To(MatchJSON(`{"text": "merged 9007199254740993", "count": 9007199254740993}`))
		Expect(target.seen()[0].header).To(And(HaveKey("Ce-Id"), HaveKeyWithValue("X-Team", []string{"ci"})))

		chained := &v1alpha1.TriggerInstance{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: strings.TrimPrefix(done.Actions[2].Object, "triggerinstance.hookstorm.dev/"),
		}}
		Eventually(ctx, func() error { return fetch(ctx, chained) }).Should(Succeed())
		Expect(outcome(*chained, "chained").Result).To(Equal(v1alpha1.ResultMatched))
		Expect(chained.Spec.TraceTag).To(Equal(record.Spec.TraceTag))

		requests := auditOf(namespace, "jobs")
		Expect(requests).NotTo(BeEmpty())
		for _, one := range requests {
			Expect(one.ImpersonatedUser).NotTo(BeNil(), "%+v", one)
			Expect(one.ImpersonatedUser.Username).To(HaveSuffix(":builder"))
		}
	})

	It("have the rights of their ServiceAccount, and say which one is missing", func(ctx context.Context) {
		builder(ctx, namespace)
		kubectl(ctx, "delete", "rolebinding", "builder", "-n", namespace)
		Apply(ctx, namespace, acting("build", namespace, "{name: build, create: {template: "+jobTemplate+"}}", ""))
		ExpectReady(ctx, ruleNamed(namespace, "build"))
		record := ExpectPhase(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), `{"id": "a"}`)), v1alpha1.PhaseProcessingFailed)
		failed := outcome(record, "build").Actions[0]
		Expect(failed.Message).To(And(ContainSubstring("create"), ContainSubstring("jobs"), ContainSubstring("builder"), ContainSubstring(namespace)))
		Expect(failed.Attempts).To(BeEquivalentTo(1))
		Expect(succeeded(record).Reason).To(Equal(v1alpha1.ReasonActionFailed))

		var events eventsv1.EventList
		Eventually(ctx, func(g Gomega) {
			g.Expect(admin.List(ctx, &events, client.InNamespace(namespace))).To(Succeed())
			g.Expect(events.Items).To(ContainElement(And(
				HaveField("Reason", v1alpha1.ReasonActionFailed), HaveField("Regarding.Name", "build"), HaveField("Note", ContainSubstring("jobs")))))
		}).Should(Succeed())
		rule := ruleNamed(namespace, "build")
		Eventually(ctx, func(g Gomega) {
			g.Expect(fetch(ctx, rule)).To(Succeed())
			g.Expect(rule.Status.LastFailure).NotTo(BeNil())
			g.Expect(rule.Status.LastFailure.Message).To(ContainSubstring("jobs"))
		}).Should(Succeed())
	})

	It("need a namespace that lets HookStorm act, and say how", func(ctx context.Context) {
		Apply(ctx, namespace, acting("build", namespace, "{name: build, create: {template: "+jobTemplate+"}}", ""))
		grant := v1alpha1.GrantCommand(namespace, systemNamespace)
		ExpectCondition(ctx, ruleNamed(namespace, "build"), v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonActionsNotAllowed, grant)
		record := ExpectPhase(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), `{"id": "a"}`)), v1alpha1.PhaseProcessingFailed)
		Expect(outcome(record, "build").Message).To(ContainSubstring(grant))
		kubectl(ctx, strings.Fields(grant)[1:]...)
		ExpectReady(ctx, ruleNamed(namespace, "build"))
	})

	It("call no address that is closed", func(ctx context.Context) {
		Apply(ctx, namespace, acting("call", namespace, `{name: call, http: {url: "http://169.254.169.254/latest"}}`, ""))
		ExpectReady(ctx, ruleNamed(namespace, "call"))
		record := ExpectPhase(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), `{}`)), v1alpha1.PhaseProcessingFailed)
		Expect(outcome(record, "call").Message).To(ContainSubstring("cloud metadata"))
	})

	It("reach a target that was down, all of them", func(ctx context.Context) {
		down := 3 * time.Second
		if soak() {
			down = time.Minute
		}
		target := newTarget(0)
		target.setDown(true)
		Apply(ctx, namespace, webhook("hook", "url: "+namespace), acting("call", namespace, `{name: call, http: {url: "`+target.URL+`", body: {text: "${trigger.body.id}"}}}`,
			", retry: {attempts: 100, backoff: {initial: 500ms, max: 5s}}"))
		ExpectReady(ctx, ruleNamed(namespace, "call"))
		var deliveries []string
		for i := range 30 {
			deliveries = append(deliveries, ExpectAccepted(ctx, post(short(namespace), fmt.Sprintf(`{"id": "%d"}`, i))))
		}
		waiting := ExpectPhase(ctx, namespace, deliveries[29], v1alpha1.PhaseProcessing)
		Expect(succeeded(waiting).Status).To(Equal(metav1.ConditionUnknown))
		Expect(outcome(waiting, "call").Actions[0].Message).To(ContainSubstring("503"))
		<-time.After(down)
		target.setDown(false)
		for _, delivery := range deliveries {
			record := ExpectPhase(ctx, namespace, delivery, v1alpha1.PhaseProcessed)
			Expect(outcome(record, "call").Actions[0].Attempts).To(BeNumerically(">", 1))
		}
		keys := target.keys()
		Expect(keys).To(HaveLen(30))
		Expect(keys).To(HaveEach(HaveLen(1)))
	})

	It("happen once, whenever HookStorm is killed", func(ctx context.Context) {
		const deliveries = 200
		kills := 3
		if soak() {
			kills = 15
		}
		builder(ctx, namespace)
		target := newTarget(50 * time.Millisecond)
		Apply(ctx, namespace, webhook("hook", "url: "+namespace+", history: {succeeded: 1000}"), acting("build", namespace,
			"{name: build, create: {template: "+jobTemplate+"}}, "+
				`{name: call, http: {url: "`+target.URL+`", body: {text: "${trigger.body.id}"}}}`, quickly))
		ExpectReady(ctx, ruleNamed(namespace, "build"))
		seed := uint64(GinkgoRandomSeed())
		AddReportEntry("seed", fmt.Sprint(seed), ReportEntryVisibilityAlways)
		random := rand.New(rand.NewPCG(seed, 1))

		sent := map[string]string{} // delivery → id
		for kill := range kills {
			for i := range deliveries / kills {
				id := fmt.Sprintf("%d-%d", kill, i)
				sent[ExpectAccepted(ctx, post(short(namespace), fmt.Sprintf(`{"id": %q}`, id)))] = id
			}
			<-time.After(time.Duration(random.Int64N(int64(300 * time.Millisecond))))
			hookstorm.Kill()
			hookstorm.Start(ctx)
		}
		for i := len(sent); i < deliveries; i++ {
			sent[ExpectAccepted(ctx, post(short(namespace), fmt.Sprintf(`{"id": "rest-%d"}`, i)))] = fmt.Sprintf("rest-%d", i)
		}
		for delivery := range sent {
			ExpectPhase(ctx, namespace, delivery, v1alpha1.PhaseProcessed)
		}
		made := map[string]int{}
		for _, job := range jobs(ctx, namespace) {
			made[job.Spec.Template.Spec.Containers[0].Args[0]]++
		}
		keys := target.keys()
		for _, id := range sent {
			Expect(made).To(HaveKeyWithValue(id, 1))
			Expect(keys[id]).To(HaveLen(1), "the target saw %s with %d keys", id, len(keys[id]))
		}
		Expect(made).To(HaveLen(deliveries))
		AddReportEntry("kills", fmt.Sprintf("%d kills: %d deliveries, %d Jobs, %d calls with %d keys", kills, len(sent), len(made), len(target.seen()), len(keys)),
			ReportEntryVisibilityAlways)
	})
})

var _ = Describe("A TriggerInstance that is created", func() {
	// create creates a TriggerInstance as a user does, and returns it once it is processed.
	create := func(ctx context.Context, name, spec string) *v1alpha1.TriggerInstance {
		GinkgoHelper()
		kubectl(ctx, "create", "-n", namespace, "-f", write(object("TriggerInstance", name, spec)))
		instance := &v1alpha1.TriggerInstance{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		Eventually(ctx, func(g Gomega) {
			g.Expect(fetch(ctx, instance)).To(Succeed())
			g.Expect(instance.Status).NotTo(BeNil())
			g.Expect(instance.Status.Phase).To(Equal(v1alpha1.PhaseProcessed), "%+v", instance.Status)
		}).Should(Succeed())
		return instance
	}

	It("is dispatched, and takes the outcome", func(ctx context.Context) {
		Apply(ctx, namespace, ruleFor("rule", "mypack.mytrigger", "trigger.a: {type: eq, pattern: 1}"))
		ExpectReady(ctx, ruleNamed(namespace, "rule"))
		asked := create(ctx, "asked", `trigger: {type: mypack.mytrigger}, payload: '{"a": 1}'`)
		Expect(outcome(*asked, "rule").Result).To(Equal(v1alpha1.ResultMatched))
		Expect(asked.Spec.DeliveryID).To(HaveLen(26))
	})

	It("replays another with the payload that names it", func(ctx context.Context) {
		Apply(ctx, namespace, ruleAt("rule", namespace, "trigger.__context.original_id: {type: exists}"))
		ExpectReady(ctx, ruleNamed(namespace, "rule"))
		original := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), `{"a": 1}`)))
		Expect(outcome(original, "rule").Result).To(Equal(v1alpha1.ResultNotMatched))
		replay := create(ctx, "replay", "replayOf: "+original.Name)
		Expect(outcome(*replay, "rule").Result).To(Equal(v1alpha1.ResultMatched))
		Expect(payload(*replay).Body).To(MatchJSON(`{"a": 1}`))
	})

	It("cannot make Rules dispatch each other without end", func(ctx context.Context) {
		Apply(ctx, namespace,
			object("Rule", "ping", "trigger: {type: ping}, actions: [{name: next, dispatch: {trigger: pong}}]"),
			object("Rule", "pong", "trigger: {type: pong}, actions: [{name: next, dispatch: {trigger: ping}}]"))
		ExpectReady(ctx, ruleNamed(namespace, "ping"), ruleNamed(namespace, "pong"))
		create(ctx, "first", "trigger: {type: ping}")
		var failed []v1alpha1.TriggerInstance
		Eventually(ctx, func() int {
			failed = nil
			for _, record := range Records(ctx, namespace, "") {
				if record.Status.Phase == v1alpha1.PhaseProcessingFailed {
					failed = append(failed, record)
				}
			}
			return len(failed)
		}).Should(Equal(1))
		Expect(failed[0].Status.Rules[0].Message).To(ContainSubstring("loop limit"))
		Expect(Records(ctx, namespace, "")).To(HaveLen(17))
	})

	It("is never dispatched when it is a record that was exported", func(ctx context.Context) {
		Apply(ctx, namespace, ruleAt("rule", namespace, ""))
		ExpectReady(ctx, ruleNamed(namespace, "rule"))
		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(short(namespace), `{"a": 1}`)))
		exported := record.DeepCopy()
		exported.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "restored"}
		exported.Status = nil
		Expect(admin.Create(ctx, exported)).To(Succeed())
		last := create(ctx, "last", "replayOf: "+record.Name)
		Expect(last.Status.Matched).To(BeEquivalentTo(1))
		Expect(fetch(ctx, exported)).To(Succeed())
		Expect(exported.Status).To(BeNil())
	})
})

var _ = Describe("The samples", func() {
	It("are all accepted, and do what they say", func(ctx context.Context) {
		kubectl(ctx, "apply", "-k", "config/samples")
		DeferCleanup(func(ctx context.Context) {
			kubectl(ctx, "delete", "-k", "config/samples", "--wait=false")
			kubectl(ctx, "delete", "jobs,configmaps,triggerinstances", "-n", "default", "--all", "--wait=false")
		})
		for _, name := range []string{"sample", "mytrigger", "build", "last-merged", "released", "forgotten"} {
			ExpectReady(ctx, ruleNamed("default", name))
		}
		inject := func(name, spec string) {
			kubectl(ctx, "create", "-n", "default", "-f", write(object("TriggerInstance", name, spec)))
		}
		configMap := func() string {
			printed, err := env.Kubectl.Run(ctx, "get", "configmap", "last-merged", "-n", "default", "-o", "jsonpath={.data.sha} {.metadata.labels.released}")
			if err != nil {
				return "none"
			}
			return strings.TrimSpace(printed)
		}
		merged := post(short("github/pr"), `{"action": "closed", "number": 5, "pull_request": {"merged": true, "base": {"ref": "main"}, "head": {"sha": "abc"}}}`).
			with("X-GitHub-Event", "pull_request")
		ExpectAccepted(ctx, merged)
		Eventually(ctx, func() []batchv1.Job { return jobs(ctx, "default") }).Should(HaveLen(1))
		Expect(jobs(ctx, "default")[0].Spec.Template.Spec.Containers[0].Args).To(Equal([]string{"abc"}))
		Eventually(ctx, configMap).Should(Equal("abc"), "the chained trigger is applied")
		inject("released", `trigger: {type: mypack.released}, payload: '{"version": 7}'`)
		Eventually(ctx, configMap).Should(Equal("abc 7"))
		inject("forgotten", "trigger: {type: mypack.forgotten}")
		Eventually(ctx, configMap).Should(Equal("none"))
	})
})
