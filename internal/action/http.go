package action

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/outbound"
)

const (
	// defaultTimeout is http.timeout's default.
	defaultTimeout = 10 * time.Second
	// maxTimeout is the longest that http.timeout may be.
	maxTimeout = time.Minute
)

// call makes an HTTP request.
func (r *Runner) call(ctx context.Context, t *Task, a *v1alpha1.HTTPAction) (Result, error) {
	request, err := r.request(ctx, t, a)
	if err != nil {
		return Result{}, err
	}
	timeout := a.Timeout.Or(defaultTimeout)
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	timeout = min(timeout, maxTimeout)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	subject := request.Method + " " + request.URL.Scheme + "://" + request.URL.Host
	answer, err := r.outbound.Do(limited, request)
	switch {
	case err == nil:
		return answered(subject, answer)
	case limited.Err() != nil && ctx.Err() == nil:
		return Result{}, passing(ReasonUnavailable, "%s: no answer within %s", subject, timeout)
	default:
		return Result{}, uncalled(subject, err)
	}
}

// request makes the request: what the Rule says, and what comes from Secrets.
func (r *Runner) request(ctx context.Context, t *Task, a *v1alpha1.HTTPAction) (*http.Request, error) {
	to, err := url.Parse(a.URL)
	if err != nil { // it quotes the URL
		return nil, final(ReasonInvalid, "http.url: it cannot be read; percent-encode what its templates give")
	}
	method := a.Method
	if method == "" {
		method = http.MethodPost
	}
	m, err := newMessage(t, a)
	if err != nil {
		return nil, err
	}
	if method == http.MethodGet && len(m.body) > 0 {
		return nil, final(ReasonInvalid, "http.method: a GET has no body; use another method")
	}
	if a.Sign != nil {
		key, err := r.signingKey(ctx, t, a.Sign)
		if err != nil {
			return nil, err
		}
		if err := m.sign(t, key, r.now()); err != nil {
			return nil, err
		}
	}
	if err := r.authorize(ctx, t, a.Auth, m.header); err != nil {
		return nil, err
	}
	return m.request(method, to), nil
}

// answered is what an answer comes to. Nothing of it but the status is told: a target may echo what it was sent.
func answered(subject string, answer outbound.Answer) (Result, error) {
	status := strconv.Itoa(answer.Status)
	if text := http.StatusText(answer.Status); text != "" {
		status += " " + text
	}
	switch {
	case answer.Status >= 200 && answer.Status < 300:
		return Result{Message: printable(subject + " answered " + status)}, nil
	case answer.Status >= 300 && answer.Status < 400:
		return Result{}, final(ReasonRefused, "%s answered %s, and redirects are not followed; name the place itself in http.url", subject, status)
	case tryAgain(answer.Status):
		failure := passing(ReasonRefused, "%s answered %s", subject, status)
		failure.After = answer.RetryAfter
		return Result{}, failure
	default:
		return Result{}, final(ReasonRefused, "%s answered %s", subject, status)
	}
}

// tryAgain reports whether a status says that the same request may succeed later.
func tryAgain(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	default:
		return status >= 500
	}
}

// uncalled is what a request without an answer comes to.
func uncalled(subject string, err error) *Failure {
	if denied, ok := errors.AsType[*outbound.DeniedError](err); ok {
		return final(ReasonDenied, "%s: %v", subject, denied)
	}
	if errors.Is(err, outbound.ErrURL) {
		return final(ReasonInvalid, "http.url: %v", err)
	}
	cause := errors.Unwrap(err) // the error names the target, as the subject does
	if errors.Is(err, outbound.ErrBusy) {
		failure := passing(ReasonBusy, "%s: %v", subject, cause)
		failure.Busy = true
		return failure
	}
	return passing(ReasonUnavailable, "%s: %v", subject, cause)
}
