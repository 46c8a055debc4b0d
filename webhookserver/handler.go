package webhookserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
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
	// sender is told that it is not; delivery.ErrTooLarge means that it never can be. It is safe for concurrent use, and neither changes the delivery nor keeps its payload.
	Publish(ctx context.Context, d delivery.Delivery) error
	// PublishOnce does the same, unless a delivery of the namespace was stored under this id a short while ago. It returns
	// the id of the delivery that is stored, and whether that is the earlier one.
	PublishOnce(ctx context.Context, id string, d delivery.Delivery) (first string, duplicate bool, err error)
}

// Observer hears which requests were refused, and which keys admitted others.
type Observer interface {
	// Admitted says that a key of a Secret admitted a request to a webhook of its namespace. It does not block, and is safe
	// for concurrent use.
	Admitted(webhook string, key auth.Key)
	// Rejected says that a webhook refused a request; reason is one word. Both names are "" where nobody owns the url, which
	// should take as long. It does not block, and is safe for concurrent use.
	Rejected(namespace, webhook, reason string)
}

// handler answers requests. It is safe for concurrent use.
type handler struct {
	routes    *Routes
	publisher Publisher
	observer  Observer  // may be nil
	confirmer Confirmer // may be nil
	log       logr.Logger
	now       func() time.Time
	sources   sources
	failures  *failures
	rates     *rates
	pace      pace
	budget    *budget // bytes of bodies in memory, by tenant
	// unverified are those whose sender is not known yet, by source.
	unverified *budget
	// validations are the turns of what is large to be validated.
	validations *semaphore.Weighted
	ids         *deliveryIDs
	payloads    sync.Pool   // of *[]byte, in which payloads are written
	draining    atomic.Bool // the process ends: connections are not kept
	failing     atomic.Bool // the last delivery was not stored
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
	source    netip.Addr
	wait      time.Duration // until the source may fail again
	caller    auth.Caller
	proof     auth.Proof // of the signature that admitted

	memory   reservation                // of the body
	whole    bool                       // nothing of the body is left on the connection
	body     []byte                     // as received
	document []byte                     // the body as JSON: an object or an array
	members  map[string]json.RawMessage // of the document, by name; nil until somebody asks
	delivery delivery.Delivery
	payload  *[]byte // of payloads; nil: none was taken

	duplicate bool // the delivery is an earlier one
	answered  bool
}

// step is one check, or one part of the work. It returns why the request is refused, or answers it itself where that is the
// end of it.
type step func(*exchange) *refusal

// arrival finds out what a request is about.
var arrival = [...]step{
	(*exchange).requireTable,
	(*exchange).limitHeaders,
	(*exchange).locate,
}

// admission comes before anything that depends on who owns the url. Until authenticate has passed, no answer but that of
// permit, which a webhook has to ask for, tells whether it exists.
var admission = [...]step{
	(*exchange).permit,
	(*exchange).authenticate,
	(*exchange).allowMethod,
}

// acceptance is what a POST passes after admission. Its last step stores the delivery.
var acceptance = [...]step{
	(*exchange).limitBody,
	(*exchange).settle,
	(*exchange).readBody,
	(*exchange).decodeBody,
	(*exchange).requireRoute,
	(*exchange).requireRunning,
	(*exchange).limitRate,
	(*exchange).shakeHands,
	(*exchange).makeDelivery,
	(*exchange).checkSchema,
	(*exchange).publish,
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{handler: h, w: w, r: r, requestID: requestID(r), source: h.sources.of(r), whole: r.ContentLength == 0}
	defer x.release()
	defer x.recover()
	if x.done(arrival[:]) || x.done(admission[:]) {
		return
	}
	if r.Method == http.MethodGet {
		x.show()
		return
	}
	if !x.done(acceptance[:]) {
		x.accepted()
	}
}

// done takes steps until one answers, or until there are no more, when it returns false.
func (x *exchange) done(steps []step) bool {
	for _, step := range steps {
		if refused := step(x); refused != nil {
			x.refuse(refused)
		}
		if x.answered {
			return true
		}
	}
	return false
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

// limitRate refuses what is more than the webhook's owner wants.
func (x *exchange) limitRate() *refusal {
	if wait := x.rates.take(x.route.Key, x.route.Rate, x.now()); wait > 0 {
		return tooMany("RateLimited", wait)
	}
	return nil
}

func (x *exchange) publish() *refusal {
	ctx := x.r.Context()
	err := x.store(ctx)
	switch {
	case err == nil:
		if x.failing.Load() && x.failing.CompareAndSwap(true, false) {
			x.log.Info("deliveries are stored again")
		}
		return nil
	case errors.Is(err, delivery.ErrTooLarge):
		return &tooLargeToStore
	case ctx.Err() != nil:
		// The sender left before the answer: that says nothing about the queue.
		x.log.V(1).Info("sender left before its delivery was stored", "namespace", x.route.Namespace, "webhook", x.route.Name)
	case x.failing.CompareAndSwap(false, true):
		// Only the first of many, or a full disk would fill with this line.
		x.log.Error(err, "storing a delivery; senders get 503", "namespace", x.route.Namespace, "webhook", x.route.Name)
	}
	return &notStored
}

// store stores the delivery, or finds the one that it repeats.
func (x *exchange) store(ctx context.Context) error {
	id := x.once()
	if id == "" {
		return x.publisher.Publish(ctx, x.delivery)
	}
	first, duplicate, err := x.publisher.PublishOnce(ctx, id, x.delivery)
	if err == nil {
		x.delivery.ID, x.duplicate = first, duplicate
	}
	return err
}

// release gives back what the exchange holds. A few large payloads must not keep their memory.
func (x *exchange) release() {
	x.memory.release()
	if x.payload != nil && cap(*x.payload) <= keptPayload {
		x.payloads.Put(x.payload)
	}
}

// recover answers 500 after a panic. What was panicked with may hold a piece of the request, so only a runtime error, which
// does not, is logged as it is.
func (x *exchange) recover() {
	reason := recover()
	if reason == nil {
		return
	}
	err, _ := reason.(error)
	if errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	var fault runtime.Error
	errors.As(err, &fault)
	x.log.Error(fault, "panic while answering a request", "stack", string(debug.Stack()))
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
