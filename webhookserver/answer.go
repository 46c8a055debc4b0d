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

func refused(reason string, status int, text string) refusal {
	return refusal{status: status, reason: reason, text: text}
}

// The answers that depend on nothing. The text of unauthorized is StackStorm's for a missing credential; it is sent for a
// bad one, an unknown webhook and a wrong method too, so that it tells nothing.
var (
	starting         = refused("Starting", http.StatusServiceUnavailable, "Service is starting.")
	notFound         = refused("NotFound", http.StatusNotFound, "The resource could not be found.")
	unauthorized     = refused("Unauthorized", http.StatusUnauthorized, "Unauthorized - One of Token or API key required.")
	elsewhere        = refused("SourceNotAllowed", unauthorized.status, unauthorized.text)
	keyMissing       = refused("KeyMissing", http.StatusServiceUnavailable, "Authentication is not available.")
	methodNotAllowed = refused("MethodNotAllowed", http.StatusMethodNotAllowed, "The method is not allowed for this resource.")
	overloaded       = refused("Overloaded", http.StatusServiceUnavailable, "Service is overloaded.")
	unreadable       = refused("Unreadable", http.StatusBadRequest, "Failed to read request body.")
	tooSlow          = refused("TooSlow", http.StatusRequestTimeout, "Request body came too slowly.")
	suspended        = refused("Suspended", http.StatusServiceUnavailable, "Webhook is suspended.")
	notStored        = refused("NotStored", http.StatusServiceUnavailable, "Delivery could not be stored.")
	tooLargeToStore  = refused("BodyTooLarge", http.StatusRequestEntityTooLarge, "Request body is too large to be stored.")
	notConfirmed     = refused("NotConfirmed", http.StatusServiceUnavailable, "Subscription could not be confirmed.")
	headersTooMany   = refused("TooManyHeaders", http.StatusRequestHeaderFieldsTooLarge, "Request has too many headers.")
	internalError    = refused("InternalError", http.StatusInternalServerError, "Internal Server Error")
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
	if x.observer == nil {
		return
	}
	// Nobody's url is told too, so that its answer takes as long.
	var owner Key
	var name string
	if x.route != nil {
		owner, name = x.route.Key, x.route.Name
	}
	x.observer.Rejected(owner.Namespace, name, r.reason)
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
	values := []string{strconv.Itoa(len(body)), x.requestID}
	header["Content-Type"] = contentType
	header["Content-Length"] = values[:1:1]
	header["X-Content-Type-Options"] = noSniff
	header["Cache-Control"] = noStore
	header["X-Request-Id"] = values[1:]
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
