// Package dispatch takes deliveries from the queue, asks the rule book what they match, has the actions done, records the
// outcome and only then lets the queue forget them. What must be tried again later goes back into the queue, so that
// nothing waits for it. Every step can be repeated: what it writes and does is named after the delivery. It reads nothing
// from the cluster. A Dispatcher runs its own goroutines, all of which end with Start.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/queue"
	"github.com/hookstorm/hookstorm/internal/rule"
)

const (
	// recorders is how many records are written at once: an API server writes no faster with more.
	recorders = 32
	// actors is how many deliveries have their actions tried at once. A target that does not answer holds as many as it may
	// have calls under way, which leaves the most of them to others.
	actors = 256
	// lookahead is how many deliveries are evaluated before their records are written, so that a record which history
	// would drop at once is not written at all. The queue hands out no more than these anyway.
	lookahead = queue.WindowDeliveries
	// bookPatience is how long a delivery waits for the rule book that its acceptor had seen.
	bookPatience = 5 * time.Second
	// evaluationTime is for all rules of a namespace and one delivery. They take microseconds; but whoever writes a thousand
	// that take as long as they may must not keep all others waiting.
	evaluationTime = 2 * time.Second
)

// Source hands out deliveries that are not processed yet.
type Source interface {
	// Receive waits for the next one. It is safe for concurrent use; its error is the context's or final.
	Receive(ctx context.Context) (*queue.Message, error)
}

// Store stores what dispatch leaves for later. After a nil error nothing short of a lost disk loses it. Its methods are safe
// for concurrent use.
type Store interface {
	// Postpone has a delivery handed out again at a time, with progress. Postponing what has the same id replaces it, or
	// doubles it.
	Postpone(ctx context.Context, id string, at time.Time, d delivery.Delivery, progress []byte) error
	// Publish stores a delivery that a Rule dispatches.
	Publish(ctx context.Context, d delivery.Delivery) error
	// Bury keeps a delivery whose record cannot hold its payload.
	Bury(ctx context.Context, id string, d delivery.Delivery) error
}

// Actor does actions.
type Actor interface {
	// Run does one action once. An error is an *action.Failure. It is safe for concurrent use.
	Run(ctx context.Context, task *action.Task) (action.Result, error)
}

// Observer hears what became of deliveries. Its methods do not block and are safe for concurrent use.
type Observer interface {
	// Delivered says that a webhook's delivery was dispatched.
	Delivered(namespace, webhook string, at time.Time)
	// Evaluated says what a Rule made of a trigger, or that an action of it failed for good; instance is the name of its
	// record, "" where there is none.
	Evaluated(r *rule.Rule, outcome v1alpha1.RuleOutcome, instance string, at time.Time)
}

// +kubebuilder:rbac:groups=hookstorm.dev,resources=triggerinstances,verbs=create;patch
// +kubebuilder:rbac:groups=hookstorm.dev,resources=triggerinstances/status,verbs=update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// Dispatcher consumes a Source until its context ends. Its fields are set before Start.
type Dispatcher struct {
	Source   Source
	Store    Store
	Books    *rule.Books
	Actor    Actor
	Client   client.Client // writes records; reads nothing
	Observer Observer
	Log      logr.Logger
	Now      func() time.Time

	windows windows
	crowd   crowd
	running sync.WaitGroup // the goroutines of Start, and what waits in memory
	acting  chan *record   // with actions to try
	writing chan *record   // with an outcome to write
}

// NeedLeaderElection says that every replica dispatches what it accepted.
func (d *Dispatcher) NeedLeaderElection() bool { return false }

// Start dispatches until ctx ends, and returns when everything under way has ended. What is not done by then stays in
// the queue.
func (d *Dispatcher) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.acting, d.writing = make(chan *record, lookahead), make(chan *record, lookahead)
	for range runtime.GOMAXPROCS(0) {
		d.running.Go(func() { cancel(d.evaluate(ctx)) })
	}
	for range actors {
		d.running.Go(func() { forEach(ctx, d.acting, d.act) })
	}
	for range recorders {
		d.running.Go(func() { forEach(ctx, d.writing, d.write) })
	}
	d.running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("receiving deliveries: %w", err)
	}
	return nil
}

// forEach calls f with what comes out of a channel until ctx ends.
func forEach(ctx context.Context, records <-chan *record, f func(context.Context, *record)) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-records:
			f(ctx, r)
		}
	}
}

// evaluate receives deliveries, evaluates them and passes on what is to be done and recorded. It returns why it ended.
func (d *Dispatcher) evaluate(ctx context.Context) error {
	for {
		message, err := d.Source.Receive(ctx)
		if err != nil {
			return err
		}
		book, err := d.Books.At(ctx, message.Delivery.RuleVersion, bookPatience)
		if err != nil {
			return err
		}
		records, err := d.recordsOf(ctx, book, message)
		if err != nil {
			d.Log.Error(err, "A delivery that came back cannot be read, and is dispatched anew", "delivery", message.Delivery.ID)
			records = d.match(ctx, book, &message.Delivery)
		}
		if ctx.Err() != nil {
			return ctx.Err() // what was cut off by the end is no outcome
		}
		d.begin(ctx, records, message.Done)
	}
}

// recordsOf returns the records of a delivery, or the one that comes back with it.
func (d *Dispatcher) recordsOf(ctx context.Context, book *rule.Book, message *queue.Message) ([]*record, error) {
	if message.Progress == nil {
		return d.match(ctx, book, &message.Delivery), nil
	}
	r, err := resumed(&message.Delivery, book, message.Progress, d.Now())
	if err != nil {
		return nil, err
	}
	r.input = d.input(&message.Delivery)
	return []*record{r}, nil
}

// match evaluates a delivery in every namespace it goes to, and returns what is to be done or written.
func (d *Dispatcher) match(ctx context.Context, book *rule.Book, accepted *delivery.Delivery) []*record {
	started := d.Now()
	webhook := book.Webhook(rule.Key{Namespace: accepted.Namespace, URL: accepted.URL})
	if accepted.Webhook != "" {
		d.Observer.Delivered(accepted.Namespace, accepted.Webhook, started)
	}
	input := d.input(accepted)
	var records []*record
	for _, target := range book.Targets(webhook, accepted.Trigger, accepted.Parameters) {
		verdicts := evaluate(ctx, target.Rules, input)
		r := newRecord(accepted, webhook, target.Namespace, verdicts)
		r.input, r.started, r.inline, r.patience = input, started, true, started.Add(inlineTime)
		r.exists = accepted.Instance != ""
		d.observe(r, verdicts)
		if r.kind() != v1alpha1.RecordNone || r.open() {
			records = append(records, r)
		}
	}
	return records
}

// evaluate evaluates the rules of a namespace within their time.
func evaluate(ctx context.Context, rules []*rule.Rule, input *rule.Input) []rule.Verdict {
	if len(rules) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, evaluationTime)
	defer cancel()
	return rule.Evaluate(ctx, rules, input)
}

// input returns what rules see of a delivery.
func (d *Dispatcher) input(accepted *delivery.Delivery) *rule.Input {
	return rule.NewInput(accepted.Payload, rule.Delivery{
		ID: accepted.ID, Namespace: accepted.Namespace, Webhook: accepted.Webhook, URL: accepted.URL,
		TraceTag: accepted.TraceTag, Sender: accepted.Sender, Received: accepted.Received,
	}, d.Now())
}

// observe says what was made of a delivery.
func (d *Dispatcher) observe(r *record, verdicts []rule.Verdict) {
	deliveriesDispatched.WithLabelValues(r.reason()).Inc()
	instance := ""
	if r.kind() == v1alpha1.RecordTriggerInstance {
		instance = r.name()
	}
	for _, v := range verdicts {
		d.Observer.Evaluated(v.Rule, v.Outcome, instance, r.started)
	}
}

// begin passes on the records of a delivery; done is called when nothing of any is left to do.
func (d *Dispatcher) begin(ctx context.Context, records []*record, done func()) {
	if len(records) == 0 {
		done()
		return
	}
	var left atomic.Int32
	left.Store(int32(len(records)))
	for _, r := range records {
		r.done = func() {
			if left.Add(-1) == 0 {
				done()
			}
		}
		d.pass(ctx, r)
	}
}

// pass gives a record to whoever does what is next.
func (d *Dispatcher) pass(ctx context.Context, r *record) {
	next := d.acting
	if !r.open() || r.postponed {
		next = d.writing
		r.ordinal = d.windows.enter(r.window())
	}
	select {
	case next <- r:
	case <-ctx.Done():
	}
}

// passLater passes a record on after a while, and holds up nothing meanwhile.
func (d *Dispatcher) passLater(ctx context.Context, r *record, wait time.Duration, next chan<- *record) {
	d.running.Go(func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
		case next <- r:
		}
	})
}
