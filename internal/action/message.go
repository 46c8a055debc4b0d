package action

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cloudevents "github.com/cloudevents/sdk-go/v2/protocol/http"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/http/httpguts"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	contentType    = "Content-Type"
	idempotencyKey = "Idempotency-Key"
	// ceType is the header of a CloudEvent's type in binary mode.
	ceType = "Ce-Type"
)

// reserved are the headers that a Rule cannot set: those that frame the request or belong to the connection, and the key
// that every attempt has in common.
var reserved = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Upgrade", "Expect", idempotencyKey,
}

// message is what an HTTP request carries.
type message struct {
	header http.Header
	body   []byte // nil where there is none
}

// newMessage returns the message that an action sends, but for what comes from Secrets.
func newMessage(t *Task, a *v1alpha1.HTTPAction) (*message, error) {
	m := &message{header: http.Header{}}
	if err := m.setBody(a.Body); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		if err := checkHeader(name, string(a.Headers[name])); err != nil {
			return nil, err
		}
		m.header.Set(name, string(a.Headers[name]))
	}
	if a.CloudEvents != "" {
		if err := m.wrap(t, a.CloudEvents); err != nil {
			return nil, err
		}
	}
	m.header.Set(idempotencyKey, t.IdempotencyKey())
	if m.header.Get("User-Agent") == "" {
		m.header.Set("User-Agent", v1alpha1.ManagedByHookStorm)
	}
	return m, nil
}

// checkHeader makes sure that a header may be set, and is one header.
func checkHeader(name, value string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return final(ReasonInvalid, "http.headers: %q is no name of a header", name)
	case slices.Contains(reserved, http.CanonicalHeaderKey(name)):
		return final(ReasonInvalid, "http.headers: %s is set by HookStorm; leave it out", name)
	case !httpguts.ValidHeaderFieldValue(value):
		return final(ReasonInvalid, "http.headers: the value of %s has characters that no header can carry, such as a line break", name)
	}
	return nil
}

func (m *message) setBody(b *v1alpha1.HTTPBody) error {
	switch {
	case b == nil:
		return nil
	case b.JSON != nil:
		m.body = b.JSON.Raw
		m.header.Set(contentType, "application/json")
	case b.Text != nil:
		m.body = []byte(*b.Text)
		m.header.Set(contentType, "text/plain; charset=utf-8")
	case b.Form != nil:
		form := url.Values{}
		for name, value := range b.Form {
			form.Set(name, string(value))
		}
		m.body = []byte(form.Encode())
		m.header.Set(contentType, "application/x-www-form-urlencoded")
	default:
		return final(ReasonInvalid, "http.body: set one of json, form and text")
	}
	return nil
}

// wrap makes the message a CloudEvent, whose data is what the body was.
func (m *message) wrap(t *Task, mode v1alpha1.CloudEventsMode) error {
	e := event.New()
	e.SetID(t.IdempotencyKey())
	e.SetSource(t.source())
	e.SetType(t.Trigger)
	e.SetTime(t.Received)
	if m.body != nil {
		kind := m.header.Get(contentType)
		// The library trusts the type, and a text that is no JSON could write attributes of the event.
		if strings.Contains(strings.ToLower(kind), "json") && !json.Valid(m.body) {
			return final(ReasonInvalid, "http.body: Content-Type is %s, and the body is no JSON", kind)
		}
		e.SetDataContentType(kind)
		e.DataEncoded = m.body
	}
	if err := e.Validate(); err != nil {
		return final(ReasonInvalid, "http.cloudEvents: %v", err)
	}
	ctx := binding.WithForceBinary(context.Background())
	if mode == v1alpha1.CloudEventsStructured {
		ctx = binding.WithForceStructured(context.Background())
	}
	written := &http.Request{Header: http.Header{}}
	if err := cloudevents.WriteRequest(ctx, binding.ToMessage(&e), written); err != nil {
		return final(ReasonInvalid, "http.cloudEvents: %v", err)
	}
	if written.Header.Get(ceType) != "" {
		written.Header.Set(ceType, percentEncoded(t.Trigger))
	}
	maps.Copy(m.header, written.Header)
	if written.Body == nil {
		return nil
	}
	body, err := io.ReadAll(written.Body)
	if err != nil {
		return final(ReasonInvalid, "http.cloudEvents: %v", err)
	}
	m.body = body
	return nil
}

// source is the CloudEvent's: the webhook's path, or where no webhook accepted the delivery, the Rule's namespace.
func (t *Task) source() string {
	if t.Webhook.Namespace == "" {
		return "/namespaces/" + t.Namespace
	}
	return "/namespaces/" + t.Webhook.Namespace + "/webhooks/" + t.Webhook.URL
}

// percentEncoded encodes an attribute for a header (CloudEvents HTTP binding 1.0.2, section 3.1.3.2), which the library
// leaves to its caller.
func percentEncoded(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' || c == '"' || c == '%' {
			b.WriteString("%" + strings.ToUpper(strconv.FormatUint(0x100|uint64(c), 16)[1:]))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// sign signs the message as Standard Webhooks does. The id stays the same for every attempt, the time does not.
func (m *message) sign(t *Task, key []byte, now time.Time) error {
	signer, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return final(ReasonInvalid, "http.sign: %v", err)
	}
	signature, err := signer.Sign(t.IdempotencyKey(), now, m.body)
	if err != nil {
		return final(ReasonInvalid, "http.sign: %v", err)
	}
	m.header.Set(standardwebhooks.HeaderWebhookID, t.IdempotencyKey())
	m.header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	m.header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}

// request returns the message as a request.
func (m *message) request(method string, to *url.URL) *http.Request {
	request := &http.Request{Method: method, URL: to, Header: m.header, ContentLength: int64(len(m.body))}
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.body)), nil }
	request.Body = http.NoBody
	if len(m.body) > 0 {
		request.Body, _ = request.GetBody() // never fails
	}
	return request
}
