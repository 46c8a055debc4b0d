package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMistakesInACustomSchemeAreNamed(t *testing.T) {
	const (
		braces  = "write only {id}, {timestamp} and {body} in braces"
		several = "so that one signature would do for several of them; have the sender sign a text between them, such as a dot"
		taken   = "may hold a credential, and is taken out of every request"
		times   = "so that one signature would do for several times; have the sender sign another text there, such as a dot"
	)
	for _, c := range []struct {
		name   string
		custom *CustomScheme
		want   string
	}{
		{"nothing", nil, "custom: is missing; describe the scheme, or choose another"},
		{"no header", &CustomScheme{}, "custom.header: is missing; name the header"},
		{"a name that is none", &CustomScheme{Header: "X:Y"}, `custom.header: "X:Y" is no name of a header; use letters, digits and dashes`},
		{"a name in other letters", &CustomScheme{Header: "X-É"},
			`custom.header: "X-É" is no name of a header; use letters, digits and dashes`},
		{"a header of HTTP", &CustomScheme{Header: "content-type"},
			"custom.header: Content-Type has another meaning; name the sender's own header"},
		{"a header that proxies add", &CustomScheme{Header: "x-request-id"},
			"custom.header: X-Request-Id is on the requests of other senders too; name the sender's own header"},
		{"a credential of another kind", &CustomScheme{Header: "Authorization"},
			"custom.header: Authorization " + taken + "; name the sender's own header"},
		{"StackStorm's API key", &CustomScheme{Header: "st2-api-key"},
			"custom.header: St2-Api-Key " + taken + "; name the sender's own header"},
		{"an API key of another system", &CustomScheme{Header: "x-api-key"},
			"custom.header: X-Api-Key " + taken + "; name the sender's own header"},
		{"a time in a credential", &CustomScheme{Header: "X", Signed: "{timestamp}.{body}", TimestampHeader: "X-Vault-Token"},
			"custom.timestampHeader: X-Vault-Token " + taken + "; name the sender's own header"},
		{"an id in a credential", &CustomScheme{Header: "X", Signed: "{id}.{body}", IDHeader: "X-Amz-Security-Token"},
			"custom.idHeader: X-Amz-Security-Token " + taken + "; name the sender's own header"},
		{"an unknown algorithm", &CustomScheme{Header: "X", Algorithm: "HMAC-MD5"},
			`custom.algorithm: "HMAC-MD5" is none of HMAC-SHA256, HMAC-SHA512 and HMAC-SHA1`},
		{"an unknown encoding", &CustomScheme{Header: "X", Encoding: "hex"}, `custom.encoding: "hex" is neither Hex nor Base64`},
		{"no body", &CustomScheme{Header: "X", Signed: "{id}"},
			"custom.signed: has no {body}, so that a request with any body would be admitted; add it"},
		{"an unknown part", &CustomScheme{Header: "X", Signed: "{url}{body}"}, "custom.signed: has {url}; " + braces},
		{"a part in upper case", &CustomScheme{Header: "X", Signed: "{Body}"}, "custom.signed: has {Body}; " + braces},
		{"an open brace", &CustomScheme{Header: "X", Signed: "{body}{timestamp"}, "custom.signed: has {timestamp without its }; " + braces},
		{"a closing brace", &CustomScheme{Header: "X", Signed: "a}{body}"}, "custom.signed: has a } without its {; " + braces},
		{"a part twice", &CustomScheme{Header: "X", Signed: "{body}{body}"}, "custom.signed: has {body} twice; write it once"},
		{"an id that may end anywhere", &CustomScheme{Header: "X", Signed: "{id}{body}"},
			"custom.signed: has nothing between {id} and {body}, " + several},
		{"a time that may end anywhere", &CustomScheme{Header: "X", Signed: "v1:{timestamp}{body}"},
			"custom.signed: has nothing between {timestamp} and {body}, " + several},
		{"a body that may end anywhere", &CustomScheme{Header: "X", Signed: "{body}{id}"},
			"custom.signed: has nothing between {body} and {id}, " + several},
		{"a time before a digit", &CustomScheme{Header: "X", Signed: "{timestamp}0:{body}"}, "custom.signed: has a digit beside {timestamp}, " + times},
		{"a time after one", &CustomScheme{Header: "X", Signed: "{body}v1{timestamp}"}, "custom.signed: has a digit beside {timestamp}, " + times},
		{"a time from nowhere", &CustomScheme{Header: "X", Signed: "{timestamp}.{body}"},
			"custom.timestampHeader: is missing; name the header"},
		{"an id from nowhere", &CustomScheme{Header: "X", Signed: "{id}.{body}"}, "custom.idHeader: is missing; name the header"},
		{"a time that is not signed", &CustomScheme{Header: "X", TimestampHeader: "Y"}, "custom.timestampHeader: custom.signed has " +
			"no {timestamp}, so that anybody could change it; add it there, or remove this"},
		{"an id that is not signed", &CustomScheme{Header: "X", IDHeader: "Y"}, "custom.idHeader: custom.signed has no {id}, " +
			"so that anybody could change it; add it there, or remove this"},
		{"one header for two", &CustomScheme{Header: "x-a", Signed: "{timestamp}.{body}", TimestampHeader: "X-A"},
			"custom.timestampHeader: X-A is named twice; each header has one use"},
		{"one header for the time and the id", &CustomScheme{
			Header: "X-A", Signed: "{id}.{timestamp}.{body}", TimestampHeader: "x-b", IDHeader: "X-b",
		}, "custom.idHeader: X-B is named twice; each header has one use"},
	} {
		_, err := NewSignature(SignatureOptions{Scheme: "Custom", Custom: c.custom})
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestACustomSchemeHasAToleranceOnlyWithATime(t *testing.T) {
	for name, c := range map[string]struct {
		custom CustomScheme
		want   bool
	}{
		"without": {CustomScheme{Header: "X"}, false},
		"with":    {CustomScheme{Header: "X", Signed: "{timestamp}.{body}", TimestampHeader: "Y"}, true},
	} {
		_, err := NewSignature(SignatureOptions{Scheme: "Custom", Custom: &c.custom, Tolerance: 1})
		if (err == nil) != c.want {
			t.Errorf("%s a time: %v", name, err)
		}
	}
}

func TestAnIDThatIsMissingIsNotAnEmptyOne(t *testing.T) {
	s := &sender{
		scheme: "Custom", hash: sha256.New, encode: hex.EncodeToString,
		options: SignatureOptions{Custom: &CustomScheme{Header: "X-Signature", Signed: "{id}/{body}", IDHeader: "X-Id"}},
	}
	m := s.message()
	m.body = jsonBody
	expectVerdict(t, "no id", s.new(t, signingKey), newRequest(jsonBody, "X-Signature", s.mac(m, "/"+jsonBody)), Refused)
	expectVerdict(t, "an id", s.new(t, signingKey), newRequest(jsonBody, "X-Id", "1", "X-Signature", s.mac(m, "1/"+jsonBody)), Admitted)
}

func TestNoSignatureIsInAHeaderThatEverybodySends(t *testing.T) {
	for _, name := range []string{
		"Accept-Encoding", "Accept-Language", "Cdn-Loop", "Cf-Ray", "Date", "Origin", "Referer", "St2-Trace-Tag", "Traceparent",
		"Tracestate", "Via", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-Ip", "X-Request-Id",
	} {
		for field, o := range map[string]SignatureOptions{
			"custom.header": {Scheme: "Custom", Custom: &CustomScheme{Header: name}},
			"header":        {Scheme: "Grafana", Header: name},
		} {
			if _, err := NewSignature(o); err == nil || !strings.HasPrefix(err.Error(), field+": "+name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
