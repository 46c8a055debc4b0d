package providers

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty/webhookv3"
	"github.com/google/go-github/v84/github"
	"github.com/slack-go/slack"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v82/webhook"
	svix "github.com/svix/svix-webhooks/go"
	twilio "github.com/twilio/twilio-go/client"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const (
	key         = "4a1f8e52c0b94d7fa5d3e6b7c8091a2b"
	otherKey    = "b2a1908c7b6e3d5af7d49b0c25e8f1a4"
	standardKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherWhsec  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

	publicURL = "https://hooks.example.com"
	target    = "/v1/webhooks/build?from=here"

	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// delivery is what a provider sends.
type delivery struct {
	key, body, target string
	at                time.Time
}

// provider is a provider's library, which signs, or verifies, or both.
type provider struct {
	name, scheme       string
	key, otherKey      string
	body, changed      string
	contentType        string
	target             string
	sign               func(d delivery) (http.Header, error)
	verify             func(d delivery, h http.Header) error // nil: the library only signs
	signsTime          bool
	libraryTakesFuture bool // it does not mind a time that is still to come
}

var providers = []provider{
	{
		name: "GitHub, JSON", scheme: "GitHub", key: key, otherKey: otherKey, contentType: jsonType, target: target,
		body: `{"action":"opened"}`, changed: `{"action":"closed"}`,
		sign: signHex("X-Hub-Signature-256", "sha256="), verify: verifyGitHub,
	},
	{
		name: "GitHub, a form", scheme: "GitHub", key: key, otherKey: otherKey, contentType: formType, target: target,
		body: "payload=%7B%22action%22%3A%22opened%22%7D", changed: "payload=%7B%22action%22%3A%22closed%22%7D",
		sign: signHex("X-Hub-Signature-256", "sha256="), verify: verifyGitHub,
	},
	{
		name: "Stripe", scheme: "Stripe", key: "whsec_" + key, otherKey: "whsec_" + otherKey, contentType: jsonType, target: target,
		body: `{"id":"evt_1"}`, changed: `{"id":"evt_2"}`, sign: signStripe, verify: verifyStripe,
		signsTime: true, libraryTakesFuture: true,
	},
	{
		name: "Slack", scheme: "Slack", key: key, otherKey: otherKey, contentType: jsonType, target: target,
		body: `{"type":"event_callback"}`, changed: `{"type":"url_verification"}`, sign: signSlack, verify: verifySlack, signsTime: true,
	},
	{
		name: "Standard Webhooks", scheme: "StandardWebhooks", key: standardKey, otherKey: otherWhsec, contentType: jsonType,
		target: target, body: `{"test":1}`, changed: `{"test":2}`, sign: signStandard, verify: verifyStandard, signsTime: true,
	},
	{
		name: "GitLab's signing token", scheme: "GitLabSigning", key: standardKey, otherKey: otherWhsec, contentType: jsonType,
		target: target, body: `{"object_kind":"push"}`, changed: `{"object_kind":"tag"}`, sign: signStandard, verify: verifyStandard,
		signsTime: true,
	},
	{
		name: "Svix", scheme: "StandardWebhooks", key: standardKey, otherKey: otherWhsec, contentType: jsonType,
		target: target, body: `{"test":1}`, changed: `{"test":2}`, sign: signSvix, verify: verifySvix, signsTime: true,
	},
	{
		name: "Twilio, a form", scheme: "Twilio", key: key, otherKey: otherKey, contentType: formType, target: target,
		body: "To=%2B18005551212&Body=caf%C3%A9+au+lait&Digits=", changed: "To=%2B18005551212&Body=tea&Digits=",
		sign: signTwilio("Bodycafé au laitDigitsTo+18005551212"), verify: verifyTwilio,
	},
	{
		name: "Twilio, JSON", scheme: "Twilio", key: key, otherKey: otherKey, contentType: jsonType,
		target: target + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
		body:   `{"property": "value", "boolean": true}`, changed: `{"property": "value", "boolean": false}`,
		sign: signTwilio(""), verify: verifyTwilio,
	},
	{
		name: "PagerDuty", scheme: "PagerDuty", key: key, otherKey: otherKey, contentType: jsonType, target: target,
		body: `{"event":{"id":"1"}}`, changed: `{"event":{"id":"2"}}`, sign: signHex("X-PagerDuty-Signature", "v1="),
		verify: verifyPagerDuty,
	},
}

// signHex signs the body, for libraries that only verify.
func signHex(header, prefix string) func(delivery) (http.Header, error) {
	return func(d delivery) (http.Header, error) {
		return headers(header, prefix+hexMAC(d.key, d.body)), nil
	}
}

func hexMAC(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// request makes the request that some libraries verify.
func request(d delivery, h http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodPost, d.target, strings.NewReader(d.body))
	r.Header = h
	return r
}

func verifyGitHub(d delivery, h http.Header) error {
	_, err := github.ValidatePayload(request(d, h), []byte(d.key))
	return err
}

func signStripe(d delivery) (http.Header, error) {
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(d.body), Secret: d.key, Timestamp: d.at})
	return headers("Stripe-Signature", signed.Header), nil
}

func verifyStripe(d delivery, h http.Header) error {
	return webhook.ValidatePayload([]byte(d.body), h.Get("Stripe-Signature"), d.key)
}

func signSlack(d delivery) (http.Header, error) {
	timestamp := strconv.FormatInt(d.at.Unix(), 10)
	return headers("X-Slack-Request-Timestamp", timestamp,
		"X-Slack-Signature", "v0="+hexMAC(d.key, "v0:"+timestamp+":"+d.body)), nil
}

func verifySlack(d delivery, h http.Header) error {
	verifier, err := slack.NewSecretsVerifier(h, d.key)
	if err != nil {
		return err
	}
	if _, err := verifier.Write([]byte(d.body)); err != nil {
		return err
	}
	return verifier.Ensure()
}

func signStandard(d delivery) (http.Header, error) {
	signer, err := standardwebhooks.NewWebhook(d.key)
	if err != nil {
		return nil, err
	}
	signature, err := signer.Sign("msg_1", d.at, []byte(d.body))
	return headers("webhook-id", "msg_1", "webhook-timestamp", strconv.FormatInt(d.at.Unix(), 10), "webhook-signature", signature), err
}

func verifyStandard(d delivery, h http.Header) error {
	verifier, err := standardwebhooks.NewWebhook(d.key)
	if err != nil {
		return err
	}
	return verifier.Verify([]byte(d.body), h)
}

func signSvix(d delivery) (http.Header, error) {
	signer, err := svix.NewWebhook(d.key)
	if err != nil {
		return nil, err
	}
	signature, err := signer.Sign("msg_1", d.at, []byte(d.body))
	return headers("svix-id", "msg_1", "svix-timestamp", strconv.FormatInt(d.at.Unix(), 10), "svix-signature", signature), err
}

func verifySvix(d delivery, h http.Header) error {
	verifier, err := svix.NewWebhook(d.key)
	if err != nil {
		return err
	}
	return verifier.Verify([]byte(d.body), h)
}

// signTwilio signs the url and the fields of the form, which are given as they are signed.
func signTwilio(fields string) func(delivery) (http.Header, error) {
	return func(d delivery) (http.Header, error) {
		mac := hmac.New(sha1.New, []byte(d.key))
		mac.Write([]byte(publicURL + d.target + fields))
		return headers("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil))), nil
	}
}

func verifyTwilio(d delivery, h http.Header) error {
	validator := twilio.NewRequestValidator(d.key)
	if !validator.ValidateBody(publicURL+d.target, []byte(d.body), h.Get("X-Twilio-Signature")) {
		return errors.New("refused")
	}
	return nil
}

func verifyPagerDuty(d delivery, h http.Header) error {
	return webhookv3.VerifySignature(request(d, h), d.key)
}

// admitted says whether HookStorm admits a delivery.
func admitted(t *testing.T, p *provider, d delivery, h http.Header) bool {
	t.Helper()
	signature, err := auth.NewSignature(auth.SignatureOptions{
		Scheme: p.scheme, PublicURL: publicURL, Keys: []auth.SigningKey{{Value: []byte(d.key)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return signature.Verify(context.Background(), &auth.Request{
		Header: h, Body: []byte(d.body), Target: d.target, Now: time.Now(),
	}).Verdict == auth.Admitted
}

// expect signs, lets change what is signed, and compares what HookStorm and the library make of it.
func (p *provider) expect(t *testing.T, name string, away time.Duration, change func(*delivery, http.Header), here, library bool) {
	t.Helper()
	d := delivery{key: p.key, body: p.body, target: p.target, at: time.Now().Add(away)}
	h, err := p.sign(d)
	if err != nil {
		t.Fatal(err)
	}
	h.Set("Content-Type", p.contentType)
	if change != nil {
		change(&d, h)
	}
	if got := admitted(t, p, d, h); got != here {
		t.Errorf("%s: admitted is %v", name, got)
	}
	if err := p.verify(d, h); (err == nil) != library {
		t.Errorf("%s: the library says %v", name, err)
	}
}

func TestHookStormAgreesWithTheProvidersLibraries(t *testing.T) {
	for i := range providers {
		t.Run(providers[i].name, func(t *testing.T) {
			p := &providers[i]
			p.expect(t, "as it is sent", 0, nil, true, true)
			p.expect(t, "another body", 0, func(d *delivery, _ http.Header) { d.body = p.changed }, false, false)
			p.expect(t, "another key", 0, func(d *delivery, _ http.Header) { d.key = p.otherKey }, false, false)
			p.expect(t, "a signature that is cut", 0, func(_ *delivery, h http.Header) { cutSignature(h) }, false, false)
			if !p.signsTime {
				return
			}
			// A second or two pass between signing and verifying.
			p.expect(t, "a time that is old enough", -290*time.Second, nil, true, true)
			p.expect(t, "a time that is too old", -302*time.Second, nil, false, false)
			p.expect(t, "a time that is near", 290*time.Second, nil, true, true)
			p.expect(t, "a time that is too far ahead", 310*time.Second, nil, false, p.libraryTakesFuture)
		})
	}
}

// cutSignature takes the last character off the signature.
func cutSignature(h http.Header) {
	for name, values := range h {
		if strings.HasSuffix(name, "Signature") || strings.HasSuffix(name, "Signature-256") {
			values[0] = values[0][:len(values[0])-1]
		}
	}
}

func TestAStripeSecretThatIsRolledSignsTwice(t *testing.T) {
	at, body := time.Now(), []byte(`{"id":"evt_1"}`)
	sign := func(key string) string {
		signature := webhook.ComputeSignature(at, body, key)
		return ",v1=" + hex.EncodeToString(signature)
	}
	header := "t=" + strconv.FormatInt(at.Unix(), 10) + sign(otherKey) + sign(key) + ",v0=" + strings.Repeat("0", 64)
	for _, p := range providers {
		if p.scheme != "Stripe" {
			continue
		}
		for _, k := range []string{key, otherKey} {
			if !admitted(t, &p, delivery{key: k, body: string(body)}, headers("Stripe-Signature", header)) {
				t.Errorf("the key %s is refused", k[:4])
			}
		}
	}
	if err := webhook.ValidatePayload(bytes.Clone(body), header, key); err != nil {
		t.Errorf("the library says %v", err)
	}
}
