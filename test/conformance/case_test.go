package conformance_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// testCase is one request to StackStorm, what it answered and what it dispatched.
type testCase struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Setup   json.RawMessage `json:"setup"`
	Request struct {
		Method     string            `json:"method"`
		Path       string            `json:"path"`
		Headers    map[string]any    `json:"headers"`
		Query      map[string]string `json:"query"`
		Body       string            `json:"body"`
		BodyBase64 string            `json:"bodyBase64"`
	} `json:"request"`
	Expect struct {
		Status             int               `json:"status"`
		Error              bool              `json:"error"`
		BodyContains       []string          `json:"bodyContains"`
		BodyEquals         json.RawMessage   `json:"bodyEquals"`
		BodyEqualsOnFields *fields           `json:"bodyEqualsOnFields"`
		BodyEmpty          bool              `json:"bodyEmpty"`
		ContentType        string            `json:"contentType"`
		ResponseHeaders    map[string]string `json:"responseHeaders"`
		Dispatched         []dispatched      `json:"dispatched"`
	} `json:"expect"`
}

// fields compares some members of one object, or of each of a list.
type fields struct {
	Fields []string        `json:"fields"`
	Value  json.RawMessage `json:"value"`
}

// dispatched is a trigger that StackStorm dispatched.
type dispatched struct {
	Trigger         json.RawMessage `json:"trigger"`
	Payload         json.RawMessage `json:"payload"`
	TraceTag        string          `json:"traceTag"`
	TraceTagPattern string          `json:"traceTagPattern"`
}

// hookPayload is what is told of the payload of a registered hook.
type hookPayload struct {
	Body                json.RawMessage   `json:"body"`
	HeadersContain      map[string]string `json:"headersContain"`
	HeadersLowerContain map[string]string `json:"headersLowerContain"`
	HeadersAbsent       []string          `json:"headersAbsent"`
}

// exchange is what HookStorm answered.
type exchange struct {
	status  int
	headers http.Header
	body    []byte
}

// send posts a case's request, with a token where StackStorm asked for none.
func (a *arrangement) send(c *testCase) *exchange {
	GinkgoHelper()
	body := []byte(c.Request.Body)
	if c.Request.BodyBase64 != "" {
		decoded, err := base64.StdEncoding.DecodeString(c.Request.BodyBase64)
		Expect(err).NotTo(HaveOccurred())
		body = decoded
	}
	request, err := http.NewRequest(c.Request.Method, base, bytes.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	query := url.Values{}
	for name, value := range c.Request.Query {
		query.Set(name, value)
	}
	// Opaque keeps the path to the letter.
	request.URL.Opaque, request.URL.RawQuery = "//"+request.URL.Host+c.Request.Path, query.Encode()
	for name, value := range c.Request.Headers {
		switch v := value.(type) {
		case string:
			request.Header.Add(name, v)
		case []any:
			for _, one := range v {
				request.Header.Add(name, one.(string))
			}
		}
	}
	if !a.authenticated {
		request.Header.Set("X-Auth-Token", systemToken)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return &exchange{status: response.StatusCode, headers: response.Header, body: answer}
}

// compare returns how an exchange differs from a case; "": it does not.
func (e *exchange) compare(ctx context.Context, c *testCase) string {
	if difference := e.compareHead(c); difference != "" {
		return difference
	}
	if difference := e.compareBody(c); difference != "" {
		return difference
	}
	return e.compareDispatched(ctx, c.Expect.Dispatched)
}

// compareHead compares the status and the headers.
func (e *exchange) compareHead(c *testCase) string {
	if e.status != c.Expect.Status {
		return fmt.Sprintf("status %d, want %d: %s", e.status, c.Expect.Status, e.body)
	}
	if got := e.headers.Get("Content-Type"); !strings.HasPrefix(got, c.Expect.ContentType) {
		return fmt.Sprintf("content type %q, want %q", got, c.Expect.ContentType)
	}
	for name, value := range c.Expect.ResponseHeaders {
		if got := e.headers.Get(name); got != value {
			return fmt.Sprintf("header %s: %q, want %q", name, got, value)
		}
	}
	return ""
}

// compareBody compares the body.
func (e *exchange) compareBody(c *testCase) string {
	want := c.Expect
	switch {
	case want.BodyEmpty && len(e.body) > 0:
		return fmt.Sprintf("body %s, want none", e.body)
	case want.Error && !isFault(e.body):
		return fmt.Sprintf("body %s has no faultstring", e.body)
	case want.BodyEquals != nil && !sameJSON(want.BodyEquals, e.body):
		return fmt.Sprintf("body %s, want %s", e.body, want.BodyEquals)
	case want.BodyEqualsOnFields != nil && !want.BodyEqualsOnFields.hold(e.body):
		return fmt.Sprintf("body %s, want %s in %v", e.body, want.BodyEqualsOnFields.Value, want.BodyEqualsOnFields.Fields)
	}
	for _, part := range want.BodyContains {
		if !strings.Contains(string(e.body), part) {
			return fmt.Sprintf("body %s does not contain %q", e.body, part)
		}
	}
	return ""
}

// compareDispatched compares what was dispatched with what StackStorm did.
func (e *exchange) compareDispatched(ctx context.Context, want []dispatched) string {
	id := e.headers.Get("X-Delivery-Id")
	if len(want) == 0 {
		if id != "" {
			return "dispatched, want nothing"
		}
		return ""
	}
	var list v1alpha1.TriggerInstanceList
	Eventually(func(g Gomega) {
		g.Expect(k8s.List(ctx, &list, client.InNamespace(system), client.MatchingLabels{v1alpha1.LabelDelivery: id})).To(Succeed())
		g.Expect(list.Items).NotTo(BeEmpty(), "delivery "+id)
	}).Should(Succeed())
	if len(list.Items) != len(want) {
		return fmt.Sprintf("%d trigger instances, want %d", len(list.Items), len(want))
	}
	return want[0].compare(&list.Items[0])
}

// compare returns how a trigger instance differs from what StackStorm dispatched.
func (d *dispatched) compare(got *v1alpha1.TriggerInstance) string {
	if d.TraceTag != "" && got.Spec.TraceTag != d.TraceTag {
		return fmt.Sprintf("trace tag %q, want %q", got.Spec.TraceTag, d.TraceTag)
	}
	if d.TraceTagPattern != "" && !regexp.MustCompile(d.TraceTagPattern).MatchString(got.Spec.TraceTag) {
		return fmt.Sprintf("trace tag %q, want %s", got.Spec.TraceTag, d.TraceTagPattern)
	}
	var name string
	if json.Unmarshal(d.Trigger, &name) == nil {
		payload := got.Spec.Payload
		if payload == "" {
			payload = "null"
		}
		if got.Spec.Trigger.Type != name || !sameJSON(d.Payload, []byte(payload)) {
			return fmt.Sprintf("dispatched %s %s, want %s %s", got.Spec.Trigger.Type, payload, name, d.Payload)
		}
		return ""
	}
	return d.compareHook(got)
}

// compareHook compares the trigger of a registered hook.
func (d *dispatched) compareHook(got *v1alpha1.TriggerInstance) string {
	var trigger struct {
		Type       string            `json:"type"`
		Parameters map[string]string `json:"parameters"`
	}
	var want hookPayload
	var have struct {
		Headers      map[string]string `json:"headers"`
		HeadersLower map[string]string `json:"headers_lower"`
		Body         json.RawMessage   `json:"body"`
	}
	Expect(json.Unmarshal(d.Trigger, &trigger)).To(Succeed())
	Expect(json.Unmarshal(d.Payload, &want)).To(Succeed())
	Expect(json.Unmarshal([]byte(got.Spec.Payload), &have)).To(Succeed())
	// The url is the trimmed one everywhere.
	if got.Spec.Trigger.Type != trigger.Type || string(got.Spec.Trigger.Parameters["url"]) != strings.Trim(trigger.Parameters["url"], "/") {
		return fmt.Sprintf("dispatched %v, want %v", got.Spec.Trigger, trigger)
	}
	if !sameJSON(want.Body, have.Body) {
		return fmt.Sprintf("payload.body %s, want %s", have.Body, want.Body)
	}
	for name, value := range want.HeadersContain {
		if have.Headers[name] != value {
			return fmt.Sprintf("payload.headers[%s] %q, want %q", name, have.Headers[name], value)
		}
	}
	for name, value := range want.HeadersLowerContain {
		if have.HeadersLower[name] != value {
			return fmt.Sprintf("payload.headers_lower[%s] %q, want %q", name, have.HeadersLower[name], value)
		}
	}
	for _, name := range want.HeadersAbsent {
		if _, there := have.Headers[name]; there {
			return "payload.headers has " + name
		}
	}
	return ""
}

// hold reports whether some members of a body are as told. Urls are compared without outer slashes, lists in any order.
func (f *fields) hold(body []byte) bool {
	want, got := f.reduce(f.Value), f.reduce(body)
	return want != nil && slices.Equal(want, got)
}

// reduce returns the members that are compared, of one object or of each of a list, in order.
func (f *fields) reduce(document []byte) []string {
	var list []map[string]any
	if json.Unmarshal(document, &list) != nil {
		var one map[string]any
		if json.Unmarshal(document, &one) != nil {
			return nil
		}
		list = append(list, one)
	}
	reduced := []string{}
	for _, one := range list {
		if parameters, ok := one["parameters"].(map[string]any); ok {
			parameters["url"] = strings.Trim(fmt.Sprint(parameters["url"]), "/")
		}
		kept := map[string]any{}
		for _, field := range f.Fields {
			kept[field] = one[field]
		}
		text, err := json.Marshal(kept)
		Expect(err).NotTo(HaveOccurred())
		reduced = append(reduced, string(text))
	}
	slices.Sort(reduced)
	return reduced
}

func isFault(body []byte) bool {
	var fault map[string]string
	return json.Unmarshal(body, &fault) == nil && fault["faultstring"] != ""
}

func sameJSON(a, b []byte) bool {
	return reflect.DeepEqual(exact(a), exact(b))
}

// exact decodes JSON with its numbers as they are written.
func exact(document []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return string(document)
	}
	return value
}
