// Package dispatch takes deliveries from the queue, asks the rule book what they match, records the outcome and only then
// lets the queue forget them. Every step can be repeated: what it writes is named after the delivery. It reads nothing
// from the cluster. A Dispatcher runs its own goroutines, all of which end with Start.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/criteria"
	"github.com/hookstorm/hookstorm/internal/queue"
	"github.com/hookstorm/hookstorm/internal/rule"
)

const (
	// recorders is how many records are written at once: an API server writes no faster with more.
	recorders = 32
	// lookahead is how many deliveries are evaluated before their records are written, so that a record which history
	// would drop at once is not written at all. The queue hands out no more than these anyway.
	lookahead = queue.WindowDeliveries
	// bookPatience is how long a delivery waits for the rule book that its acceptor had seen.
	bookPatience = 5 * time.Second
)

// Source hands out deliveries that are not processed yet.
type Source interface {
	// Receive waits for the next one. It is safe for concurrent use; its error is the context's or final.
	Receive(ctx context.Context) (*queue.Message, error)
}

// Observer hears what became of deliveries. Its methods do not block and are safe for concurrent use.
type Observer interface {
	// Delivered says that a webhook's delivery was dispatched.
	Delivered(namespace, webhook string, at time.Time)
	// Evaluated says what a Rule made of a trigger; instance is the name of its record, "" where there is none.
	Evaluated(namespace string, outcome v1alpha1.RuleOutcome, instance string, at time.Time)
}

// +kubebuilder:rbac:groups=hookstorm.dev,resources=triggerinstances,verbs=create
// +kubebuilder:rbac:groups=hookstorm.dev,resources=triggerinstances/status,verbs=update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// Dispatcher consumes a Source until its context ends. Its fields are set before Start.
type Dispatcher struct {
	Source   Source
	Books    *rule.Books
	Client   client.Client // writes records; reads nothing
	Observer Observer
	Log      logr.Logger
	Now      func() time.Time

	windows windows
}

// job is an evaluated delivery: what is still to be written before it is done.
type job struct {
	message  *queue.Message
	records  []*record // not written yet
	attempts int
}

// NeedLeaderElection says that every replica dispatches what it accepted.
func (d *Dispatcher) NeedLeaderElection() bool { return false }

// Start dispatches until ctx ends, and returns when everything under way has ended. What is not done by then stays in
// the queue.
func (d *Dispatcher) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan job, lookahead)
	var running sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() { cancel(d.evaluate(ctx, jobs)) })
	}
	for range recorders {
		running.Go(func() { d.record(ctx, jobs, &running) })
	}
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("receiving deliveries: %w", err)
	}
	return nil
}

// evaluate receives deliveries, evaluates them and passes on what is to be recorded. It returns why it ended.
func (d *Dispatcher) evaluate(ctx context.Context, jobs chan<- job) error {
	for {
		message, err := d.Source.Receive(ctx)
		if err != nil {
			return err
		}
		book, err := d.Books.At(ctx, message.Delivery.RuleVersion, bookPatience)
		if err != nil {
			return err
		}
		records := d.match(book, message)
		if len(records) == 0 {
			message.Done()
			continue
		}
		select {
		case jobs <- job{message: message, records: records}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// match evaluates a delivery in every namespace it goes to, and returns the records to write.
func (d *Dispatcher) match(book *rule.Book, message *queue.Message) []*record {
	started := d.Now()
	delivery := &message.Delivery
	webhook := book.Webhook(rule.Key{Namespace: delivery.Namespace, URL: delivery.URL})
	d.Observer.Delivered(delivery.Namespace, delivery.Webhook, started)

	var records []*record
	payload := sync.OnceValues(func() (any, error) { return criteria.Decode(delivery.Payload) })
	for _, target := range book.Targets(webhook, delivery.Trigger, delivery.Parameters) {
		r := newRecord(delivery, webhook, target.Namespace, outcomesOf(target.Rules, delivery.Payload, payload))
		r.started = started
		deliveriesDispatched.WithLabelValues(r.condition().Reason).Inc()
		instance := ""
		if r.kind() == v1alpha1.RecordTriggerInstance {
			instance = r.name()
		}
		for _, outcome := range r.outcomes {
			d.Observer.Evaluated(target.Namespace, outcome, instance, started)
		}
		if r.kind() == v1alpha1.RecordNone {
			continue
		}
		r.ordinal = d.windows.enter(r.window())
		records = append(records, r)
	}
	return records
}

// outcomesOf evaluates rules, and decodes the payload only if one of them looks into it.
func outcomesOf(rules []*rule.Rule, text []byte, decode func() (any, error)) []v1alpha1.RuleOutcome {
	if len(text) == 0 || !rule.NeedsPayload(rules) {
		return rule.Evaluate(rules, nil)
	}
	payload, err := decode()
	if err != nil {
		return rule.Fail(rules, err)
	}
	return rule.Evaluate(rules, payload)
}

// record writes what is to be recorded, and then lets the queue forget the delivery. What cannot be written now comes back
// into jobs later, so that it holds up nothing else; running counts what waits.
func (d *Dispatcher) record(ctx context.Context, jobs chan job, running *sync.WaitGroup) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-jobs:
			if d.writeAll(ctx, &j) {
				j.message.Done()
				continue
			}
			running.Go(func() { comeBack(ctx, jobs, j) })
		}
	}
}

// comeBack passes a job on again when it is time for its next attempt.
func comeBack(ctx context.Context, jobs chan<- job, j job) {
	timer := time.NewTimer(wait.Jitter(min(maxRetryDelay, firstRetryDelay<<min(j.attempts, maxRetryDoublings)), 0.2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	select {
	case <-ctx.Done():
	case jobs <- j:
	}
}
