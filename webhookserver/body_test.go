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
		{"numbers as they are written", jsonType, `[1e2, 1.0, 9007199254740993, 1E400, -0]`, 202, `[1e2, 1.0, 9007199254740993, 1E400, -0]`},
		{"no type means JSON", "", `{"a":1}`, 202, `{"a":1}`},
		{"a type is compared without case, parameters and blanks", "Application/JSON ; charset=utf-8", `{}`, 202, `{}`},
		{"nothing is an empty object", jsonType, ``, 202, `{}`},
		{"nothing without a type is an empty object", "", ``, 202, `{}`},
		{"an empty form is an empty object", formType, ``, 202, `{}`},
		{"an empty multipart form is an empty object", multipartType, ``, 202, `{}`},

		{"blanks alone are no JSON", jsonType, "  ", 400, "Failed to parse request body: unexpected end of JSON input at byte"},
		{"a text that is no JSON", jsonType, `invalid`, 400, "Failed to parse request body: invalid character 'i'"},
		{"the place of an error is named", jsonType, `{"a": 1,}`, 400, "at byte 9"},
		{"trailing text", jsonType, `{}{}`, 400, "Failed to parse request body: "},
		{"a byte order mark", jsonType, "\ufeff{}", 400, "Failed to parse request body: "},
		{"bytes that are no UTF-8", jsonType, "{\"a\": \"\xff\"}", 400, "Failed to parse request body: invalid UTF-8"},
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
		{"a multipart form without a boundary", "multipart/form-data", "x", 400, "without a boundary"},
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
