package controllers_test

import (
	"context"
	"errors"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// injections notes what is dispatched, in place of a queue. What is named "unlucky" cannot be stored at first.
type injections struct {
	mu       sync.Mutex
	payloads map[string]string // by namespace/name
	times    map[string]int
	buried   map[string]string // by deliveryID
}

// errFull is what a full queue says.
var errFull = errors.New("the queue is full")

func (i *injections) DeliveryID(instance *v1alpha1.TriggerInstance) string {
	return "id-of-" + string(instance.UID)
}

func (i *injections) Inject(_ context.Context, instance *v1alpha1.TriggerInstance, payload []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	name := instance.Namespace + "/" + instance.Name
	if i.times == nil {
		i.payloads, i.times = map[string]string{}, map[string]int{}
	}
	if i.times[name]++; instance.Name == "unlucky" && i.times[name] < 3 {
		return errFull
	}
	i.payloads[name] = instance.Spec.Trigger.Type + " " + string(payload)
	return nil
}

func (i *injections) Unearth(_ context.Context, namespace, id string) ([]byte, bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	payload, found := i.buried[namespace+"/"+id]
	return []byte(payload), found, nil
}

func (i *injections) bury(id, payload string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.buried == nil {
		i.buried = map[string]string{}
	}
	i.buried[namespace+"/"+id] = payload
}

// dispatched returns what was dispatched for an object of the spec's namespace.
func (i *injections) dispatched(name string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.payloads[namespace+"/"+name]
}

// anInstance builds a TriggerInstance of the spec's namespace.
func anInstance(name string, spec v1alpha1.TriggerInstanceSpec) *v1alpha1.TriggerInstance {
	return &v1alpha1.TriggerInstance{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec}
}

// aRecord builds what HookStorm writes of a delivery.
func aRecord(name, payload string, size int64) *v1alpha1.TriggerInstance {
	record := anInstance(name, v1alpha1.TriggerInstanceSpec{
		Trigger: v1alpha1.Trigger{Type: "a.b"}, Payload: payload, PayloadSize: size, DeliveryID: "id-of-" + name,
	})
	record.Status = &v1alpha1.TriggerInstanceStatus{Phase: v1alpha1.PhaseProcessed}
	return record
}

// ExpectNotDispatched waits until a TriggerInstance says why it was not dispatched.
func ExpectNotDispatched(ctx context.Context, instance *v1alpha1.TriggerInstance, why string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(instance), instance)).To(Succeed())
		g.Expect(instance.Status).NotTo(BeNil())
		g.Expect(instance.Status.Phase).To(Equal(v1alpha1.PhaseProcessingFailed))
		g.Expect(instance.Status.Conditions[0].Reason).To(Equal("NotDispatched"))
		g.Expect(instance.Status.Conditions[0].Message).To(ContainSubstring(why))
	}).Should(Succeed())
	Expect(injector.dispatched(instance.Name)).To(BeEmpty())
}

var _ = Describe("A TriggerInstance without a deliveryID", func() {
	It("is claimed and dispatched", func(ctx context.Context) {
		asked := anInstance("asked", v1alpha1.TriggerInstanceSpec{Trigger: v1alpha1.Trigger{Type: "a.b"}, Payload: `{"n":9007199254740993}`})
		ExpectCreated(ctx, asked)
		Eventually(func() string { return injector.dispatched("asked") }).Should(Equal(`a.b {"n":9007199254740993}`))
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(asked), asked)).To(Succeed())
		Expect(asked.Spec.DeliveryID).To(Equal("id-of-" + string(asked.UID)))
		Expect(asked.Spec.TraceTag).To(Equal("trigger_instance-asked"))
		Expect(asked.Status.Phase).To(Equal(v1alpha1.PhasePending))
		Expect(asked.Labels).To(HaveKey(v1alpha1.LabelDelivery))
		Expect(asked.Labels).NotTo(HaveKey(v1alpha1.LabelOutcome), "history would count it")
	})

	It("is dispatched again while it could not be stored", func(ctx context.Context) {
		ExpectCreated(ctx, anInstance("unlucky", v1alpha1.TriggerInstanceSpec{Trigger: v1alpha1.Trigger{Type: "a.b"}}))
		Eventually(func() string { return injector.dispatched("unlucky") }).Should(Equal("a.b "))
	})

	It("says that its payload is no object", func(ctx context.Context) {
		for name, payload := range map[string]string{"list": "[1]", "text": "'a'", "more": "{} {}"} {
			asked := anInstance(name, v1alpha1.TriggerInstanceSpec{Trigger: v1alpha1.Trigger{Type: "a.b"}, Payload: payload})
			ExpectCreated(ctx, asked)
			ExpectNotDispatched(ctx, asked, "spec.payload: ")
		}
	})

	It("replays another, naming it", func(ctx context.Context) {
		ExpectCreated(ctx, aRecord("original", `{"b":1}`, 7),
			anInstance("replay", v1alpha1.TriggerInstanceSpec{ReplayOf: "original"}))
		Eventually(func() string { return injector.dispatched("replay") }).Should(Equal(`a.b {"__context":{"original_id":"original"},"b":1}`))
		var replay v1alpha1.TriggerInstance
		Expect(k8s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "replay"}, &replay)).To(Succeed())
		Expect(replay.Spec.Trigger.Type).To(Equal("a.b"))
		Expect(replay.Spec.Payload).To(Equal(`{"__context":{"original_id":"original"},"b":1}`))
	})

	It("replays a failed delivery with the payload that its record could not hold", func(ctx context.Context) {
		injector.bury("id-of-large", `{"a":"whole"}`)
		ExpectCreated(ctx, aRecord("large", `{"a":"wh`, 13), anInstance("replay", v1alpha1.TriggerInstanceSpec{ReplayOf: "large"}))
		Eventually(func() string { return injector.dispatched("replay") }).Should(Equal(`a.b {"__context":{"original_id":"large"},"a":"whole"}`))
	})

	It("says what cannot be replayed", func(ctx context.Context) {
		ExpectCreated(ctx, aRecord("cut", `{"a":"wh`, 13))
		nothing := anInstance("nothing", v1alpha1.TriggerInstanceSpec{ReplayOf: "missing"})
		part := anInstance("part", v1alpha1.TriggerInstanceSpec{ReplayOf: "cut"})
		ExpectCreated(ctx, nothing, part)
		ExpectNotDispatched(ctx, nothing, "this namespace has no TriggerInstance missing")
		ExpectNotDispatched(ctx, part, "holds 8 of the 13 bytes of its payload")
	})
})

var _ = Describe("A record", func() {
	It("is never dispatched, with or without its status", func(ctx context.Context) {
		exported := aRecord("exported", "{}", 2)
		exported.Status = nil
		pending := aRecord("pending", "{}", 2) // restored while it was claimed, with another UID
		pending.Status.Phase = v1alpha1.PhasePending
		ExpectCreated(ctx, exported, pending, aRecord("whole", "{}", 2),
			anInstance("last", v1alpha1.TriggerInstanceSpec{Trigger: v1alpha1.Trigger{Type: "a.b"}}))
		Eventually(func() string { return injector.dispatched("last") }).ShouldNot(BeEmpty())
		Expect(injector.dispatched("exported")).To(BeEmpty())
		Expect(injector.dispatched("whole")).To(BeEmpty())
		Expect(injector.dispatched("pending")).To(BeEmpty())
	})
})
