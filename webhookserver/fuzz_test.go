package webhookserver

import (
	"encoding/json"
	"net/http"
	"testing"
	"unicode/utf8"
)

// FuzzBody decodes any body of any type, and finds that what is taken is one JSON object or array, and that JSON is taken
// as it came.
func FuzzBody(f *testing.F) {
	for _, seed := range [][2]string{
		{"application/json", `{"a": 1}`}, {"", `[]`}, {"application/json", "\ufeff{}"}, {"application/json", `"\ud800"`},
		{"application/x-www-form-urlencoded", "a=1&a=%ff&b=%zz+"}, {"text/plain", "x"}, {"foo/bar", ""},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n1\r\n--x--\r\n"},
	} {
		f.Add(seed[0], "", []byte(seed[1]))
	}
	f.Add("application/cloudevents+json", "x", []byte("{}"))
	f.Add("application/x-www-form-urlencoded", "payload", []byte("payload=%5B1%5D"))
	f.Fuzz(func(t *testing.T, contentType, field string, body []byte) {
		bodies := Bodies{FormField: field, JSONSuffix: field != "", PlainText: field != ""}
		document, err := decode(http.Header{"Content-Type": {contentType}}, body, bodies, 1<<20)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a text")
			}
			return
		}
		if err := scan(document); err != nil || !json.Valid(document) || !isStructured(document) {
			t.Fatalf("%q became %q: %v", body, document, err)
		}
		r := &exchange{handler: &handler{}, r: &http.Request{Host: contentType, Header: http.Header{"X-Any": {string(body)}}}, document: document}
		if payload := r.customPayload(); !json.Valid(payload) || !utf8.Valid(payload) {
			t.Fatalf("the payload is %q", payload)
		}
	})
}
