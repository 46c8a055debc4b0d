package auth

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeadersAreInCanonicalForm(t *testing.T) {
	names := slices.Concat(credentialHeaders[:], otherSignatureHeaders[:], reservedHeaders[:], commonHeaders[:])
	for i := range senders {
		names = append(names, senders[i].new(t, signingKey).Headers()...)
	}
	for _, name := range names {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is not in canonical form", name)
		}
	}
}

func TestAHeaderIsRefusedForOneReason(t *testing.T) {
	names := slices.Sorted(slices.Values(slices.Concat(credentialHeaders[:], reservedHeaders[:], commonHeaders[:])))
	for i := range len(names) - 1 {
		if names[i] == names[i+1] {
			t.Errorf("%s is listed twice", names[i])
		}
	}
}

func TestEveryHeaderThatHoldsASecretIsKnown(t *testing.T) {
	want := []string{"X-Gitea-Signature", "X-Gogs-Signature", "X-Forgejo-Signature", "X-Hub-Signature", "Svix-Signature"}
	for i := range senders {
		s := &senders[i]
		held := s.new(t, signingKey).Headers()
		if len(held) == 0 && !s.keyless() {
			t.Errorf("%s has no header", s.scheme)
		}
		if s.options.Header == "" && s.options.Custom == nil {
			want = append(want, held...)
		}
	}
	for _, name := range append(want, credentialHeaders[:]...) {
		if !IsSecretHeader(name) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"X-Github-Delivery", "Webhook-Id", "X-Amz-Sns-Message-Type", ""} {
		if IsSecretHeader(name) {
			t.Errorf("%q holds no secret", name)
		}
	}
}

func TestMistakesInASignatureAreNamed(t *testing.T) {
	many := slices.Repeat([]SigningKey{{Value: []byte(signingKey)}}, MaxSigningKeys+1)
	for _, c := range []struct {
		name string
		o    SignatureOptions
		want string
	}{
		{"an unknown scheme", SignatureOptions{Scheme: "github"}, `scheme: "github" is none of GitHub, GitLab, GitLabSigning, ` +
			`Stripe, Slack, StandardWebhooks, Shopify, Bitbucket, Twilio, Sentry, PagerDuty, Grafana, AWSSNS, Custom`},
		{"a description of another scheme", SignatureOptions{Scheme: "GitHub", Custom: &CustomScheme{}},
			"custom: is only for scheme Custom; remove it"},
		{"a header of another scheme", SignatureOptions{Scheme: "GitHub", Header: "X"}, "header: is only for scheme Grafana; remove it"},
		{"topics of another scheme", SignatureOptions{Scheme: "GitHub", Topics: []string{topic}},
			"sns.topicARNs: is only for scheme AWSSNS; remove it"},
		{"a negative tolerance", SignatureOptions{Scheme: "Slack", Tolerance: -1},
			"tolerance: is negative; say how far a signed time may be from now, such as 5m"},
		{"a tolerance for nothing", SignatureOptions{Scheme: "GitHub", Tolerance: 1},
			"tolerance: no time is signed here with scheme GitHub; remove it"},
		{"too many keys", SignatureOptions{Scheme: "GitHub", Keys: many},
			"secretRef: the Secret has 9 keys; leave at most 8, since each is tried"},
		{"a header that is none", SignatureOptions{Scheme: "Grafana", Header: "X Signed"},
			`header: "X Signed" is no name of a header; use letters, digits and dashes`},
		{"a header that is taken out", SignatureOptions{Scheme: "Grafana", Header: "x-api-key"},
			"header: X-Api-Key may hold a credential, and is taken out of every request; name the sender's own header"},
		{"a header that proxies add", SignatureOptions{Scheme: "Grafana", Header: "cf-ray"},
			"header: Cf-Ray is on the requests of other senders too; name the sender's own header"},
		{"one header for both", SignatureOptions{Scheme: "Grafana", Header: "x-a", TimestampHeader: "X-A"},
			"timestampHeader: is the signature's header too; name the one that holds the time"},
		{"no topics", SignatureOptions{Scheme: "AWSSNS", Certificates: amazon{}}, "sns.topicARNs: is empty; name the ARNs of the topics " +
			"that may post, since anybody can have Amazon SNS sign a message to a topic of their own"},
		{"a topic's name", SignatureOptions{Scheme: "AWSSNS", Certificates: amazon{}, Topics: []string{"builds"}},
			`sns.topicARNs: "builds" is not the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:builds`},
		{"no certificates", SignatureOptions{Scheme: "AWSSNS", Topics: []string{topic}},
			"scheme: certificates of Amazon SNS cannot be fetched here"},
		{"keys where there are none", SignatureOptions{Scheme: "AWSSNS", Topics: []string{topic}, Certificates: amazon{}, Keys: many[:1]},
			"secretRef: scheme AWSSNS has no keys; remove it"},
		{"no public url", SignatureOptions{Scheme: "Twilio"}, "publicURL: Twilio signs the url that it posts to; " +
			"say what is in front of the path, such as https://hooks.example.com"},
		{"a public url of another kind", SignatureOptions{Scheme: "Twilio", PublicURL: "ftp://example.com"},
			"publicURL: starts with neither https:// nor http://"},
	} {
		signature, err := NewSignature(c.o)
		if err == nil || signature != nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestWhatIsWrongWithAKeyIsSaidWithoutIt(t *testing.T) {
	short := "is shorter than the 16 bytes that a signing key needs"
	for _, c := range []struct{ name, scheme, value, want string }{
		{"a key", "GitHub", signingKey, ""},
		{"a key of 16 bytes and a newline", "GitHub", "0123456789abcdef\n", ""},
		{"any bytes", "Sentry", "\xff\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e", ""},
		{"an empty key", "GitHub", "", "is empty"},
		{"an empty line", "GitLab", "\n", "is empty"},
		{"a short key", "GitHub", "CANARY-89abcdef", short},
		{"a short token", "GitLab", "CANARY-89abcdef", short},
		{"a short key and a newline", "Stripe", "CANARY-89abcdef\n", short},
		{"a key of Standard Webhooks", "StandardWebhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""},
		{"one without the prefix", "GitLabSigning", "CANARY of any bytes", ""},
		{"a prefix alone", "StandardWebhooks", "whsec_", short},
		{"a short one that looks long", "StandardWebhooks", "whsec_Q0FOQVJZQ0FOQVJZ", short},
		{"one that is not base64", "StandardWebhooks", "whsec_CANARY CANARY CANARY", "starts with whsec_, but the rest is not base64"},
		{"one without padding", "GitLabSigning", "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZCA", "starts with whsec_, but the rest is not base64"},
		{"a key of an unknown scheme", "none", "CANARY", unknownScheme("none").Error()},
	} {
		got := ""
		if err := CheckKey(c.scheme, []byte(c.value)); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestVerifyingAllocatesLittle(t *testing.T) {
	const most = 4 // the pieces, the sum, and what a pool may lose
	s := &senders[0]
	signature, r := s.new(t, signingKey), s.request(s.message())
	if got := testing.AllocsPerRun(100, func() { signature.Verify(t.Context(), r) }); got > most {
		t.Errorf("%v allocations, want at most %d", got, most)
	}
}

func BenchmarkSignature(b *testing.B) {
	for i := range senders {
		s := &senders[i]
		b.Run(s.scheme+strings.Join(s.new(b, signingKey).Headers(), ""), func(b *testing.B) {
			m := s.message()
			if s.scheme != "Twilio" {
				m.body = `{"text":"` + strings.Repeat("x", 1024-len(`{"text":""}`)) + `"}`
			}
			signature, r := s.new(b, signingKey), s.request(m)
			b.ReportAllocs()
			for b.Loop() {
				if signature.Verify(b.Context(), r).Verdict != Admitted {
					b.Fatal("refused")
				}
			}
		})
	}
}
