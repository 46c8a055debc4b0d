package action_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cloudevents "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
)

// parsed returns the CloudEvent that a server has got, as its library reads it.
func parsed(t *testing.T, got received) *event.Event {
	t.Helper()
	request := &http.Request{Header: got.Header, Body: io.NopCloser(strings.NewReader(got.Body))}
	e, err := cloudevents.NewEventFromHTTPRequest(request)
	if err != nil {
		t.Fatalf("reading the event: %v\n%+v", err, got)
	}
	if err := e.Validate(); err != nil {
		t.Fatalf("the event is not valid: %v", err)
	}
	return e
}

func TestACloudEventHasTheBodyAsItsData(t *testing.T) {
	bodies := map[string]struct {
		body            *v1alpha1.HTTPBody
		contentType     string
		data, structure string
	}{
		"JSON":   {&v1alpha1.HTTPBody{JSON: ptr(raw(`{"a":[1,null]}`))}, "application/json", `{"a":[1,null]}`, `"data":{"a":[1,null]}`},
		"text":   {&v1alpha1.HTTPBody{Text: ptr(`he said "hi"`)}, "text/plain; charset=utf-8", `he said "hi"`, `"data":"he said \"hi\""`},
		"a form": {&v1alpha1.HTTPBody{Form: map[string]v1alpha1.HeaderValue{"a": "b"}}, "application/x-www-form-urlencoded", "a=b", `"data":"a=b"`},
		"none":   {nil, "", "", `"time":`},
	}
	url, got := record(t)
	r := newRunner(t)
	for name, test := range bodies {
		for _, mode := range []v1alpha1.CloudEventsMode{v1alpha1.CloudEventsBinary, v1alpha1.CloudEventsStructured} {
			t.Run(name+", "+string(mode), func(t *testing.T) {
				request := sent(t, r, httpTask(url, func(a *v1alpha1.HTTPAction) { a.CloudEvents, a.Body = mode, test.body }), got)
				e := parsed(t, request)
				seen := []string{e.SpecVersion(), e.ID(), e.Source(), e.Type(), e.Time().Format(time.RFC3339), e.DataContentType()}
				want := []string{"1.0", key, "/namespaces/ci/webhooks/github/push", "core.st2.webhook", "2026-07-01T12:00:00Z", test.contentType}
				if diff := cmp.Diff(want, seen); diff != "" {
					t.Error(diff)
				}
				if mode == v1alpha1.CloudEventsBinary && (request.Body != test.data || request.Header.Get("Content-Type") != test.contentType) {
					t.Errorf("the body is %q, a %q", request.Body, request.Header.Get("Content-Type"))
				}
				if mode == v1alpha1.CloudEventsStructured &&
					(!strings.Contains(request.Body, test.structure) || request.Header.Get("Content-Type") != "application/cloudevents+json") {
					t.Errorf("the body is %s, a %q; want that it has %s", request.Body, request.Header.Get("Content-Type"), test.structure)
				}
			})
		}
	}
}

func TestACloudEventOfNoWebhookIsOfItsNamespaceAndItsTypeIsEncoded(t *testing.T) {
	url, got := record(t)
	task := httpTask(url, func(a *v1alpha1.HTTPAction) {
		a.CloudEvents = v1alpha1.CloudEventsBinary
		a.Headers = map[string]v1alpha1.HeaderValue{"ce-type": "forged", "ce-source": "/forged"}
	})
	task.Webhook, task.Trigger = action.Webhook{}, "my trigger: 100% \"ü\""
	header := sent(t, newRunner(t), task, got).Header
	if diff := cmp.Diff([]string{"/namespaces/ci"}, header["Ce-Source"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"my%20trigger:%20100%25%20%22%C3%BC%22"}, header["Ce-Type"]); diff != "" {
		t.Error(diff)
	}
}

func TestASignedRequestVerifiesAndEachAttemptHasItsTime(t *testing.T) {
	const encoded = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	const plain = "a key of more than sixteen bytes"
	verifiers := map[string]func() (*standardwebhooks.Webhook, error){
		"encoded": func() (*standardwebhooks.Webhook, error) { return standardwebhooks.NewWebhook(encoded) },
		"plain":   func() (*standardwebhooks.Webhook, error) { return standardwebhooks.NewWebhookRaw([]byte(plain)) },
	}
	bodies := map[string]*v1alpha1.HTTPBody{"no body": nil, "a body": {JSON: ptr(raw(`{"a":1}`))}}
	url, got := record(t)
	now := time.Now()
	r := newRunner(t, func(o *action.Options) {
		o.Secrets = secrets{aSecret("signing", map[string]string{"encoded": encoded + "\n", "plain": plain})}
		o.Now = func() time.Time { return now }
	})
	for name, verifier := range verifiers {
		for what, body := range bodies {
			t.Run(name+", "+what, func(t *testing.T) {
				webhook, err := verifier()
				if err != nil {
					t.Fatalf("making the verifier: %v", err)
				}
				for range 2 {
					now = now.Add(time.Second)
					request := sent(t, r, httpTask(url, func(a *v1alpha1.HTTPAction) {
						a.Sign, a.Body = &v1alpha1.SecretKeyReference{Name: "signing", Key: name}, body
					}), got)
					if err := webhook.Verify([]byte(request.Body), request.Header); err != nil {
						t.Errorf("verifying: %v", err)
					}
					if id := request.Header.Get("webhook-id"); id != key || request.Header.Get("Idempotency-Key") != key {
						t.Errorf("webhook-id is %q, Idempotency-Key %q; want %q", id, request.Header.Get("Idempotency-Key"), key)
					}
					if at := request.Header.Get("webhook-timestamp"); at != strconv.FormatInt(now.Unix(), 10) {
						t.Errorf("webhook-timestamp is %s, want %d", at, now.Unix())
					}
				}
			})
		}
	}
}

func TestACredentialComesFromASecret(t *testing.T) {
	r := newRunner(t, func(o *action.Options) {
		o.Secrets = secrets{aSecret("chat", map[string]string{"token": "s3cret\r\n", "username": "me", "password": "pa:ss wörd\n"})}
	})
	token := v1alpha1.SecretKeyReference{Name: "chat", Key: "token"}
	tests := map[string]struct {
		auth         v1alpha1.HTTPAuth
		header, want string
	}{
		"bearer": {v1alpha1.HTTPAuth{Bearer: &token}, "Authorization", "Bearer s3cret"},
		"basic":  {v1alpha1.HTTPAuth{Basic: &v1alpha1.LocalSecretReference{Name: "chat"}}, "Authorization", "Basic bWU6cGE6c3Mgd8O2cmQ="},
		"header": {v1alpha1.HTTPAuth{Header: &v1alpha1.HeaderAuth{Header: "x-api-key", SecretKeyReference: token}}, "X-Api-Key", "s3cret"},
	}
	url, got := record(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			request := sent(t, r, httpTask(url, func(a *v1alpha1.HTTPAction) {
				a.Auth, a.Headers = &test.auth, map[string]v1alpha1.HeaderValue{test.header: "the Rule's own"}
			}), got)
			if diff := cmp.Diff([]string{test.want}, request.Header[test.header]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASecretThatCannotBeUsedSendsNothing(t *testing.T) {
	notOutbound := aSecret("db", map[string]string{"password": "s3cret"})
	notOutbound.Labels[v1alpha1.LabelAuth] = v1alpha1.AuthToken
	elsewhere := aSecret("elsewhere", map[string]string{"token": "s3cret"})
	elsewhere.Namespace = "other"
	r := newRunner(t, func(o *action.Options) {
		o.Secrets = secrets{notOutbound, elsewhere, aSecret("chat", map[string]string{
			"empty": "\n", "lines": "s3cret\r\nX-B: c", "short": "s3cret", "base64": "whsec_s3cret!", "username": "s3:cret", "password": "s3cret",
		}), aSecret("user", map[string]string{"username": "me"})}
	})
	bearer := func(name, key string) func(*v1alpha1.HTTPAction) {
		return func(a *v1alpha1.HTTPAction) {
			a.Auth = &v1alpha1.HTTPAuth{Bearer: &v1alpha1.SecretKeyReference{Name: name, Key: key}}
		}
	}
	basic := func(name string) func(*v1alpha1.HTTPAction) {
		return func(a *v1alpha1.HTTPAction) {
			a.Auth = &v1alpha1.HTTPAuth{Basic: &v1alpha1.LocalSecretReference{Name: name}}
		}
	}
	sign := func(key string) func(*v1alpha1.HTTPAction) {
		return func(a *v1alpha1.HTTPAction) { a.Sign = &v1alpha1.SecretKeyReference{Name: "chat", Key: key} }
	}
	tests := map[string]struct {
		change func(*v1alpha1.HTTPAction)
		want   action.Failure
	}{
		"no such Secret":                  {bearer("none", "token"), action.Failure{Reason: "SecretNotFound", Message: "no Secret ci/none with the label hookstorm.dev/auth: outbound"}},
		"a Secret of another use":         {bearer("db", "password"), action.Failure{Reason: "SecretNotFound", Message: "no Secret ci/db with the label hookstorm.dev/auth: outbound"}},
		"a Secret of another namespace":   {bearer("elsewhere", "token"), action.Failure{Reason: "SecretNotFound", Message: "no Secret ci/elsewhere with the label hookstorm.dev/auth: outbound"}},
		"no such key":                     {bearer("chat", "token"), action.Failure{Reason: "SecretNotFound", Message: "Secret ci/chat has no key token"}},
		"no password":                     {basic("user"), action.Failure{Reason: "SecretNotFound", Message: "Secret ci/user has no key password"}},
		"an empty value":                  {bearer("chat", "empty"), action.Failure{Reason: "SecretInvalid", Message: "Secret ci/chat, key empty: it is empty"}},
		"a value of two lines":            {bearer("chat", "lines"), action.Failure{Reason: "SecretInvalid", Message: "Secret ci/chat, key lines: it has characters that no header can carry"}},
		"a user name with a colon":        {basic("chat"), action.Failure{Reason: "SecretInvalid", Message: "Secret ci/chat, key username: a user name has no colon"}},
		"a key that is too short to sign": {sign("short"), action.Failure{Reason: "SecretInvalid", Message: "Secret ci/chat, key short: a key that signs has at least 16 bytes"}},
		"a key that is no base64":         {sign("base64"), action.Failure{Reason: "SecretInvalid", Message: "Secret ci/chat, key base64: what follows whsec_ is not base64"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a call was made") })
			test.want.Retryable = true // the Secret may be made good
			_, failure := run(t, r, httpTask(server.URL, test.change))
			if diff := cmp.Diff(&test.want, failure); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// converse starts a server that answers each connection with what it was sent, after some words, and hangs up.
func converse(t *testing.T, words string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				head := make([]byte, 8192)
				n, _ := conn.Read(head)
				_, _ = conn.Write(append([]byte(words), bytes.ReplaceAll(head[:n], []byte("\r\n"), []byte(" "))...))
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestNoMessageHoldsACredentialOrWhatTheTargetSaid(t *testing.T) {
	const canary = "CANARY-7d3f"
	all := aSecret("chat", map[string]string{
		"token": canary, "username": canary, "password": canary, "signing": "whsec_" + canary, "lines": canary + "\r\n" + canary + "\r\n",
	})
	r := newRunner(t, func(o *action.Options) { o.Secrets = secrets{all} })
	echo := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.Header().Set("Retry-After", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusTeapot)
		_ = r.Header.Write(w)
	})
	hungURL, _ := hung(t)
	targets := map[string]string{
		"one that echoes":                    echo.URL,
		"one that echoes instead of HTTP":    converse(t, ""),
		"one that echoes in its status line": converse(t, "HTTP/1.1 503 "),
		"one that echoes as a status":        converse(t, "HTTP/1.1 "),
		"one that echoes in a header":        converse(t, "HTTP/1.1 503 No\r\nContent-Length: "),
		"one without TLS":                    strings.Replace(echo.URL, "http:", "https:", 1),
		"one that hangs":                     hungURL,
		"one that is denied":                 "http://169.254.169.254",
		"one with a user":                    "http://" + canary + ":" + canary + "@127.0.0.1",
		"one that is none":                   "http://127.0.0.1/%zz" + canary,
		"one with another scheme":            "ftp://127.0.0.1",
	}
	token := v1alpha1.SecretKeyReference{Name: "chat", Key: "token"}
	credentials := map[string]func(*v1alpha1.HTTPAction){
		"bearer": func(a *v1alpha1.HTTPAction) { a.Auth = &v1alpha1.HTTPAuth{Bearer: &token} },
		"basic": func(a *v1alpha1.HTTPAction) {
			a.Auth = &v1alpha1.HTTPAuth{Basic: &v1alpha1.LocalSecretReference{Name: "chat"}}
		},
		"header": func(a *v1alpha1.HTTPAction) {
			a.Auth = &v1alpha1.HTTPAuth{Header: &v1alpha1.HeaderAuth{Header: "X-Key", SecretKeyReference: token}}
		},
		"an unusable one": func(a *v1alpha1.HTTPAction) {
			a.Auth = &v1alpha1.HTTPAuth{Bearer: &v1alpha1.SecretKeyReference{Name: "chat", Key: "lines"}}
		},
		"an unusable to sign": func(a *v1alpha1.HTTPAction) { a.Sign = &v1alpha1.SecretKeyReference{Name: "chat", Key: "signing"} },
		"one among headers":   func(a *v1alpha1.HTTPAction) { a.Headers = map[string]v1alpha1.HeaderValue{"X-A": canary + "\r\n"} },
	}
	for target, url := range targets {
		for credential, change := range credentials {
			t.Run(target+", "+credential, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := r.Run(ctx, httpTask(url+"?token="+canary, change, func(a *v1alpha1.HTTPAction) { a.Timeout = ptr(v1alpha1.Duration("100ms")) }))
				failure := failureOf(t, err)
				if failure == nil || strings.Contains(failure.Message, canary) || strings.Contains(failure.Message, "Q0FOQVJZ") {
					t.Errorf("the failure is %+v", failure)
				}
			})
		}
	}
}
