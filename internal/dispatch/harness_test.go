package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/queue"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// deadline bounds every wait of a test.
const deadline = 20 * time.Second

// bench is a Dispatcher with a real queue, an API server's stand-in, and actions whose outcomes the test says.
type bench struct {
	*testing.T
	*queue.Queue
	client client.Client
	books  *rule.Books
	run    func(task *action.Task, attempt int) error
	stop   context.CancelFunc // ends the Dispatcher

	dispatched atomic.Int64 // triggers that Rules dispatched
	full       atomic.Bool  // nothing can be postponed
	later      atomic.Int64 // by how much the clock is ahead
	ending     atomic.Bool  // it ends as soon as something is buried

	mu       sync.Mutex
	attempts map[string]int // by action
	failed   []string       // rules that were said to have failed
	logged   []string
}

func (b *bench) Run(_ context.Context, task *action.Task) (action.Result, error) {
	b.mu.Lock()
	b.attempts[task.Action.Name]++
	attempt := b.attempts[task.Action.Name]
	b.mu.Unlock()
	return action.Result{Object: "thing/" + task.DeliveryID}, b.run(task, attempt)
}

// Publish counts what Rules dispatch.
func (b *bench) Publish(ctx context.Context, d delivery.Delivery) error {
	b.dispatched.Add(1)
	return b.Queue.Publish(ctx, d)
}

// Postpone says that the queue is full when it is to be.
func (b *bench) Postpone(ctx context.Context, id string, at time.Time, d delivery.Delivery, progress []byte) error {
	if b.full.Load() {
		return queue.ErrFull
	}
	return b.Queue.Postpone(ctx, id, at, d, progress)
}

// Bury ends the Dispatcher before it buries, when it is to.
func (b *bench) Bury(ctx context.Context, id string, d delivery.Delivery) error {
	if b.ending.Load() {
		b.stop()
	}
	return b.Queue.Bury(ctx, id, d)
}

// log notes what is logged.
func (b *bench) log(_, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logged = append(b.logged, line)
}

// said reports whether a text was logged.
func (b *bench) said(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.logged, func(line string) bool { return strings.Contains(line, text) })
}

func (b *bench) Delivered(string, string, time.Time) {}

func (b *bench) Evaluated(r *rule.Rule, outcome v1alpha1.RuleOutcome, _ string, _ time.Time) {
	if outcome.Result == v1alpha1.ResultFailed {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.failed = append(b.failed, r.Name)
	}
}

// start starts a Dispatcher with the book of rules.
func start(t *testing.T, run func(task *action.Task, attempt int) error, rules ...*rule.Rule) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	deliveries, err := queue.Open(t.Context(), queue.Options{Dir: t.TempDir(), MaxBytes: 64 << 20, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		T: t, Queue: deliveries, books: rule.NewBooks(), run: run, attempts: map[string]int{},
		client: fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{Patch: patch}).Build(),
	}
	b.books.Publish(rule.NewBook(rules, nil, 1))
	d := &Dispatcher{
		Source: deliveries, Store: b, Books: b.books, Actor: b, Client: b.client, Observer: b, Log: funcr.New(b.log, funcr.Options{}),
		Now: func() time.Time { return time.Now().Add(time.Duration(b.later.Load())) },
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	b.stop = cancel
	ended := make(chan error, 1)
	go func() { ended <- d.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, deliveries.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// patch says that the test of a JSON patch failed as an API server does.
func patch(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
	err := c.Patch(ctx, o, p, options...)
	if err != nil && strings.Contains(err.Error(), "test failed") {
		return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "PATCH", schema.GroupResource{}, o.GetName(), err.Error(), 0, false)
	}
	return err
}

// actions returns a Rule of the trigger "t" with actions of these names, tried again after 10 ms.
func actions(t *testing.T, attempts int32, names ...string) *rule.Rule {
	t.Helper()
	wait := v1alpha1.Duration("10ms")
	spec := v1alpha1.RuleSpec{
		Trigger: v1alpha1.RuleTrigger{Type: "t"},
		Retry:   &v1alpha1.RetryPolicy{Attempts: attempts, Backoff: &v1alpha1.Backoff{Initial: &wait, Factor: 1}},
	}
	for _, name := range names {
		spec.Actions = append(spec.Actions, v1alpha1.Action{Name: name, HTTP: &v1alpha1.HTTPAction{URL: "https://target.example/"}})
	}
	return compile(t, "r", spec)
}

func compile(t testing.TB, name string, spec v1alpha1.RuleSpec) *rule.Rule {
	t.Helper()
	r, err := rule.Compile(&v1alpha1.Rule{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: name, UID: types.UID("uid-" + name)}, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publish publishes a delivery of the trigger "t".
func (b *bench) publish(d delivery.Delivery) string {
	b.Helper()
	d.ID = delivery.IDAt(time.Now(), b.Name())
	d.Namespace, d.Webhook, d.URL, d.Received = "ci", "hook", "hook", time.Now()
	if d.Trigger == "" {
		d.Trigger = "t"
	}
	if err := b.Queue.Publish(b.Context(), d); err != nil {
		b.Fatal(err)
	}
	return "hook-" + d.ID
}

// await waits until a record is in a phase.
func (b *bench) await(name string, phase v1alpha1.Phase) *v1alpha1.TriggerInstance {
	b.Helper()
	var instance v1alpha1.TriggerInstance
	b.until(func() bool {
		err := b.client.Get(b.Context(), client.ObjectKey{Namespace: "ci", Name: name}, &instance)
		return err == nil && instance.Status.Phase == phase
	}, func() string { return fmt.Sprintf("%s is not %s but %+v", name, phase, instance.Status) })
	return &instance
}

// drained waits until nothing is left in the queue.
func (b *bench) drained() {
	b.Helper()
	b.until(func() bool { return b.Stats().Deliveries == 0 }, func() string { return fmt.Sprintf("the queue holds %+v", b.Stats()) })
}

func (b *bench) until(holds func() bool, otherwise func() string) {
	b.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(deadline); !holds(); <-ticker.C {
		if time.Now().After(end) {
			b.Fatal(otherwise())
		}
	}
}

func succeed(*action.Task, int) error { return nil }

// failing fails the first attempts.
func failing(attempts int, failure action.Failure) func(*action.Task, int) error {
	return func(_ *action.Task, attempt int) error {
		if attempt <= attempts {
			return &failure
		}
		return nil
	}
}
