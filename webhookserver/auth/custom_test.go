package auth

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMistakesInACustomSchemeAreNamed(t *testing.T) {
	braces := "write only {id}, {timestamp} and {body} in braces"
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
		{"a credential of another kind", &CustomScheme{Header: "Authorization"},
			"custom.header: Authorization has another meaning; name the sender's own header"},
		{"StackStorm's API key", &CustomScheme{Header: "st2-api-key"},
			"custom.header: St2-Api-Key has another meaning; name the sender's own header"},
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
		{"a time from nowhere", &CustomScheme{Header: "X", Signed: "{timestamp}{body}"},
			"custom.timestampHeader: is missing; name the header"},
		{"an id from nowhere", &CustomScheme{Header: "X", Signed: "{id}{body}"}, "custom.idHeader: is missing; name the header"},
		{"a time that is not signed", &CustomScheme{Header: "X", TimestampHeader: "Y"}, "custom.timestampHeader: custom.signed has " +
			"no {timestamp}, so that anybody could change it; add it there, or remove this"},
		{"an id that is not signed", &CustomScheme{Header: "X", IDHeader: "Y"}, "custom.idHeader: custom.signed has no {id}, " +
			"so that anybody could change it; add it there, or remove this"},
		{"one header for two", &CustomScheme{Header: "x-a", Signed: "{timestamp}{body}", TimestampHeader: "X-A"},
			"custom.timestampHeader: X-A is named twice; each header has one use"},
		{"one header for the time and the id", &CustomScheme{
			Header: "X-A", Signed: "{id}{timestamp}{body}", TimestampHeader: "x-b", IDHeader: "X-b",
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
		"with":    {CustomScheme{Header: "X", Signed: "{timestamp}{body}", TimestampHeader: "Y"}, true},
	} {
		_, err := NewSignature(SignatureOptions{Scheme: "Custom", Custom: &c.custom, Tolerance: 1})
		if (err == nil) != c.want {
			t.Errorf("%s a time: %v", name, err)
		}
	}
}
