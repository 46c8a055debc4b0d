package webhookserver_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// confirmations is a Confirmer that keeps the urls.
type confirmations struct {
	urls []string
	err  error
}

func (c *confirmations) Confirm(_ context.Context, url string) error {
	c.urls = append(c.urls, url)
	return c.err
}

const (
	slackQuestion     = `{"type": "url_verification", "token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}`
	eventGridQuestion = `[{"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6", "validationUrl": "https://evil.example"}}]`

	topic        = "arn:aws:sns:eu-west-1:123456789012:builds"
	subscribeURL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + topic + "&Token=t"
)

// amazon is a Certificates whose one certificate is of a key that a test signs with.
type amazon struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

func newAmazon(t *testing.T) *amazon {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &amazon{key, certificate}
}

func (a *amazon) Certificate(context.Context, netip.Addr, string) (*x509.Certificate, error) {
	return a.certificate, nil
}

// question is a SubscriptionConfirmation that Amazon SNS signed.
func (a *amazon) question(t *testing.T) request {
	t.Helper()
	fields := [][2]string{
		{"Message", "m"}, {"MessageId", "1"}, {"SubscribeURL", subscribeURL}, {"Timestamp", now.Format(time.RFC3339)},
		{"Token", "t"}, {"TopicArn", topic}, {"Type", "SubscriptionConfirmation"},
	}
	message := map[string]string{
		"SignatureVersion": "2", "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
	}
	var signed strings.Builder
	for _, field := range fields {
		signed.WriteString(field[0] + "\n" + field[1] + "\n")
		message[field[0]] = field[1]
	}
	digest := sha256.Sum256([]byte(signed.String()))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	message["Signature"] = base64.StdEncoding.EncodeToString(signature)
	body, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return request{body: string(body), headers: []string{"X-Amz-Sns-Message-Type: SubscriptionConfirmation", "Content-Type: text/plain; charset=UTF-8"}, anonymous: true}
}

// fromSlack is a question that Slack signed.
func fromSlack() request {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte("v0:" + at + ":" + slackQuestion))
	return request{body: slackQuestion, anonymous: true, headers: []string{
		"X-Slack-Request-Timestamp: " + at, "X-Slack-Signature: v0=" + hex.EncodeToString(mac.Sum(nil)),
	}}
}

func fromEventGrid() request {
	return request{body: eventGridQuestion, headers: []string{"Aeg-Event-Type: SubscriptionValidation"}}
}

// answering is a webhook that takes tokens and the signatures of Slack and Amazon SNS, and answers every handshake or none.
func answering(t *testing.T, a *amazon, url string, all bool) webhookserver.Hook {
	t.Helper()
	h := hook(url)
	for _, o := range []auth.SignatureOptions{
		{Scheme: "Slack", Keys: []auth.SigningKey{{Value: []byte(signingKey)}}},
		{Scheme: "AWSSNS", Topics: []string{topic}, Certificates: a},
	} {
		signature, err := auth.NewSignature(o)
		if err != nil {
			t.Fatal(err)
		}
		h.Signatures = append(h.Signatures, signature)
	}
	h.Bodies.PlainText = true
	h.Handshakes = webhookserver.Handshakes{Slack: all, EventGrid: all, SNS: all}
	return h
}

func TestHandshakes(t *testing.T) {
	a, confirmer := newAmazon(t), &confirmations{}
	s := start(t, func(o *webhookserver.Options) { o.Confirmer = confirmer })
	s.program(answering(t, a, "all", true), answering(t, a, "none", false))
	for name, c := range map[string]struct {
		question          request
		contentType, want string
	}{
		"Slack":      {fromSlack(), "text/plain; charset=utf-8", "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"},
		"Event Grid": {fromEventGrid(), "application/json", `{"validationResponse": "512d38b6"}`},
		"Amazon SNS": {a.question(t), "application/json", "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			c.question.path = "/v1/webhooks/all"
			got := s.send(c.question)
			if got.status != http.StatusOK || got.body != c.want || got.header.Get("Content-Type") != c.contentType {
				t.Errorf("got %d %s %q", got.status, got.header.Get("Content-Type"), got.body)
			}
			if len(s.publisher.take()) != 0 {
				t.Error("it is a delivery")
			}

			c.question.path = "/v1/webhooks/none"
			if got := s.send(c.question); got.status != http.StatusAccepted || len(s.publisher.take()) != 1 {
				t.Errorf("where nobody asked for it: %d %s", got.status, got.body)
			}

			c.question.path, c.question.anonymous = "/v1/webhooks/all", true
			c.question.headers = slices.DeleteFunc(slices.Clone(c.question.headers), func(h string) bool {
				return strings.HasPrefix(h, "X-")
			})
			if got := s.send(c.question); got.status != http.StatusUnauthorized {
				t.Errorf("of a stranger: %d %s", got.status, got.body)
			}
		})
	}
	if diff := cmp.Diff([]string{subscribeURL}, confirmer.urls); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
}

// TestATokenMakesNobodyAProvider asks what a provider asks, with another way to be admitted than its signature.
func TestATokenMakesNobodyAProvider(t *testing.T) {
	a, confirmer := newAmazon(t), &confirmations{}
	s := start(t, func(o *webhookserver.Options) { o.Confirmer = confirmer })
	s.program(answering(t, a, "all", true))
	for _, question := range []request{fromSlack(), a.question(t)} {
		got := s.send(request{path: "/v1/webhooks/all", body: question.body})
		if got.status != http.StatusAccepted || len(s.publisher.take()) != 1 || len(confirmer.urls) != 0 {
			t.Errorf("%s: %d %s", question.body, got.status, got.body)
		}
	}
}

func TestASubscriptionThatCannotBeConfirmedIsTriedAgain(t *testing.T) {
	a := newAmazon(t)
	s := start(t, func(o *webhookserver.Options) { o.Confirmer = &confirmations{err: errors.New("no answer")} })
	s.program(answering(t, a, "all", true))
	question := a.question(t)
	question.path = "/v1/webhooks/all"
	got := s.send(question)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "answer") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestAnOriginIsPermittedToSendCloudEvents(t *testing.T) {
	origins := func(rate int, origins ...string) func(*webhookserver.Hook) {
		return func(h *webhookserver.Hook) { h.Handshakes.Origins, h.Handshakes.RequestsPerMinute = origins, rate }
	}
	s := serve(t, hook("azure", origins(120, "eventgrid.azure.net")), hook("any", origins(0, "*")), hook("git"))
	for name, c := range map[string]struct {
		path, origin string
		status       int
		rate         string
	}{
		"an origin that may":     {"azure", "eventgrid.azure.net", 200, "120"},
		"any origin":             {"any", "somebody.example", 200, "*"},
		"an origin that may not": {"azure", "evil.example", 401, ""},
		"no origin":              {"any", "", 401, ""},
		"nobody asked for it":    {"git", "eventgrid.azure.net", 401, ""},
	} {
		got := s.send(request{method: "OPTIONS", path: "/v1/webhooks/" + c.path, anonymous: true, headers: []string{
			"WebHook-Request-Origin: " + c.origin, "WebHook-Request-Callback: https://evil.example", "WebHook-Request-Rate: 1000",
		}})
		if got.status != c.status || got.header.Get("WebHook-Allowed-Rate") != c.rate {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
		if c.status == 200 && (got.header.Get("WebHook-Allowed-Origin") != c.origin || got.header.Get("Allow") != "POST" || got.body != "") {
			t.Errorf("%s: %v %q", name, got.header, got.body)
		}
	}
}
