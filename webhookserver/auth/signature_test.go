package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// eachSender runs a test for every sender.
func eachSender(t *testing.T, test func(t *testing.T, s *sender)) {
	for i := range senders {
		t.Run(senders[i].scheme+"/"+strings.Join(senders[i].new(t, signingKey).Headers(), ""), func(t *testing.T) {
			test(t, &senders[i])
		})
	}
}

func expectVerdict(t *testing.T, name string, s *Signature, r *Request, want Verdict) {
	t.Helper()
	if got := s.Verify(t.Context(), r).Verdict; got != want {
		t.Errorf("%s: %v, want %v", name, got, want)
	}
}

func TestEverySchemeHasASender(t *testing.T) {
	sent := map[string]bool{}
	for _, s := range senders {
		sent[s.scheme] = true
	}
	want := Schemes()
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(sent))); diff != "" {
		t.Error(diff)
	}
}

func TestASignedRequestIsAdmitted(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		signature, r := s.new(t, signingKey), s.request(s.message())
		if signature.Scheme() != s.scheme {
			t.Errorf("the scheme is %q", signature.Scheme())
		}
		expectVerdict(t, "as it is sent", signature, r, Admitted)
	})
}

func TestAChangedRequestIsRefused(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		signature := s.new(t, signingKey, otherKey)
		for name := range s.request(s.message()).Header {
			for _, c := range []struct {
				name   string
				change func(values []string) []string
			}{
				{"is changed", func(values []string) []string { return []string{values[0] + "1"} }},
				{"begins otherwise", func(values []string) []string { return []string{"1" + values[0]} }},
				{"is empty", func([]string) []string { return []string{""} }},
				{"is sent twice", func(values []string) []string { return append(values, values[0]) }},
				{"is sent twice, once well", func(values []string) []string { return append(values, "x") }},
				{"is missing", func([]string) []string { return nil }},
			} {
				r := s.request(s.message())
				r.Header[name] = c.change(r.Header[name])
				expectVerdict(t, name+" "+c.name, signature, r, Refused)
			}
		}
		if s.scheme == "GitLab" {
			return // GitLab's token goes with any body
		}
		for _, c := range []struct {
			name string
			body func(string) string
		}{
			{"another body", func(body string) string { return strings.Replace(body, "opened", "closed", 1) }},
			{"a longer body", func(body string) string { return body + "&a=b " }},
			{"an empty body", func(string) string { return "" }},
		} {
			r := s.request(s.message())
			r.Body = []byte(c.body(string(r.Body)))
			expectVerdict(t, c.name, signature, r, Refused)
		}
	})
}

func TestAMalformedSignatureIsRefused(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		signature := s.new(t, signingKey)
		for _, c := range []struct {
			name string
			edit func(string) string
		}{
			{"a signature that is cut", func(text string) string { return text[:len(text)-1] }},
			{"half a signature", func(text string) string { return text[:len(text)/2] }},
			{"a signature twice in one", func(text string) string { return text + text }},
			{"no signature", func(string) string { return "" }},
			{"a signature of zeros", func(text string) string { return strings.Repeat("0", len(text)) }},
			{"a signature of padding", func(text string) string { return strings.Repeat("=", len(text)) }},
			{"a signature with a space", func(text string) string { return text[:len(text)-1] + " " }},
			{"a signature with a line's end", func(text string) string { return text[:len(text)-1] + "\n" }},
			{"a signature in other letters", func(text string) string { return strings.ReplaceAll(text[1:], text[:1], "é") }},
			{"a signature in another spelling of base64", respelled},
			{"a signature without padding", func(text string) string { return strings.TrimRight(text, "=") + "x" }},
		} {
			m := s.message()
			m.edit = c.edit
			expectVerdict(t, c.name, signature, s.request(m), Refused)
		}
	})
}

// respelled changes bits of base64 that stand for nothing; of another encoding, any.
func respelled(text string) string {
	unpadded := strings.TrimRight(text, "=")
	last := len(unpadded) - 1
	return unpadded[:last] + string(unpadded[last]+1) + text[len(unpadded):]
}

func TestHexadecimalDigitsMayBeOfEitherCase(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		want, m := Refused, s.message()
		if m.edit = strings.ToUpper; s.encode != nil && s.encode([]byte{0xab}) == "ab" {
			want = Admitted
		}
		expectVerdict(t, "in upper case", s.new(t, signingKey), s.request(m), want)
	})
}

func TestASignedTimeCountsWithinTheTolerance(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		signature := s.new(t, signingKey)
		for _, c := range []struct {
			name string
			away time.Duration
			want Verdict
		}{
			{"just young enough", -s.tolerance, Admitted},
			{"too old", -s.tolerance - time.Second, Refused},
			{"just not too early", s.tolerance, Admitted},
			{"too early", s.tolerance + time.Second, Refused},
			{"of 1970", -time.Duration(signedAt.Unix()) * time.Second, Refused},
		} {
			m := s.message()
			m.timestamp = s.timestamp(signedAt.Add(c.away))
			if s.tolerance == 0 {
				c.want = Admitted // nothing is signed but the body
			}
			expectVerdict(t, c.name, signature, s.request(m), c.want)
		}
	})
}

func TestATimestampIsDigits(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		if s.tolerance == 0 {
			return
		}
		signature := s.new(t, signingKey)
		for _, timestamp := range []string{
			"", "0", "-1700000000", "+1700000000", " 1700000000", "1700000000 ", "1700000000.0", "1_700_000_000", "0x6553f100", "1.7e9",
			"1700000000,t=1700000000", "t=1700000000", "١٧٠٠٠٠٠٠٠٠", "1700000000000", "9223372036854775807", "9223372036854775808",
			"9999999999999999999", "18446744073709551615", "01700000000000000000000", "0000000000001700000000", "now", "2023-11-14",
		} {
			m := s.message()
			m.timestamp = timestamp
			expectVerdict(t, "the timestamp "+timestamp, signature, s.request(m), Refused)
		}
	})
}

func TestAnIDIsNotEmpty(t *testing.T) {
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte(".1700000000." + jsonBody))
	s := sender{scheme: "StandardWebhooks"}
	r := newRequest(jsonBody, "Webhook-Id", "", "Webhook-Timestamp", "1700000000",
		"Webhook-Signature", "v1,"+base64Text(mac.Sum(nil)))
	expectVerdict(t, "an empty id that is signed", s.new(t, signingKey), r, Refused)
}

func TestToleranceIsAsSet(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		if s.tolerance == 0 {
			return
		}
		shorter := *s
		shorter.options.Tolerance = 10 * time.Second
		m := s.message()
		m.timestamp = s.timestamp(signedAt.Add(-11 * time.Second))
		expectVerdict(t, "with 10 s", shorter.new(t, signingKey), s.request(m), Refused)
		expectVerdict(t, "with the scheme's", s.new(t, signingKey), s.request(m), Admitted)
	})
}

func TestKeysChangeWithoutAGap(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		if s.keyless() {
			m := s.message()
			m.key = otherKey
			expectVerdict(t, "another key", s.new(t), s.request(m), Refused)
			return
		}
		before, during, after := s.new(t, signingKey), s.new(t, signingKey, otherKey), s.new(t, otherKey)
		old, next := s.message(), s.message()
		next.key = otherKey
		for _, c := range []struct {
			name      string
			signature *Signature
			m         message
			want      Result
		}{
			{"the old key before", before, old, Result{Verdict: Admitted, Key: Key{"team", "keys", "0"}}},
			{"the new key before", before, next, Result{}},
			{"the old key meanwhile", during, old, Result{Verdict: Admitted, Key: Key{"team", "keys", "0"}}},
			{"the new key meanwhile", during, next, Result{Verdict: Admitted, Key: Key{"team", "keys", "1"}}},
			{"the old key after", after, old, Result{}},
			{"the new key after", after, next, Result{Verdict: Admitted, Key: Key{"team", "keys", "0"}}},
		} {
			got := c.signature.Verify(t.Context(), s.request(c.m)).Result
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	})
}

func TestWithoutAKeyNobodyIsAdmitted(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		if s.keyless() {
			return
		}
		for name, keys := range map[string][]string{
			"no key": nil, "an empty key": {""}, "a newline": {"\n"}, "a short key": {"0123456789abcde"},
			"a short key and a newline": {"0123456789abcde\n"}, "short keys": {"a", "b", ""},
		} {
			signature, m := s.new(t, keys...), s.message()
			m.key = strings.TrimSuffix(append(keys, "")[0], "\n")
			expectVerdict(t, name+" that signs", signature, s.request(m), Unavailable)
			expectVerdict(t, name+" and no signature", signature, newRequest(s.body), Refused)
		}
		expectVerdict(t, "a short key beside one", s.new(t, "short", signingKey), s.request(s.message()), Admitted)
	})
}

func TestANewlineAtTheEndOfAKeyDoesNotCount(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		if s.keyless() {
			return
		}
		for name, end := range map[string]string{"a newline": "\n", "a line's end of Windows": "\r\n"} {
			expectVerdict(t, name, s.new(t, signingKey+end), s.request(s.message()), Admitted)
		}
		for name, end := range map[string]string{"two newlines": "\n\n", "a space": " ", "a carriage return": "\r"} {
			expectVerdict(t, name, s.new(t, signingKey+end), s.request(s.message()), Refused)
		}
	})
}

func TestWhatIsSignedTellsRequestsApart(t *testing.T) {
	seen := map[[32]byte]string{}
	eachSender(t, func(t *testing.T, s *sender) {
		digest := func(m message, key string) [32]byte {
			t.Helper()
			proof := s.new(t, key).Verify(t.Context(), s.request(m))
			if proof.Verdict != Admitted {
				t.Fatal("the request is not admitted")
			}
			return proof.Signed()
		}
		first := digest(s.message(), signingKey)
		if again := digest(s.message(), signingKey); again != first {
			t.Error("the same request has two digests")
		}
		if !s.keyless() {
			m := s.message()
			m.key = otherKey
			if rotated := digest(m, otherKey); rotated != first {
				t.Error("another key gives another digest")
			}
		}
		if s.scheme != "Twilio" {
			m := s.message()
			m.body = `{"action":"closed"}`
			if other := digest(m, signingKey); other == first {
				t.Error("another body gives the same digest")
			}
		}
		if other, found := seen[first]; found && other != s.scheme {
			t.Errorf("the digest is the one of %s", other)
		}
		seen[first] = s.scheme
	})
}

func TestAHeaderMayHoldSeveralSignatures(t *testing.T) {
	for _, c := range []struct {
		scheme, header, separator, another, unknown string
	}{
		{"Stripe", "Stripe-Signature", ",", "v1=" + strings.Repeat("0", 64), "v0=0"},
		{"PagerDuty", "X-Pagerduty-Signature", ",", "v1=" + strings.Repeat("0", 64), "v2=0"},
		{"StandardWebhooks", "Webhook-Signature", " ", "v1," + base64Text(make([]byte, 32)), "v1a,AAAA"},
		{"GitLabSigning", "Webhook-Signature", " ", "v1," + base64Text(make([]byte, 32)), "v1a,AAAA"},
	} {
		s := &senders[slices.IndexFunc(senders, func(s sender) bool { return s.scheme == c.scheme })]
		signature := s.new(t, signingKey)
		verdict := func(name string, want Verdict, before, after []string) {
			t.Helper()
			r := s.request(s.message())
			entries := slices.Concat(before, r.Header[c.header], after)
			r.Header.Set(c.header, strings.Join(entries, c.separator))
			expectVerdict(t, c.scheme+": "+name, signature, r, want)
		}
		verdict("another before", Admitted, []string{c.another}, nil)
		verdict("another after", Admitted, nil, []string{c.another})
		verdict("one of a version that is not known", Admitted, []string{c.unknown}, []string{c.unknown})
		verdict("as many as may be", Admitted, slices.Repeat([]string{c.another}, maxSignatures-3), nil)
		verdict("too many", Refused, nil, slices.Repeat([]string{c.another}, maxSignatures))
		verdict("too many of another version", Refused, nil, slices.Repeat([]string{c.unknown}, maxSignatures))
		verdict("one that is cut", Refused, nil, []string{c.another[:len(c.another)-1]})
		r := s.request(s.message())
		r.Header.Set(c.header, c.unknown)
		expectVerdict(t, c.scheme+": only one of a version that is not known", signature, r, Refused)
	}
}

func TestAStripeSignatureHasOneTime(t *testing.T) {
	s := &senders[slices.IndexFunc(senders, func(s sender) bool { return s.scheme == "Stripe" })]
	for _, c := range []struct{ name, before, after string }{
		{"the same time twice", "", ",t=1700000000"},
		{"an old time first", "t=1600000000,", ""},
		{"an empty time first", "t=,", ""},
		{"an empty time last", "", ",t="},
	} {
		r := s.request(s.message())
		r.Header.Set("Stripe-Signature", c.before+r.Header.Get("Stripe-Signature")+c.after)
		expectVerdict(t, c.name, s.new(t, signingKey), r, Refused)
	}
}
