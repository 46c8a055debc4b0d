package action_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
	"github.com/hookstorm/hookstorm/internal/outbound"
)

// httpTask builds a task that makes an HTTP request.
func httpTask(url string, change ...func(*v1alpha1.HTTPAction)) *action.Task {
	a := &v1alpha1.HTTPAction{URL: url}
	for _, c := range change {
		c(a)
	}
	return aTask(v1alpha1.Action{HTTP: a})
}

// received is what a server has got.
type received struct {
	Line, Body string
	Header     http.Header
}

// record starts a server that answers with 200 and tells what it got.
func record(t *testing.T) (url string, got <-chan received) {
	t.Helper()
	requests := make(chan received, 1)
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Header.Del("Content-Length")
		requests <- received{r.Method + " " + r.URL.RequestURI(), string(body), r.Header}
	})
	return server.URL, requests
}

// sent runs an action that must succeed, and returns what the server got.
func sent(t *testing.T, r *action.Runner, task *action.Task, got <-chan received) received {
	t.Helper()
	if _, failure := run(t, r, task); failure != nil {
		t.Fatalf("the action failed: %v", failure)
	}
	return <-got
}

func TestARequestIsWhatItsActionSays(t *testing.T) {
	const plain, form = "text/plain; charset=utf-8", "application/x-www-form-urlencoded"
	tests := map[string]struct {
		change func(*v1alpha1.HTTPAction)
		want   received
	}{
		"a POST of nothing": {
			func(*v1alpha1.HTTPAction) {},
			received{"POST /a?b=c", "", http.Header{}},
		},
		"a GET": {
			func(a *v1alpha1.HTTPAction) { a.Method = http.MethodGet },
			received{"GET /a?b=c", "", http.Header{}},
		},
		"JSON": {
			func(a *v1alpha1.HTTPAction) {
				a.Body = &v1alpha1.HTTPBody{JSON: ptr(raw(`{"n":12345678901234567890}`))}
			},
			received{"POST /a?b=c", `{"n":12345678901234567890}`, http.Header{"Content-Type": {"application/json"}}},
		},
		"text": {
			func(a *v1alpha1.HTTPAction) { a.Body = &v1alpha1.HTTPBody{Text: ptr("grüße")} },
			received{"POST /a?b=c", "grüße", http.Header{"Content-Type": {plain}}},
		},
		"a form": {
			func(a *v1alpha1.HTTPAction) {
				a.Body = &v1alpha1.HTTPBody{Form: map[string]v1alpha1.HeaderValue{"b": "x&y=z", "a": "ü"}}
			},
			received{"POST /a?b=c", "a=%C3%BC&b=x%26y%3Dz", http.Header{"Content-Type": {form}}},
		},
		"headers, which decide what the body is": {
			func(a *v1alpha1.HTTPAction) {
				a.Method = http.MethodPut
				a.Headers = map[string]v1alpha1.HeaderValue{"x-team": "ci", "content-type": "application/xml", "User-Agent": "me"}
				a.Body = &v1alpha1.HTTPBody{Text: ptr("<a/>")}
			},
			received{"PUT /a?b=c", "<a/>", http.Header{"X-Team": {"ci"}, "Content-Type": {"application/xml"}, "User-Agent": {"me"}}},
		},
	}
	url, got := record(t)
	r := newRunner(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.want.Header.Set("Idempotency-Key", key)
			if test.want.Header.Get("User-Agent") == "" {
				test.want.Header.Set("User-Agent", "hookstorm")
			}
			if diff := cmp.Diff(test.want, sent(t, r, httpTask(url+"/a?b=c#d", test.change), got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheStatusSaysWhetherTryingAgainHelps(t *testing.T) {
	tests := map[int]struct {
		success, retryable bool
	}{
		200: {success: true}, 201: {success: true}, 202: {success: true}, 204: {success: true}, 299: {success: true},
		301: {}, 302: {}, 303: {}, 304: {}, 307: {}, 308: {},
		400: {}, 401: {}, 403: {}, 404: {}, 405: {}, 409: {}, 410: {}, 413: {}, 422: {}, 451: {},
		408: {retryable: true}, 425: {retryable: true}, 429: {retryable: true},
		500: {retryable: true}, 502: {retryable: true}, 503: {retryable: true}, 504: {retryable: true}, 599: {retryable: true},
	}
	var calls atomic.Int32
	var status atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(int(status.Load()))
	})
	r := newRunner(t)
	for code, test := range tests {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			calls.Store(0)
			status.Store(int64(code))
			result, failure := run(t, r, httpTask(server.URL+"/path?query=1"))
			if calls.Load() != 1 {
				t.Errorf("%d calls were made, want 1", calls.Load())
			}
			says := strings.TrimSpace(fmt.Sprintf("POST %s answered %d %s", server.URL, code, http.StatusText(code)))
			if test.success {
				if failure != nil || result.Message != says {
					t.Errorf("the result is %+v, the failure %v; want a success that says %q", result, failure, says)
				}
				return
			}
			if failure == nil {
				t.Fatalf("the result is %+v, want a failure", result)
			}
			if failure.Reason != action.ReasonRefused || failure.Retryable != test.retryable || !strings.HasPrefix(failure.Message, says) {
				t.Errorf("the failure is %+v, want retryable %t, and that it says %q", failure, test.retryable, says)
			}
			if asked := 7 * time.Second; test.retryable && failure.After != asked {
				t.Errorf("it is left alone for %s, want %s", failure.After, asked)
			}
		})
	}
}

// hung starts a server that never answers.
func hung(t *testing.T) (url string, arrived <-chan struct{}) {
	t.Helper()
	release, calls := make(chan struct{}), make(chan struct{}, 16)
	server := serve(t, func(http.ResponseWriter, *http.Request) {
		calls <- struct{}{}
		<-release
	})
	t.Cleanup(func() { close(release) })
	return server.URL, calls
}

func TestATargetThatDoesNotAnswerIsGivenUpAfterTheTimeout(t *testing.T) {
	url, _ := hung(t)
	_, failure := run(t, newRunner(t), httpTask(url, func(a *v1alpha1.HTTPAction) { a.Timeout = ptr(v1alpha1.Duration("50ms")) }))
	want := &action.Failure{Reason: action.ReasonUnavailable, Message: "POST " + url + ": no answer within 50ms", Retryable: true}
	if diff := cmp.Diff(want, failure); diff != "" {
		t.Error(diff)
	}
}

func TestACallerThatGivesUpInterruptsTheAction(t *testing.T) {
	url, arrived := hung(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := newRunner(t)
	go func() {
		<-arrived
		cancel()
	}()
	_, err := r.Run(ctx, httpTask(url))
	failure := failureOf(t, err)
	if failure == nil || failure.Reason != action.ReasonInterrupted || !failure.Retryable {
		t.Errorf("the failure is %+v, want Interrupted and retryable", failure)
	}
}

func TestATargetWithoutAPlaceIsBusy(t *testing.T) {
	url, arrived := hung(t)
	r := newRunner(t, func(o *action.Options) {
		o.Outbound = outbound.New(outbound.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, PerTarget: 1})
		t.Cleanup(o.Outbound.Close)
	})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan struct{})
	go func() {
		defer close(first)
		_, _ = r.Run(ctx, httpTask(url))
	}()
	<-arrived
	_, failure := run(t, r, httpTask(url))
	if failure == nil || failure.Reason != action.ReasonBusy || !failure.Busy || !failure.Retryable {
		t.Errorf("the failure is %+v, want Busy and retryable", failure)
	}
	cancel()
	<-first
}

func TestWhatCannotBeCalledFails(t *testing.T) {
	closed := serve(t, nil)
	closed.Close()
	tests := map[string]struct {
		url       string
		reason    action.Reason
		retryable bool
		message   string
	}{
		"a closed port":        {closed.URL, action.ReasonUnavailable, true, "POST " + closed.URL + ": dial tcp "},
		"a denied address":     {"http://169.254.169.254/latest/meta-data", action.ReasonDenied, false, "POST http://169.254.169.254: address 169.254.169.254 is denied (cloud metadata); --outbound-allow="},
		"another scheme":       {"ftp://127.0.0.1/", action.ReasonInvalid, false, "scheme"},
		"a user in the URL":    {"http://user:pass@127.0.0.1/", action.ReasonInvalid, false, "user name"},
		"no host":              {"http:///path", action.ReasonInvalid, false, "host"},
		"no URL":               {"http://127.0.0.1/%zz", action.ReasonInvalid, false, "http.url: it cannot be read"},
		"a URL of two lines":   {"http://127.0.0.1/\r\nHost: x", action.ReasonInvalid, false, "http.url: it cannot be read"},
		"a URL with a bad end": {"http://127.0.0.1:99999/", action.ReasonUnavailable, true, "invalid port"},
	}
	r := newRunner(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, failure := run(t, r, httpTask(test.url))
			if failure == nil || failure.Reason != test.reason || failure.Retryable != test.retryable || !strings.Contains(failure.Message, test.message) {
				t.Errorf("the failure is %+v, want %s, retryable %t, and that it says %q", failure, test.reason, test.retryable, test.message)
			}
		})
	}
}

func TestWhatIsNotOneRequestIsNotSent(t *testing.T) {
	headers := func(name, value string) func(*v1alpha1.HTTPAction) {
		return func(a *v1alpha1.HTTPAction) {
			a.Headers = map[string]v1alpha1.HeaderValue{name: v1alpha1.HeaderValue(value)}
		}
	}
	tests := map[string]struct {
		change func(*v1alpha1.HTTPAction)
		want   string
	}{
		"the host":                 {headers("host", "x"), "http.headers: host is set by HookStorm"},
		"the length":               {headers("Content-Length", "0"), "http.headers: Content-Length is set by HookStorm"},
		"the framing":              {headers("transfer-Encoding", "chunked"), "is set by HookStorm"},
		"the connection":           {headers("Connection", "close"), "is set by HookStorm"},
		"an upgrade":               {headers("Upgrade", "h2c"), "is set by HookStorm"},
		"a credential of a proxy":  {headers("Proxy-Authorization", "x"), "is set by HookStorm"},
		"trailers":                 {headers("TE", "trailers"), "is set by HookStorm"},
		"the idempotency key":      {headers("idempotency-key", "x"), "is set by HookStorm"},
		"a value of two lines":     {headers("X-A", "a\r\nX-B: b"), "the value of X-A has characters that no header can carry"},
		"a value with a NUL":       {headers("X-A", "a\x00"), "the value of X-A"},
		"a name with a line break": {headers("X-A: b\r\nX-B", "c"), "is no name of a header"},
		"an empty name":            {headers("", "c"), "is no name of a header"},
		"a GET with a body":        {func(a *v1alpha1.HTTPAction) { a.Method, a.Body = "GET", &v1alpha1.HTTPBody{Text: ptr("x")} }, "a GET has no body"},
		"a body of nothing":        {func(a *v1alpha1.HTTPAction) { a.Body = &v1alpha1.HTTPBody{} }, "http.body: set one of"},
		"a credential of nothing":  {func(a *v1alpha1.HTTPAction) { a.Auth = &v1alpha1.HTTPAuth{} }, "http.auth: set one of"},
		"a credential as the host": {func(a *v1alpha1.HTTPAction) {
			a.Auth = &v1alpha1.HTTPAuth{Header: &v1alpha1.HeaderAuth{Header: "Host"}}
		}, "Host is set by HookStorm"},
		"JSON by its name only": {func(a *v1alpha1.HTTPAction) {
			a.CloudEvents, a.Headers, a.Body = "Structured", map[string]v1alpha1.HeaderValue{"Content-Type": "application/json"}, &v1alpha1.HTTPBody{Text: ptr(`1,"type":"forged"`)}
		}, "the body is no JSON"},
		"an event without a type":   {func(a *v1alpha1.HTTPAction) { a.CloudEvents = "Binary" }, "type: MUST be a non-empty string"},
		"a GET that has an event's": {func(a *v1alpha1.HTTPAction) { a.Method, a.CloudEvents = "GET", "Structured" }, "a GET has no body"},
	}
	var calls atomic.Int32
	server := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	r := newRunner(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			task := httpTask(server.URL, test.change)
			if strings.Contains(test.want, "type:") {
				task.Trigger = ""
			}
			_, failure := run(t, r, task)
			if failure == nil || failure.Reason != action.ReasonInvalid || failure.Retryable || !strings.Contains(failure.Message, test.want) {
				t.Errorf("the failure is %+v, want Invalid, for good, and that it says %q", failure, test.want)
			}
		})
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func TestADefectIsAFailure(t *testing.T) {
	r := newRunner(t, func(o *action.Options) { o.Outbound = nil })
	_, failure := run(t, r, httpTask("http://127.0.0.1"))
	if failure == nil || failure.Reason != action.ReasonPanicked || failure.Retryable {
		t.Errorf("the failure is %+v, want Panicked, for good", failure)
	}
}

func TestADispatchActionIsNotRunHere(t *testing.T) {
	_, failure := run(t, newRunner(t), aTask(v1alpha1.Action{Dispatch: &v1alpha1.DispatchAction{Trigger: "x"}}))
	if failure == nil || failure.Reason != action.ReasonInvalid || failure.Retryable {
		t.Errorf("the failure is %+v, want Invalid, for good", failure)
	}
}
