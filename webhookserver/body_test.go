package webhookserver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/webhookserver"
)

func TestBodies(t *testing.T) {
	const jsonType, formType, multipartType = "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
	s := serve(t, hook("git", func(h *webhookserver.Hook) { h.MaxBodySize = 1000 }))
	part := func(disposition, content string) string {
		return "--x\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n"
	}
	for _, c := range []struct {
		name, contentType, body string
		status                  int
		want                    string // the echo, or a part of the fault
	}{
		{"an object", jsonType, `{"a": [1, null]}`, 202, `{"a": [1, null]}`},
		{"an array", jsonType, `[1]`, 202, `[1]`},
		{"numbers as they are written", jsonType, `[1e2, 1.0, 9007199254740993, 123456789012345678901234567890, 1E400, -0]`, 202,
			`[1e2, 1.0, 9007199254740993, 123456789012345678901234567890, 1E400, -0]`},
		{"no type means JSON", "", `{"a":1}`, 202, `{"a":1}`},
		{"a type is compared without case, parameters and blanks", "Application/JSON ; charset=utf-8", `{}`, 202, `{}`},
		{"nothing is an empty object", jsonType, ``, 202, `{}`},
		{"nothing without a type is an empty object", "", ``, 202, `{}`},
		{"an empty form is an empty object", formType, ``, 202, `{}`},
		{"an empty multipart form is an empty object", multipartType, ``, 202, `{}`},

		{"blanks alone are no JSON", jsonType, "  ", 400, "Failed to parse request body: unexpected end of JSON input at byte"},
		{"a text that is no JSON", jsonType, `invalid`, 400, "Failed to parse request body: invalid character 'i'"},
		{"the place of an error is named", jsonType, `{"a": 1,}`, 400, "at byte 7"},
		{"trailing text", jsonType, `{}{}`, 400, "Failed to parse request body: "},
		{"a byte order mark", jsonType, "\ufeff{}", 400, "Failed to parse request body: "},
		{"bytes that are no UTF-8", jsonType, "{\"a\": \"\xff\"}", 400, "Failed to parse request body: invalid UTF-8 at /a, byte 7"},
		{"a name twice", jsonType, `{"x": [{"a": 1, "a": 2}]}`, 400, `Failed to parse request body: duplicate name "a" at /x/0, byte 16`},
		{"half a character", jsonType, `["\ud800"]`, 400, "Failed to parse request body: invalid surrogate pair"},
		{"too deep", jsonType, strings.Repeat("[", 100), 400, "Failed to parse request body: more than 64 levels at "},
		{"what Python takes for a number", jsonType, `[NaN]`, 400, "Failed to parse request body: "},
		{"a string", jsonType, `"text"`, 400, `'text' is not of type 'object', 'array'`},
		{"a number", jsonType, `5`, 400, `5 is not of type 'object', 'array'`},
		{"null", jsonType, `null`, 400, `None is not of type 'object', 'array'`},
		{"true", jsonType, `true`, 400, `True is not of type 'object', 'array'`},
		{"plain text", "text/plain", `hello`, 400, `'hello' is not of type 'object', 'array'`},
		{"another type", "foo/invalid", `{}`, 400, `Failed to parse request body: Unsupported Content-Type: "foo/invalid"`},
		{"another type that ends in JSON", "application/vnd.api+json", `{}`, 400, `Unsupported Content-Type: "application/vnd.api+json"`},

		{"a form's values are lists", formType, `a=1&a=2&b=x+y&c=%C5%BC&d.e=z`, 202, `{"a":["1","2"],"b":["x y"],"c":["ż"],"d.e":["z"]}`},
		{"blank values are dropped", formType, `a=&b&c=1&=`, 202, `{"c":["1"]}`},
		{"what is no escape stays", formType, `a=%zz%4&b=1;c=2&d=a=b`, 202, `{"a":["%zz%4"],"b":["1;c=2"],"d":["a=b"]}`},
		{"a form with bytes that are no UTF-8", formType, "a=%ff&b=\xff", 202, `{"a":["�"],"b":["�"]}`},
		{"JSON in a form stays a string", formType, `payload=%7B%22a%22%3A1%7D`, 202, `{"payload":["{\"a\":1}"]}`},
		{"a form that grows beyond the limit", formType, "a=" + strings.Repeat("\x01", 500), 413, "at most 1000 bytes"},

		{"a multipart form", multipartType, part(`name="a"`, "1") + part(`name="b"`, "") + part(`name="a"`, "2") + "--x--\r\n", 202, `{"a":["1","2"]}`},
		{"a file", multipartType, part("name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain", "hi") + "--x--\r\n", 202,
			`{"f":[{"filename":"a.txt","content_type":"text/plain","content":"aGk="}]}`},
		{"a multipart form that is cut off", multipartType, part(`name="a"`, "1"), 400, "Failed to parse request body: multipart/form-data: "},
		{"a part without a name", multipartType, part(`filename="a"`, "1") + "--x--\r\n", 400, "a part without a name"},
		{"a multipart form without a boundary", "multipart/form-data", "x", 400, "multipart/form-data: there is no boundary"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := request{path: "/v1/webhooks/git", body: c.body}
			if c.contentType != "" {
				q.headers = []string{"Content-Type: " + c.contentType}
			}
			got := s.send(q)
			if got.status != c.status {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			deliveries := s.publisher.take()
			if c.status != 202 {
				if !strings.Contains(got.fault(t), c.want) || len(deliveries) != 0 {
					t.Errorf("got %s and %d deliveries, want %q", got.body, len(deliveries), c.want)
				}
				return
			}
			var payload struct{ Body json.RawMessage }
			if err := json.Unmarshal(deliveries[0].Payload, &payload); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{c.want, c.want}, []string{got.body, string(payload.Body)}); diff != "" {
				t.Errorf("echo and payload (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBodiesBeyondStackStorm(t *testing.T) {
	const formType, multipartType = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
	s := serve(t, hook("git", func(h *webhookserver.Hook) {
		h.Bodies = webhookserver.Bodies{FormField: "payload", JSONSuffix: true, PlainText: true}
	}))
	part := func(disposition, content string) string {
		return "--x\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n"
	}
	const fault = "Failed to parse request body: "
	for _, c := range []struct {
		name, contentType, body string
		status                  int
		want                    string // the echo and the payload's body, or the fault
	}{
		{"JSON in a form", formType, `payload=%7B%22id%22%3A+9007199254740993%7D&token=t`, 202, `{"id": 9007199254740993}`},
		{"a list in a form, with blanks around it", formType, `payload=+[1]%0A`, 202, `[1]`},
		{"JSON in a multipart form", multipartType, part(`name="a"`, "1") + part(`name="payload"`, `{"a": "ż"}`) + "--x--", 202, `{"a": "ż"}`},
		{"JSON alone is JSON still", "application/json", `{"payload": 1}`, 202, `{"payload": 1}`},
		{"a form without the field", formType, `a=1`, 400, fault + `form field "payload" is missing or empty`},
		{"an empty form", formType, ``, 400, fault + `form field "payload" is missing or empty`},
		{"an empty field", formType, `payload=&a=1`, 400, fault + `form field "payload" is missing or empty`},
		{"the field twice", formType, `payload={}&payload={}`, 400, fault + `form field "payload" is there 2 times`},
		{"a field that is no JSON", formType, `payload=x`, 400, fault + `form field "payload": invalid character 'x' at start of value at byte 0`},
		{"a field with a name twice", formType, `payload={"a":[{"b":1,"b":2}]}`, 400, fault + `form field "payload": duplicate name "b" at /a/0, byte 13`},
		{"a field that holds a number", formType, `payload=5`, 400, fault + `form field "payload" is neither an object nor an array`},
		{"a multipart form without the field", multipartType, part(`name="a"`, "1") + "--x--", 400, fault + `form field "payload" is missing or empty`},
		{"a file under the field's name", multipartType, part(`name="payload"; filename="a.json"`, "{}") + "--x--", 400, fault + `form field "payload" is a file`},

		{"CloudEvents", "application/cloudevents+json; charset=utf-8", `{"specversion": "1.0"}`, 202, `{"specversion": "1.0"}`},
		{"a batch of CloudEvents", "application/cloudevents-batch+json", `[]`, 202, `[]`},
		{"a suffix in upper case", "Application/VND.API+JSON", `{}`, 202, `{}`},
		{"a suffix on JSON that is none", "application/problem+json", `{`, 400, fault + "unexpected end of JSON input at byte 1"},
		{"a suffix alone", "application/+json", `{}`, 400, fault + `Unsupported Content-Type: "application/+json"`},
		{"a suffix on no type", "x+json", `{}`, 400, fault + `Unsupported Content-Type: "x+json"`},
		{"JSON that is called plain text", "text/plain; charset=UTF-8", `{"Type": "Notification"}`, 202, `{"Type": "Notification"}`},
		{"plain text that is no JSON", "text/plain", `hello`, 400, fault + "invalid character 'h' at start of value at byte 0"},
		{"another suffix", "application/cloudevents+xml", `{}`, 400, fault + `Unsupported Content-Type: "application/cloudevents+xml"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.send(request{path: "/v1/webhooks/git", headers: []string{"Content-Type: " + c.contentType}, body: c.body})
			text := got.body
			if c.status != 202 {
				text = got.fault(t)
			}
			if got.status != c.status || text != c.want {
				t.Fatalf("got %d %s, want %d %s", got.status, text, c.status, c.want)
			}
			for _, d := range s.publisher.take() {
				if !strings.HasSuffix(string(d.Payload), `"body":`+c.want+"}") {
					t.Errorf("payload %s", d.Payload)
				}
			}
		})
	}
}

func TestTypesThatAreSentTwice(t *testing.T) {
	s := serve(t, hook("git"))
	for _, c := range []struct{ header, first, second string }{
		{"Content-Type", "application/json; charset=utf-8", "text/plain"},
		{"Content-Encoding", "identity", "gzip"},
	} {
		got := s.send(request{path: "/v1/webhooks/git", headers: []string{c.header + ": " + c.first, c.header + ": " + c.second}, body: "{}"})
		want := fmt.Sprintf("Failed to parse request body: Unsupported %s: %q", c.header, c.first+", "+c.second)
		if got.status != 400 || got.fault(t) != want {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
}

func TestACompressedBodyIsRefused(t *testing.T) {
	s := serve(t, hook("git"))
	got := s.send(request{path: "/v1/webhooks/git", headers: []string{"Content-Encoding: gzip"}, body: "\x1f\x8b"})
	if want := `Failed to parse request body: Unsupported Content-Encoding: "gzip"`; got.status != 400 || got.fault(t) != want {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.send(request{path: "/v1/webhooks/git", headers: []string{"Content-Encoding: identity"}, body: "{}"}); got.status != 202 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestALargeBodyIsNotRepeated(t *testing.T) {
	s := serve(t, hook("git"))
	for size, repeated := range map[int]bool{64 << 10: true, 64<<10 + 1: false} {
		body := `{"a":"` + strings.Repeat("x", size-len(`{"a":""}`)) + `"}`
		got := s.send(request{path: "/v1/webhooks/git", body: body})
		if got.status != 202 || (got.body == body) != repeated || !repeated && got.body != "{}" {
			t.Errorf("%d bytes: %d and %d bytes", size, got.status, len(got.body))
		}
		if d := s.publisher.take(); !strings.HasSuffix(string(d[0].Payload), body+"}") {
			t.Errorf("%d bytes: the payload is cut", size)
		}
	}
}

func TestBodyLimits(t *testing.T) {
	const limit = 1000
	s := serve(t, hook("git", func(h *webhookserver.Hook) { h.MaxBodySize = limit }), hook("large", func(h *webhookserver.Hook) { h.MaxBodySize = 3000 }))
	head := "POST /v1/webhooks/%s HTTP/1.1\r\nHost: x\r\nX-Auth-Token: " + systemToken + "\r\n"
	for _, c := range []struct {
		size int
		url  string
		want int
	}{
		{limit - 1, "git", 202}, {limit, "git", 202}, {limit + 1, "git", 413}, {limit * 100, "git", 413},
		{3000, "none", 404}, {3001, "none", 413},
	} {
		body := `"` + strings.Repeat("x", c.size-4) + `"`
		body = "[" + body + "]"
		given := s.raw(fmt.Sprintf(head+"Content-Length: %d\r\n\r\n%s", c.url, len(body), body))
		chunked := s.raw(fmt.Sprintf(head+"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", c.url, len(body), body))
		if given.status != c.want || chunked.status != c.want {
			t.Errorf("%d bytes to %s: %d with a length, %d chunked, want %d", c.size, c.url, given.status, chunked.status, c.want)
		}
		if chunked.header.Get("Connection") != "close" {
			t.Errorf("%d bytes chunked: the connection is kept", c.size)
		}
		if (given.header.Get("Connection") == "close") != (c.want == 413) {
			t.Errorf("%d bytes with a length: Connection %q", c.size, given.header.Get("Connection"))
		}
	}
	if got := s.raw(fmt.Sprintf(head+"Content-Length: 9000000000000000000\r\n\r\n", "git")); got.status != 413 {
		t.Errorf("a length of 9e18: %d", got.status)
	}
}

func TestThePayloadOfACustomWebhook(t *testing.T) {
	s := serve(t, hook("git"))
	got := s.raw("POST /v1/webhooks/git?x-auth-token=nope HTTP/1.1\r\nHost: hooks.example:9101\r\n" +
		"x-auth-token: " + systemToken + "\r\nst2-api-key: k\r\nAuthorization: Bearer b\r\nProxy-Authorization: p\r\nCookie: a=b\r\n" +
		"St2-Trace-Tag: tag\r\nX-Hub-Signature-256: sha256=ab\r\nstripe-signature: t=1\r\nX-Gitlab-Token: t\r\n" +
		"content-type: application/json; charset=utf-8\r\nX-gitHub-EVENT: ping\r\nx-sha256sum: ab\r\nETag: e\r\nX_Real_IP: evil\r\n" +
		"X-Multi: a\r\nX-Multi: b\r\nX-Text: \"q\\\" <&> \u017c\r\nX-Latin: \xe9\r\nX-Request-ID: r1\r\nContent-Length: 2\r\n\r\n[]")
	if got.status != 202 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	type payload struct {
		Headers map[string]string `json:"headers"`
		Lower   map[string]string `json:"headers_lower"`
		Body    json.RawMessage   `json:"body"`
	}
	want := payload{Body: json.RawMessage("[]"), Lower: map[string]string{}, Headers: map[string]string{
		"Host": "hooks.example:9101", "Content-Type": "application/json; charset=utf-8", "Content-Length": "2", "X-Request-Id": "r1",
		"X-Github-Event": "ping", "X-Sha256Sum": "ab", "Etag": "e", "X-Multi": "a,b", "X-Text": "\"q\\\" <&> \u017c", "X-Latin": "\u00e9",
	}}
	for name, value := range want.Headers {
		want.Lower[strings.ToLower(name)] = value
	}
	d := s.publisher.take()[0]
	var have payload
	if err := json.Unmarshal(d.Payload, &have); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	if d.TraceTag != "tag" {
		t.Errorf("trace tag %q", d.TraceTag)
	}
}
