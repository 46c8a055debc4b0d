// Package dispatch takes deliveries from the queue, asks the rule book what they match, records the outcome and only then
// lets the queue forget them. Every step can be repeated: what it writes is named after the delivery. It reads nothing
// from the cluster. A Dispatcher runs its own goroutines, all of which end with Start.
package dispatch

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/go-logr/logr"
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
	// would drop at once is not written at all. It is the queue's window, which bounds them anyway.
	lookahead = 4096
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
	message *queue.Message
	records []*record
}

// NeedLeaderElection says that every replica dispatches what it accepted.
func (d *Dispatcher) NeedLeaderElection() bool { return false }

// Start dispatches until ctx ends, and returns when everything under way has ended. What is not done by then stays in
// the queue.
func (d *Dispatcher) Start(ctx context.Context) error {
	jobs := make(chan job, lookahead)
	var evaluating, recording sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		evaluating.Go(func() { d.evaluate(ctx, jobs) })
	}
	for range recorders {
		recording.Go(func() { d.record(ctx, jobs) })
	}
	evaluating.Wait()
	close(jobs)
	recording.Wait()
	if ctx.Err() == nil {
		return fmt.Errorf("receiving deliveries: the queue ended")
	}
	return nil
}

// evaluate receives deliveries, evaluates them and passes on what is to be recorded.
func (d *Dispatcher) evaluate(ctx context.Context, jobs chan<- job) {
	for {
		message, err := d.Source.Receive(ctx)
		if err != nil {
			if ctx.Err() == nil {
				d.Log.Error(err, "Receiving deliveries ended")
			}
			return
		}
		book, err := d.Books.At(ctx, message.Delivery.RuleVersion, bookPatience)
		if err != nil {
			return
		}
		records := d.match(book, message)
		if len(records) == 0 {
			message.Done()
			continue
		}
		select {
		case jobs <- job{message: message, records: records}:
		case <-ctx.Done():
			return
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
	var payload any
	decoded := false
	for _, target := range book.Targets(webhook, delivery.Trigger, delivery.Parameters) {
		if !decoded && rule.NeedsPayload(target.Rules) && len(delivery.Payload) > 0 {
			// The server accepted only valid JSON; were it not, the rules would see an empty payload.
			payload, _ = criteria.Decode(delivery.Payload)
			decoded = true
		}
		r := newRecord(delivery, webhook, target.Namespace, rule.Evaluate(target.Rules, payload))
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

// record writes what is to be recorded, and then lets the queue forget the delivery.
func (d *Dispatcher) record(ctx context.Context, jobs <-chan job) {
	for j := range jobs {
		written := true
		for _, r := range j.records {
			written = written && d.write(ctx, r)
		}
		if written {
			j.message.Done()
		}
	}
}
