package webhookserver

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
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
	after  string // Retry-After, in seconds; "" is that of its status
}

// The answers that depend on nothing. The text of unauthorized is StackStorm's for a missing credential; it is sent for a
// bad one, an unknown webhook and a wrong method too, so that it tells nothing.
var (
	starting         = refusal{status: http.StatusServiceUnavailable, reason: "Starting", text: "Service is starting."}
	notFound         = refusal{status: http.StatusNotFound, reason: "NotFound", text: "The resource could not be found."}
	unauthorized     = refusal{status: http.StatusUnauthorized, reason: "Unauthorized", text: "Unauthorized - One of Token or API key required."}
	elsewhere        = refusal{status: unauthorized.status, reason: "SourceNotAllowed", text: unauthorized.text}
	keyMissing       = refusal{status: http.StatusServiceUnavailable, reason: "KeyMissing", text: "Authentication is not available."}
	methodNotAllowed = refusal{status: http.StatusMethodNotAllowed, reason: "MethodNotAllowed", text: "The method is not allowed for this resource."}
	overloaded       = refusal{status: http.StatusServiceUnavailable, reason: "Overloaded", text: "Service is overloaded."}
	unreadable       = refusal{status: http.StatusBadRequest, reason: "Unreadable", text: "Failed to read request body."}
	tooSlow          = refusal{status: http.StatusRequestTimeout, reason: "TooSlow", text: "Request body came too slowly."}
	suspended        = refusal{status: http.StatusServiceUnavailable, reason: "Suspended", text: "Webhook is suspended."}
	notStored        = refusal{status: http.StatusServiceUnavailable, reason: "NotStored", text: "Delivery could not be stored."}
	notConfirmed     = refusal{status: http.StatusServiceUnavailable, reason: "NotConfirmed", text: "Subscription could not be confirmed."}
	headersTooMany   = refusal{status: http.StatusRequestHeaderFieldsTooLarge, reason: "TooManyHeaders", text: "Request has too many headers."}
	internalError    = refusal{status: http.StatusInternalServerError, reason: "InternalError", text: "Internal Server Error"}
)

func notRegistered(url string) *refusal {
	return &refusal{status: http.StatusNotFound, reason: "NotFound", text: "Webhook " + cut(url, longestQuote) + " not registered with st2"}
}

func tooLarge(limit int64) *refusal {
	text := fmt.Sprintf("Request body is too large: at most %d bytes.", limit)
	return &refusal{status: http.StatusRequestEntityTooLarge, reason: "BodyTooLarge", text: text}
}

func invalid(reason, text string) *refusal {
	return &refusal{status: http.StatusBadRequest, reason: reason, text: text}
}

// tooMany says that the sender should wait.
func tooMany(reason string, wait time.Duration) *refusal {
	return &refusal{status: http.StatusTooManyRequests, reason: reason, text: "Too many requests.", after: wholeSeconds(wait)}
}

// Header values that many answers share; nothing changes them.
var (
	jsonType  = []string{"application/json"}
	textType  = []string{"text/plain; charset=utf-8"}
	noSniff   = []string{"nosniff"}
	noStore   = []string{"no-store"}
	closeConn = []string{"close"}
)

// refuse sends a refusal, and tells the observer where a webhook is concerned.
func (x *exchange) refuse(r *refusal) {
	header := x.w.Header()
	switch {
	case r.after != "":
		header["Retry-After"] = []string{r.after}
	case r.status == http.StatusServiceUnavailable:
		header["Retry-After"] = []string{retryAfter}
	case r.status == http.StatusMethodNotAllowed:
		header["Allow"] = []string{"GET, POST"}
	}
	body := make([]byte, 0, len(`{"faultstring": ""}`)+len(r.text))
	body = append(body, `{"faultstring": `...)
	body = appendString(body, r.text)
	body = append(body, '}')
	x.answer(r.status, jsonType, body)
	if x.observer != nil && x.route != nil {
		x.observer.Rejected(x.route.Namespace, x.route.Name, r.reason)
	}
}

// accepted sends the 202: the delivery is stored.
func (x *exchange) accepted() {
	x.w.Header()["X-Delivery-Id"] = []string{x.delivery.ID}
	if x.duplicate {
		x.w.Header()["X-Delivery-Duplicate"] = []string{"true"}
	}
	echo := x.document
	if len(echo) > largestEcho {
		echo = []byte("{}")
	}
	x.answer(http.StatusAccepted, jsonType, echo)
}

// answer sends an answer. The connection ends with it when a rest of the request may be left on it, which must not be read
// as another request, and after every chunked body, whose end proxies and servers have disagreed about.
func (x *exchange) answer(status int, contentType []string, body []byte) {
	header := x.w.Header()
	header["Content-Type"] = contentType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["X-Content-Type-Options"] = noSniff
	header["Cache-Control"] = noStore
	header["X-Request-Id"] = []string{x.requestID}
	if !x.whole || x.r.ContentLength < 0 || x.draining.Load() {
		header["Connection"] = closeConn
	}
	if !x.whole {
		linger(x.w)
	}
	x.answered = true
	x.w.WriteHeader(status)
	// An error means that the sender left; nobody is there to be told.
	_, _ = x.w.Write(body)
}
