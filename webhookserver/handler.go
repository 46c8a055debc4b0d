package webhookserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// Publisher stores deliveries.
type Publisher interface {
	// Publish returns nil once the delivery is stored so that nothing short of a lost disk loses it. After any error the
	// sender is told that it is not. It is safe for concurrent use, and does not change the delivery.
	Publish(ctx context.Context, d delivery.Delivery) error
}

// Observer hears which requests were refused.
type Observer interface {
	// Rejected says that a webhook refused a request; reason is one word. It does not block, and is safe for concurrent use.
	Rejected(namespace, webhook, reason string)
}

// handler answers requests. It is safe for concurrent use.
type handler struct {
	routes    *Routes
	publisher Publisher
	observer  Observer // may be nil
	log       logr.Logger
	now       func() time.Time
	budget    *semaphore.Weighted // bytes of bodies in memory
	ids       *deliveryIDs
	draining  atomic.Bool // the process ends: connections are not kept
	failing   atomic.Bool // the last delivery was not stored
}

// exchange is one request on its way to an answer.
type exchange struct {
	*handler
	w http.ResponseWriter
	r *http.Request

	requestID string
	table     *Table
	at        target
	route     *route // nil: nobody owns the url
	caller    auth.Caller

	reserved int64  // of the budget
	whole    bool   // nothing of the body is left on the connection
	body     []byte // as received
	document []byte // the body as JSON: an object or an array
	delivery delivery.Delivery
	answered bool
}

// step is one check, or one part of the work. It returns the answer when the request is refused.
type step func(*exchange) *refusal

// admission comes before anything that depends on more than the request's head. Until authenticate has passed, no answer
// tells whether a webhook exists.
var admission = [...]step{
	(*exchange).requireTable,
	(*exchange).locate,
	(*exchange).authenticate,
	(*exchange).allowMethod,
}

// acceptance is what a POST passes after admission. Its last step stores the delivery.
var acceptance = [...]step{
	(*exchange).limitBody,
	(*exchange).reserveBody,
	(*exchange).readBody,
	(*exchange).decodeBody,
	(*exchange).requireRoute,
	(*exchange).requireRunning,
	(*exchange).makeDelivery,
	(*exchange).checkSchema,
	(*exchange).publish,
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{handler: h, w: w, r: r, requestID: requestID(r), whole: r.ContentLength == 0}
	defer x.release()
	defer x.recover()
	if refused := x.pass(admission[:]); refused != nil {
		x.refuse(refused)
		return
	}
	if r.Method == http.MethodGet {
		x.show()
		return
	}
	if refused := x.pass(acceptance[:]); refused != nil {
		x.refuse(refused)
		return
	}
	x.accepted()
}

func (x *exchange) pass(steps []step) *refusal {
	for _, step := range steps {
		if refused := step(x); refused != nil {
			return refused
		}
	}
	return nil
}

func (x *exchange) requireTable() *refusal {
	x.table = x.routes.Current()
	if x.table == nil {
		return &starting
	}
	return nil
}

func (x *exchange) locate() *refusal {
	at, found := parsePath(x.r.URL.EscapedPath())
	if !found || !ownScheme(x.r.URL) || at.collection && x.r.Method != http.MethodGet {
		return &notFound
	}
	x.at = at
	if !at.collection {
		x.route = x.table.find(at)
	}
	return nil
}

func (x *exchange) authenticate() *refusal {
	credentials, _ := auth.Take(x.r)
	x.caller = x.table.keyring.Identify(credentials.Token, x.now())
	switch x.verdict() {
	case auth.Admitted:
		return nil
	case auth.Unavailable:
		return &keyMissing
	default:
		return &unauthorized
	}
}

// verdict says whether the credential counts for what the path names. Reading is for tokens of the webhook's namespace and
// of the system namespace, whoever may post to it.
func (x *exchange) verdict() auth.Verdict {
	reading := x.r.Method == http.MethodGet
	var allowed bool
	switch {
	case x.at.collection:
		allowed = x.caller.MaySomewhere(auth.ScopeList)
	case x.route == nil:
		allowed = x.caller.May(scopeOf(x.r.Method), x.at.namespace)
	case reading:
		allowed = x.caller.May(auth.ScopeRead, x.route.Namespace)
	default:
		return auth.Admit(x.r.Context(), x.route.Auth, &auth.Request{Caller: x.caller, Namespace: x.route.Namespace}).Verdict
	}
	if allowed {
		return auth.Admitted
	}
	return auth.Refused
}

func scopeOf(method string) auth.Scope {
	switch method {
	case http.MethodPost:
		return auth.ScopeSend
	case http.MethodGet:
		return auth.ScopeRead
	default:
		return auth.ScopeAny
	}
}

func (x *exchange) allowMethod() *refusal {
	if x.r.Method != http.MethodPost && x.r.Method != http.MethodGet {
		return &methodNotAllowed
	}
	return nil
}

func (x *exchange) requireRoute() *refusal {
	if x.route == nil {
		return notRegistered(x.at.url)
	}
	return nil
}

func (x *exchange) requireRunning() *refusal {
	if x.route.Suspended {
		return &suspended
	}
	return nil
}

func (x *exchange) publish() *refusal {
	ctx := x.r.Context()
	err := x.publisher.Publish(ctx, x.delivery)
	switch {
	case err == nil:
		if x.failing.Load() && x.failing.CompareAndSwap(true, false) {
			x.log.Info("deliveries are stored again")
		}
		return nil
	case ctx.Err() != nil:
		// The sender left before the answer: that says nothing about the queue.
		x.log.V(1).Info("sender left before its delivery was stored", "namespace", x.route.Namespace, "webhook", x.route.Name)
	case x.failing.CompareAndSwap(false, true):
		// Only the first of many, or a full disk would fill with this line.
		x.log.Error(err, "storing a delivery; senders get 503", "namespace", x.route.Namespace, "webhook", x.route.Name)
	}
	return &notStored
}

func (x *exchange) release() {
	if x.reserved > 0 {
		x.budget.Release(x.reserved)
	}
}

// recover answers 500 after a panic. What was panicked with may hold a piece of the request, so only a runtime error, which
// does not, is logged as it is.
func (x *exchange) recover() {
	reason := recover()
	if reason == nil {
		return
	}
	if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	var runtimeError runtime.Error
	if err, ok := reason.(error); !ok || !errors.As(err, &runtimeError) {
		runtimeError = nil
	}
	x.log.Error(runtimeError, "panic while answering a request", "stack", string(debug.Stack()))
	if x.answered {
		panic(http.ErrAbortHandler)
	}
	x.refuse(&internalError)
}

// requestID returns the sender's X-Request-ID, or one made here where it has none that can be repeated.
func requestID(r *http.Request) string {
	const longest = 128
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > longest {
		return newRequestID()
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return newRequestID()
		}
	}
	return id
}

// sender returns the address a request came from, without its port.
func sender(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
