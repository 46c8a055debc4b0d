package webhookserver

import (
	"fmt"
	"net/http"
	"strconv"
)

const (
	// largestEcho is the largest body that a 202 repeats; StackStorm's clients look at it, and a large one helps nobody.
	largestEcho = 64 << 10
	// retryAfter is how many seconds the sender of a 503 should wait: longer than a queue's hiccup, shorter than what
	// providers take for an outage.
	retryAfter = "5"
	// longestQuote is how many bytes of what a sender wrote are repeated in an answer.
	longestQuote = 200
)

// refusal is an answer other than 2xx.
type refusal struct {
	status int
	reason string // one word, for the owner of the webhook
	text   string // for the sender
}

// The answers that depend on nothing. The text of unauthorized is StackStorm's for a missing credential; it is sent for a
// bad one, an unknown webhook and a wrong method too, so that it tells nothing.
var (
	starting         = refusal{http.StatusServiceUnavailable, "Starting", "Service is starting."}
	notFound         = refusal{http.StatusNotFound, "NotFound", "The resource could not be found."}
	unauthorized     = refusal{http.StatusUnauthorized, "Unauthorized", "Unauthorized - One of Token or API key required."}
	keyMissing       = refusal{http.StatusServiceUnavailable, "KeyMissing", "Authentication is not available."}
	methodNotAllowed = refusal{http.StatusMethodNotAllowed, "MethodNotAllowed", "The method is not allowed for this resource."}
	overloaded       = refusal{http.StatusServiceUnavailable, "Overloaded", "Service is overloaded."}
	unreadable       = refusal{http.StatusBadRequest, "Unreadable", "Failed to read request body."}
	suspended        = refusal{http.StatusServiceUnavailable, "Suspended", "Webhook is suspended."}
	notStored        = refusal{http.StatusServiceUnavailable, "NotStored", "Delivery could not be stored."}
	internalError    = refusal{http.StatusInternalServerError, "InternalError", "Internal Server Error"}
)

func notRegistered(url string) *refusal {
	return &refusal{http.StatusNotFound, "NotFound", "Webhook " + cut(url, longestQuote) + " not registered with st2"}
}

func tooLarge(limit int64) *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, "BodyTooLarge", fmt.Sprintf("Request body is too large: at most %d bytes.", limit)}
}

func invalid(reason, text string) *refusal {
	return &refusal{http.StatusBadRequest, reason, text}
}

// Header values that many answers share; nothing changes them.
var (
	jsonType  = []string{"application/json"}
	noSniff   = []string{"nosniff"}
	noStore   = []string{"no-store"}
	closeConn = []string{"close"}
)

// refuse sends a refusal, and tells the observer where a webhook is concerned.
func (x *exchange) refuse(r *refusal) {
	header := x.w.Header()
	switch r.status {
	case http.StatusServiceUnavailable:
		header["Retry-After"] = []string{retryAfter}
	case http.StatusMethodNotAllowed:
		header["Allow"] = []string{"GET, POST"}
	}
	body := make([]byte, 0, len(`{"faultstring": ""}`)+len(r.text))
	body = append(body, `{"faultstring": `...)
	body = appendString(body, r.text)
	body = append(body, '}')
	x.answer(r.status, body)
	if x.observer != nil && x.route != nil {
		x.observer.Rejected(x.route.Namespace, x.route.Name, r.reason)
	}
}

// accepted sends the 202: the delivery is stored.
func (x *exchange) accepted() {
	x.w.Header()["X-Delivery-Id"] = []string{x.delivery.ID}
	echo := x.document
	if len(echo) > largestEcho {
		echo = []byte("{}")
	}
	x.answer(http.StatusAccepted, echo)
}

// answer sends an answer. The connection ends with it when a rest of the request may be left on it, which must not be read
// as another request, and after every chunked body, whose end proxies and servers have disagreed about.
func (x *exchange) answer(status int, body []byte) {
	header := x.w.Header()
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["X-Content-Type-Options"] = noSniff
	header["Cache-Control"] = noStore
	header["X-Request-Id"] = []string{x.requestID}
	if !x.whole || x.r.ContentLength < 0 || x.draining.Load() {
		header["Connection"] = closeConn
	}
	x.answered = true
	x.w.WriteHeader(status)
	// An error means that the sender left; nobody is there to be told.
	_, _ = x.w.Write(body)
}
