package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// certificateFunc is a Certificates.
type certificateFunc func(context.Context, string) (*x509.Certificate, error)

func (f certificateFunc) Certificate(ctx context.Context, _ netip.Addr, url string) (*x509.Certificate, error) {
	return f(ctx, url)
}

func newSNS(t *testing.T, certificates Certificates) *Signature {
	t.Helper()
	s := sender{scheme: SchemeAWSSNS, options: SignatureOptions{Topics: []string{topic, topic + "2"}, Certificates: certificates}}
	return s.new(t)
}

func TestAMessageOfAmazonSNSIsOfAKnownTopic(t *testing.T) {
	signature := newSNS(t, amazon{})
	for _, c := range []struct {
		name, topic string
		want        Verdict
	}{
		{"the first topic", topic, Admitted},
		{"the second topic", topic + "2", Admitted},
		{"another topic", topic + "3", Refused},
		{"the topic of another account", "arn:aws:sns:eu-west-1:210987654321:builds", Refused},
		{"no topic", "", Refused},
	} {
		r := snsRequest(message{key: signingKey}, "Message", "m", "MessageId", "1", "Timestamp", "2023-11-14T22:13:20.123Z",
			"TopicArn", c.topic, "Type", "Notification")
		expectVerdict(t, c.name, signature, r, c.want)
	}
}

// TestASignedMessageIsCutInOneWay sends what Amazon signed for a topic of somebody else's, with lines for a known topic in its
// text, as a message of that.
func TestASignedMessageIsCutInOneWay(t *testing.T) {
	const inner, sent = "x", "2023-11-14T22:13:20Z"
	lines := "MessageId\n1\nTimestamp\n" + sent + "\nTopicArn\n" + topic + "\nType\nNotification"
	tail := "\nMessageId\n2\nTimestamp\n" + sent + "\nTopicArn\n" + topic + "3\nType\nNotification"
	r := snsRequest(message{key: signingKey}, "Message", inner+"\n"+lines, "MessageId", "2", "Timestamp", sent,
		"TopicArn", topic+"3", "Type", "Notification")
	cut := snsRequest(message{key: signingKey}, "Message", inner, "MessageId", "1", "Timestamp", sent,
		"TopicArn", topic, "Type", "Notification"+tail)
	signed := func(r *Request) string { m, _ := parseSNS(r.Body); return string(m.signed()) }
	if diff := cmp.Diff(signed(r), signed(cut)); diff != "" {
		t.Fatalf("they do not have one signature (-want +got):\n%s", diff)
	}
	cut.Header.Set("X-Amz-Sns-Message-Type", "Notification")
	expectVerdict(t, "with the type that a header can have", newSNS(t, amazon{}), cut, Refused)
}

func TestEveryFieldOfAMessageCounts(t *testing.T) {
	signature := newSNS(t, amazon{})
	notification := []string{"Message", "line\nline \"é\" \u2028", "MessageId", "1", "Subject", "s", "Timestamp", "2023-11-14T22:13:20Z",
		"TopicArn", topic, "Type", "Notification"}
	confirmation := []string{"Message", "m", "MessageId", "1", "SubscribeURL", "https://sns.eu-west-1.amazonaws.com/?Action=1",
		"Timestamp", "2023-11-14T22:13:20Z", "Token", "t", "TopicArn", topic, "Type", "SubscriptionConfirmation"}
	for name, fields := range map[string][]string{"a notification": notification, "a confirmation": confirmation} {
		r := snsRequest(message{key: signingKey}, fields...)
		expectVerdict(t, name, signature, r, Admitted)
		body := string(r.Body)
		for i := 0; i < len(fields); i += 2 {
			r.Body = []byte(strings.Replace(body, `"`+fields[i]+`":`, `"x":`, 1))
			expectVerdict(t, name+" without "+fields[i], signature, r, Refused)
		}
		for _, c := range []struct{ name, old, replaced string }{
			{"a field in other letters", `"Message":`, `"message":`},
			{"a field twice", `"Message":`, `"Message":"m","Message":`},
			{"a field that is a number", `"MessageId":"1"`, `"MessageId":1`},
			{"a field that is null", `"MessageId":"1"`, `"MessageId":null`},
			{"version 1 of the signature", `"SignatureVersion":"2"`, `"SignatureVersion":"1"`},
			{"no version of the signature", `"SignatureVersion":`, `"x":`},
			{"an added token", `{`, `{"Token":"x",`},
			{"bytes that are no text", `"Type":`, "\"\xff\":1,\"Type\":"},
			{"text after it", "}", "} {}"},
			{"a list", body, "[" + body + "]"},
			{"nothing", body, ""},
			{"null", body, "null"},
		} {
			r.Body = []byte(strings.Replace(body, c.old, c.replaced, 1))
			if bytes.Equal(r.Body, []byte(body)) {
				t.Fatalf("%s: nothing was changed", c.name)
			}
			if c.name == "an added token" && name == "a confirmation" {
				continue // it has one
			}
			expectVerdict(t, name+" with "+c.name, signature, r, Refused)
		}
		r.Body = []byte(strings.Replace(body, "{", `{"MessageAttributes":{"a":{"Type":"String","Value":"b"}},`, 1))
		expectVerdict(t, name+" with what is not signed", signature, r, Admitted)
	}
}

func TestACertificateComesFromAmazonSNS(t *testing.T) {
	var asked []string
	signature := newSNS(t, certificateFunc(func(_ context.Context, url string) (*x509.Certificate, error) {
		asked = append(asked, url)
		return amazonCertificate(), nil
	}))
	for _, c := range []struct {
		url  string
		want Verdict
	}{
		{certificateURL, Admitted},
		{"https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService.pem", Admitted},
		{"https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0a.pem", Admitted},
		{"http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"https://sns.eu-west-1.amazonaws.com:443/SimpleNotificationService-0a.pem", Refused},
		{"https://u@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem?a=b", Refused},
		{"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem#a", Refused},
		{"https://sns.eu-west-1.amazonaws.com/../SimpleNotificationService-0a.pem", Refused},
		{"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem\n", Refused},
		{"https://sns.eu-west-1.amazonaws.com/other.pem", Refused},
		{"https://sns.eu-west-1.amazonaws.com.example.com/SimpleNotificationService-0a.pem", Refused},
		{"https://sns.eu-west-1-amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"https://sns.s3-eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"https://sns.s3.amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"https://sns.amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"https://a.sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"https://SNS.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"https://example.com/https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem", Refused},
		{"", Refused},
	} {
		before := len(asked)
		r := sendSNS(nil, message{key: signingKey, timestamp: "2023-11-14T22:13:20Z"})
		quoted := strings.ReplaceAll(c.url, "\n", `\n`)
		r.Body = []byte(strings.Replace(string(r.Body), certificateURL, quoted, 1))
		expectVerdict(t, c.url, signature, r, c.want)
		if c.want == Refused && len(asked) != before {
			t.Errorf("%s was fetched", c.url)
		}
	}
}

func TestACertificateCountsWhileItIsValid(t *testing.T) {
	elliptic256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := rsaKeys()[signingKey]
	for _, c := range []struct {
		name        string
		certificate *x509.Certificate
		err         error
		want        Verdict
	}{
		{"the right one", certificateOf(key, signedAt), nil, Admitted},
		{"one that has ended", certificateOf(key, signedAt.Add(-2*time.Hour)), nil, Refused},
		{"one that is still to begin", certificateOf(key, signedAt.Add(2*time.Hour)), nil, Refused},
		{"one of another key", certificateOf(rsaKeys()[otherKey], signedAt), nil, Refused},
		{"one of another kind", certificateOf(elliptic256, signedAt), nil, Refused},
		{"none", nil, errors.New("no route to host"), Unavailable},
	} {
		signature := newSNS(t, certificateFunc(func(context.Context, string) (*x509.Certificate, error) { return c.certificate, c.err }))
		expectVerdict(t, c.name, signature, sendSNS(nil, message{key: signingKey, timestamp: "2023-11-14T22:13:20Z"}), c.want)
	}
}

func TestACertificateHasAKeyThatResistsFactoring(t *testing.T) {
	certificate := certificateOf(rsaKeys()[shortKey], signedAt)
	r := sendSNS(nil, message{key: shortKey, timestamp: "2023-11-14T22:13:20Z"})
	signature := newSNS(t, certificateFunc(func(context.Context, string) (*x509.Certificate, error) { return certificate, nil }))
	expectVerdict(t, "a key of 1024 bits", signature, r, Refused)
}

func TestWhatASubscribeURLMayLeadTo(t *testing.T) {
	for url, want := range map[string]bool{
		"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=a&Token=b": true,
		"https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription":                true,
		"http://sns.eu-west-1.amazonaws.com/":                                                false,
		"https://sns.eu-west-1.amazonaws.com":                                                false,
		"https://sns.eu-west-1.amazonaws.com@example.com/":                                   false,
		"https://sns.eu-west-1.amazonaws.com:80/":                                            false,
		"https://169.254.169.254/":                                                           false,
		"https://sns.s3-eu-west-1.amazonaws.com/":                                            false,
	} {
		if got := SNSEndpoint(url); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}
