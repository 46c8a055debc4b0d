package auth

import (
	"crypto/hmac"
	"crypto/sha1"
	"testing"
)

// signTwilio signs a url with the fields that follow it.
func signTwilio(text string) string {
	mac := hmac.New(sha1.New, []byte(signingKey))
	mac.Write([]byte(text))
	return base64Text(mac.Sum(nil))
}

func newTwilio(t *testing.T, publicURL string) *Signature {
	t.Helper()
	s := sender{scheme: "Twilio", options: SignatureOptions{PublicURL: publicURL}}
	return s.new(t, signingKey)
}

func TestTwilioSignsTheURLWithAPortOrWithout(t *testing.T) {
	for _, c := range []struct {
		public, signed string
		want           Verdict
	}{
		{"https://example.com", "https://example.com/a?b=c", Admitted},
		{"https://example.com", "https://example.com:443/a?b=c", Admitted},
		{"https://example.com", "https://example.com:80/a?b=c", Refused},
		{"https://example.com", "http://example.com/a?b=c", Refused},
		{"https://example.com", "https://example.org/a?b=c", Refused},
		{"https://example.com", "https://example.com/a", Refused},
		{"https://example.com", "https://example.com/a?b=d", Refused},
		{"https://example.com/", "https://example.com/a?b=c", Admitted},
		{"https://example.com:443", "https://example.com/a?b=c", Admitted},
		{"https://example.com:8443", "https://example.com:8443/a?b=c", Admitted},
		{"https://example.com:8443", "https://example.com/a?b=c", Admitted},
		{"https://example.com:8443", "https://example.com:443/a?b=c", Refused},
		{"http://example.com", "http://example.com:80/a?b=c", Admitted},
		{"https://example.com/hooks/", "https://example.com/hooks/a?b=c", Admitted},
		{"https://[2001:db8::1]", "https://[2001:db8::1]/a?b=c", Admitted},
		{"https://[2001:db8::1]", "https://[2001:db8::1]:443/a?b=c", Admitted},
		{"https://[2001:db8::1]:8443", "https://[2001:db8::1]/a?b=c", Admitted},
	} {
		r := newRequest("", "X-Twilio-Signature", signTwilio(c.signed))
		r.Target = "/a?b=c"
		expectVerdict(t, c.public+" and "+c.signed, newTwilio(t, c.public), r, c.want)
	}
}

func TestAPublicURLHasASchemeAndAHost(t *testing.T) {
	for _, public := range []string{
		"", "example.com", "//example.com", "https://", "https:example.com", "https://user:password@example.com",
		"https://example.com?a=b", "https://example.com#a", "https://example.com:port", "\x7f", "ws://example.com",
	} {
		if _, err := NewSignature(SignatureOptions{Scheme: "Twilio", PublicURL: public}); err == nil {
			t.Errorf("%q: no error", public)
		}
	}
}

func TestTwilioSignsTheFieldsOfAForm(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, contentType, body, signed string
		want                            Verdict
	}{
		{"no body", "", "", "", Admitted},
		{"no field", form, "&", "", Admitted},
		{"fields in any order", form, "b=2&a=1&B=3", "B3a1b2", Admitted},
		{"an empty value", form, "a=&b", "ab", Admitted},
		{"escapes", form + "; charset=UTF-8", "a=%C3%A9+%2B", "aé +", Admitted},
		{"several values, sorted", form, "a=2&a=1", "a1a2", Admitted},
		{"the same value twice", form, "a=1&a=1", "a1", Admitted},
		{"several values as sent", form, "a=2&a=1", "a2a1", Refused},
		{"a field too many", form, "a=1&b=2", "a1", Refused},
		{"a bad escape", form, "a=%zz", "a%zz", Refused},
		{"a bad field", form, "a=1;b=2", "a1;b2", Refused},
		{"a type that is no form", "application/json", "a=1", "a1", Refused},
		{"a type that is none", "form", "a=1", "a1", Refused},
		{"a body without a type", "", "a=1", "a1", Refused},
	} {
		r := newRequest(c.body, "X-Twilio-Signature", signTwilio("https://example.com/a"+c.signed))
		r.Target = "/a"
		if c.contentType != "" {
			r.Header.Set("Content-Type", c.contentType)
		}
		expectVerdict(t, c.name, newTwilio(t, "https://example.com"), r, c.want)
	}
}

func TestTwilioSignsTheHashOfAnotherBody(t *testing.T) {
	const hash = "bodySHA256=2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" // of foo
	for _, c := range []struct {
		name, query, body string
		want              Verdict
	}{
		{"its hash", hash, "foo", Admitted},
		{"its hash in upper case", "bodySHA256=2C26B46B68FFC68FF99B453C1D30413413422D706483BFA0F98A5E886266E7AE", "foo", Admitted},
		{"its hash among others", "a=%zz&" + hash + "&b", "foo", Admitted},
		{"another body", hash, "fop", Refused},
		{"no body", hash, "", Refused},
		{"a hash that is cut", hash[:len(hash)-1], "foo", Refused},
		{"a hash of other letters", hash[:len(hash)-1] + "x", "foo", Refused},
		{"an empty hash", "bodySHA256=", "foo", Refused},
		{"two hashes", hash + "&" + hash, "foo", Refused},
		{"a hash by another name", "bodysha256=" + hash[11:], "foo", Refused},
	} {
		r := newRequest(c.body, "Content-Type", "application/json", "X-Twilio-Signature", signTwilio("https://example.com/a?"+c.query))
		r.Target = "/a?" + c.query
		expectVerdict(t, c.name, newTwilio(t, "https://example.com"), r, c.want)
	}
}
