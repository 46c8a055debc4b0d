// Package action runs one action of one delivery, once, and says whether trying again helps: it writes an object to the API
// server as the Rule's ServiceAccount, or makes an HTTP request. It knows neither how often an action is tried nor what is
// recorded of it, and replaces no templates.
//
// An action that ran once and is run again for the same delivery creates nothing twice, because what it creates has a name
// that derives from the delivery, the Rule and the action; and its HTTP request carries the same Idempotency-Key.
//
// Nothing of what a target answered, and no credential, is ever part of a message.
package action

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/outbound"
)

// Task is one action of one delivery. Run does not change it.
type Task struct {
	// Namespace and Rule name the Rule; RuleUID tells it from an earlier one of that name.
	Namespace, Rule string
	RuleUID         types.UID
	// ServiceAccount is the ServiceAccount of Namespace as which objects are written. Empty: v1alpha1.DefaultServiceAccount.
	ServiceAccount string
	// Action is what is done, its templates replaced.
	Action *v1alpha1.Action

	// DeliveryID names the delivery.
	DeliveryID string
	// Trigger is the trigger's type.
	Trigger string
	// Webhook is what accepted the delivery; the zero Webhook where none did.
	Webhook Webhook
	// Received is when the delivery was accepted.
	Received time.Time
}

// Webhook is a webhook as a Task knows it.
type Webhook struct {
	// Namespace and Name are the Webhook resource's.
	Namespace, Name string
	// URL is its url without outer slashes.
	URL string
}

// Result is what an action that succeeded did.
type Result struct {
	// Object is what was written, as kind.group/name in a namespace; empty where no object was.
	Object string
	// Message is a clause for people. Empty: the action did what it says.
	Message string
}

// Options are what a Runner needs.
type Options struct {
	// Config is how HookStorm itself reaches the API server. It must not impersonate.
	Config *rest.Config
	// Account is HookStorm's own ServiceAccount, which messages name.
	Account types.NamespacedName
	// Secrets reads Secrets, of which only those labeled for outbound use are sent.
	Secrets client.Reader
	// Outbound makes the HTTP requests.
	Outbound *outbound.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Runner runs actions. Its methods may be called from any goroutine, and it starts none.
type Runner struct {
	api      *api
	secrets  client.Reader
	outbound *outbound.Client
	now      func() time.Time
}

// New returns a Runner. It asks nothing of the API server yet.
func New(o Options) (*Runner, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	a, err := newAPI(o.Config, o.Account, o.Now)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	return &Runner{api: a, secrets: o.Secrets, outbound: o.Outbound, now: o.Now}, nil
}

// Run runs an action once. It ends with ctx, and by itself after about a minute at most. Its error is a *Failure. An action
// that was cut short may have had its effect.
func (r *Runner) Run(ctx context.Context, t *Task) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = Result{}, panicked(ctx, p)
		}
	}()
	result, err = r.run(ctx, t)
	if err != nil {
		return Result{}, failureOf(ctx, err)
	}
	return result, nil
}

func (r *Runner) run(ctx context.Context, t *Task) (Result, error) {
	switch a := t.Action; {
	case a.Create != nil:
		return r.create(ctx, t, a.Create)
	case a.Apply != nil:
		return r.apply(ctx, t, a.Apply)
	case a.Patch != nil:
		return r.patch(ctx, t, a.Patch)
	case a.Delete != nil:
		return r.delete(ctx, t, a.Delete)
	case a.HTTP != nil:
		return r.call(ctx, t, a.HTTP)
	default:
		return Result{}, final(ReasonInvalid, "the action has none of create, apply, patch, delete and http")
	}
}

// panicked returns the Failure that a panic becomes. Where it came from goes to the log; what it said only if the runtime
// said it, since a value may hold a credential.
func panicked(ctx context.Context, p any) *Failure {
	cause := errors.New("a panic")
	if said, ok := p.(runtime.Error); ok {
		cause = said
	}
	logr.FromContextOrDiscard(ctx).Error(cause, "running an action panicked", "stack", string(debug.Stack()))
	return final(ReasonPanicked, "HookStorm has a defect that this action met; its log says where")
}
