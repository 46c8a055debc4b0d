package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/queue"
	"github.com/hookstorm/hookstorm/internal/rule"
)

const (
	// inlineTime is for the actions of a delivery before it is postponed, so that its pack is not held by a slow target.
	inlineTime = 2 * time.Second
	// busyWait is the wait before an action is tried again whose target has as many calls under way as it may.
	busyWait = 50 * time.Millisecond
	// storeWait is the wait before a record is tried to be postponed again, and storePatience for how long that is done while
	// there is no room: what it holds in memory holds up others.
	storeWait     = time.Second
	storePatience = 30 * time.Second
	// minWait is the least wait before an action is tried again: each costs an fsync that acknowledgements wait for.
	minWait = 100 * time.Millisecond
	// namespaceActors is how many of the actors one namespace may have.
	namespaceActors = actors / 4
	// jitter is the part of a wait that is chance.
	jitter = 0.2
)

// act tries the actions of a record that are due. Then the record is written, or what is left of it waits: in memory where
// that is short, else in the queue.
func (d *Dispatcher) act(ctx context.Context, r *record) {
	book, err := d.Books.At(ctx, 0, 0)
	if err != nil {
		return
	}
	if r.unstored.IsZero() {
		d.tryWithin(ctx, book, r)
	}
	if ctx.Err() != nil {
		return // what was cut off by the end is no attempt; the delivery is still in the queue
	}
	switch {
	case !r.open():
		d.pass(ctx, r)
	case r.unstored.IsZero() && r.busy && d.Now().Before(r.patience):
		d.passLater(ctx, r, wait.Jitter(busyWait, 1), d.acting)
	default:
		d.postpone(ctx, book, r)
	}
}

// tryWithin tries the actions of a record, unless its namespace has as many actors as it may.
func (d *Dispatcher) tryWithin(ctx context.Context, book *rule.Book, r *record) {
	if !d.crowd.enter(r.namespace) {
		r.busy = true
		return
	}
	defer d.crowd.leave(r.namespace)
	d.try(ctx, book, r)
}

// postpone stores what is left to do. While that is not possible the delivery stays in the queue where it was, and nothing
// but the storing is tried again: a store that was told to have failed may have succeeded, and the next replaces it.
func (d *Dispatcher) postpone(ctx context.Context, book *rule.Book, r *record) {
	if r.busy {
		r.putOff(book, d.Now())
	}
	progress, err := r.encodeProgress()
	if err == nil {
		err = d.Store.Postpone(ctx, workID(r.namespace, r.delivery.ID), r.due(), r.inNamespace(), progress)
	}
	if err == nil {
		deliveriesPostponed.Inc()
		r.postponed = true
		d.pass(ctx, r)
		return
	}
	waited := r.waited(d.Now())
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errNoFit), errors.Is(err, queue.ErrTooLarge), errors.Is(err, queue.ErrFull) && waited > storePatience:
		r.giveUp("it cannot wait to be tried again: " + err.Error())
		d.pass(ctx, r)
	default:
		if waited == 0 {
			d.Log.Error(err, "A delivery cannot be postponed now, and waits", "namespace", r.namespace, "delivery", r.delivery.ID)
		}
		d.passLater(ctx, r, wait.Jitter(storeWait, jitter), d.acting)
	}
}

// waited returns for how long it has not been possible to postpone the record; zero the first time.
func (r *record) waited(now time.Time) time.Duration {
	if r.unstored.IsZero() {
		r.unstored = now
	}
	return now.Sub(r.unstored)
}

// giveUp fails what is still to be tried.
func (r *record) giveUp(why string) {
	for _, c := range r.rules {
		c.fail(why)
		c.sum()
	}
}

// inNamespace returns the delivery as one of the record's namespace, to which what waits is charged; its own is in the
// progress.
func (r *record) inNamespace() delivery.Delivery {
	d := *r.delivery
	d.Namespace = r.namespace
	return d
}

// workID names in the queue what a delivery is in one namespace, so that no namespace comes by what is another's.
func workID(namespace, deliveryID string) string { return deliveryID + "_" + namespace }

// putOff puts off the actions that are due and only found their target busy.
func (r *record) putOff(book *rule.Book, now time.Time) {
	for _, c := range r.rules {
		var policy *v1alpha1.RetryPolicy
		if current := book.Rule(r.namespace, c.Outcome.Name); current != nil {
			policy = current.Retry
		}
		for i := range c.Schedules {
			if c.Outcome.Actions[i].Phase == v1alpha1.ActionRetrying && !c.Schedules[i].Due.After(now) {
				c.Schedules[i].next(policy, 0, now)
			}
		}
	}
}

// attempt is an action that is tried now.
type attempt struct {
	rule     *rule.Rule
	action   *v1alpha1.Action
	outcome  *v1alpha1.ActionOutcome
	schedule *schedule
	siblings int // the actions of the delivery that dispatch triggers
}

// try tries all actions that are due, at once.
func (d *Dispatcher) try(ctx context.Context, book *rule.Book, r *record) {
	trying := ctx
	if r.inline {
		var cancel context.CancelFunc
		trying, cancel = context.WithTimeout(ctx, inlineTime)
		defer cancel()
	}
	r.busy = false
	var attempts sync.WaitGroup
	var mu sync.Mutex
	siblings := r.dispatches(book)
	for _, c := range r.rules {
		for _, a := range d.attempts(trying, book, r, c) {
			a.siblings = siblings
			attempts.Go(func() {
				result, err := d.run(trying, r, a)
				mu.Lock()
				defer mu.Unlock()
				r.busy = a.settle(result, err, d.Now()) || r.busy
			})
		}
	}
	attempts.Wait()
	if ctx.Err() == nil {
		d.sum(book, r)
	}
}

// dispatches returns how many actions of the record's rules dispatch triggers.
func (r *record) dispatches(book *rule.Book) int {
	n := 0
	for _, c := range r.rules {
		if current := book.Rule(r.namespace, c.Outcome.Name); current != nil && len(c.Outcome.Actions) > 0 {
			n += current.Dispatches()
		}
	}
	return n
}

// attempts returns the actions of a rule that are to be tried now. Those that can no longer be are failed.
func (d *Dispatcher) attempts(ctx context.Context, book *rule.Book, r *record, c *considered) []*attempt {
	if c.count(v1alpha1.ActionRetrying) == 0 {
		return nil
	}
	current := book.Rule(r.namespace, c.Outcome.Name)
	if current == nil || current.UID != c.UID {
		c.fail("the Rule was deleted or disabled, or is not accepted any more, before the action was done")
		return nil
	}
	rendered := make(map[string]rule.Rendered)
	for _, one := range current.Render(ctx, r.input) {
		rendered[one.Name] = one
	}
	now := d.Now()
	var due []*attempt
	for i := range c.Outcome.Actions {
		outcome, schedule := &c.Outcome.Actions[i], &c.Schedules[i]
		if outcome.Phase != v1alpha1.ActionRetrying || schedule.Due.After(now) {
			continue
		}
		one, found := rendered[outcome.Name]
		switch {
		case !found:
			fail(outcome, "the Rule no longer has this action")
		case one.Err != nil && ctx.Err() == nil:
			fail(outcome, one.Err.Error())
		case one.Err == nil:
			due = append(due, &attempt{rule: current, action: one.Action, outcome: outcome, schedule: schedule})
		}
	}
	return due
}

// fail fails the actions of a rule that are still to be tried.
func (c *considered) fail(why string) {
	for i := range c.Outcome.Actions {
		if c.Outcome.Actions[i].Phase == v1alpha1.ActionRetrying {
			fail(&c.Outcome.Actions[i], why)
		}
	}
}

func fail(outcome *v1alpha1.ActionOutcome, why string) {
	outcome.Phase, outcome.Message = v1alpha1.ActionFailed, cut(why, v1alpha1.MaxMessage)
}

// run does one action.
func (d *Dispatcher) run(ctx context.Context, r *record, a *attempt) (action.Result, error) {
	if a.action.Dispatch != nil {
		return d.chain(ctx, r, a)
	}
	return d.Actor.Run(ctx, &action.Task{
		Namespace:      r.namespace,
		Rule:           a.rule.Name,
		RuleUID:        a.rule.UID,
		ServiceAccount: a.rule.ServiceAccount,
		Action:         a.action,
		DeliveryID:     r.delivery.ID,
		Trigger:        r.delivery.Trigger,
		Webhook:        r.source(),
		Received:       r.delivery.Received,
	})
}

// source is the webhook that accepted the delivery, if one did.
func (r *record) source() action.Webhook {
	if r.delivery.Webhook == "" {
		return action.Webhook{}
	}
	return action.Webhook{Namespace: r.delivery.Namespace, Name: r.delivery.Webhook, URL: r.delivery.URL}
}

// settle notes how an attempt went, and reports whether it only found its target busy.
func (a *attempt) settle(result action.Result, err error, now time.Time) (busy bool) {
	var failure *action.Failure
	switch {
	case err == nil:
		a.outcome.Attempts++
		a.outcome.Phase, a.outcome.Message, a.outcome.Object = v1alpha1.ActionSucceeded, result.Message, result.Object
		count(a.action, resultSucceeded)
		return false
	case !errors.As(err, &failure):
		failure = &action.Failure{Message: err.Error(), Retryable: true}
	}
	a.outcome.Message = cut(failure.Error(), v1alpha1.MaxMessage)
	if failure.Busy {
		return true
	}
	if !failure.Outage && failure.Reason != action.ReasonInterrupted { // cut short by us
		a.outcome.Attempts++
	}
	if !failure.Retryable || int(a.outcome.Attempts) >= a.rule.Retry.Tries() {
		a.outcome.Phase = v1alpha1.ActionFailed
		if failure.Retryable {
			a.outcome.Message = cut(fmt.Sprintf("given up after %d attempts: %s", a.outcome.Attempts, failure.Error()), v1alpha1.MaxMessage)
		}
		count(a.action, resultFailed)
		return false
	}
	a.schedule.next(a.rule.Retry, failure.After, now)
	count(a.action, resultRetried)
	return false
}

// next puts an action off by its policy's next wait, or by what its target asks for.
func (s *schedule) next(policy *v1alpha1.RetryPolicy, asked time.Duration, now time.Time) {
	s.Waits++
	s.Due = now.Add(max(asked, minWait, wait.Jitter(policy.Wait(s.Waits), jitter)))
}

// sum brings outcomes up to date, and says which rules have failed.
func (d *Dispatcher) sum(book *rule.Book, r *record) {
	for _, c := range r.rules {
		failed := c.Outcome.Result == v1alpha1.ResultFailed
		c.sum()
		if current := book.Rule(r.namespace, c.Outcome.Name); !failed && c.Outcome.Result == v1alpha1.ResultFailed && current != nil {
			d.Observer.Evaluated(current, c.Outcome, r.name(), d.Now())
		}
	}
}
