package auth

import (
	"strings"
	"testing"
	"time"
)

// TestPublishedSignaturesAreAdmitted verifies what the providers' documentation and libraries give as examples.
func TestPublishedSignaturesAreAdmitted(t *testing.T) {
	const twilioForm = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, scheme, key, target, body string
		at                              int64
		headers                         []string
	}{
		{
			name: "GitHub, validating webhook deliveries", scheme: "GitHub", key: "It's a Secret to Everybody", body: "Hello, World!",
			headers: []string{"X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		},
		{
			name: "Bitbucket signs as GitHub does", scheme: "Bitbucket", key: "It's a Secret to Everybody", body: "Hello, World!",
			headers: []string{"X-Hub-Signature", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		},
		{
			name: "Standard Webhooks, its libraries' tests", scheme: "StandardWebhooks",
			key: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at: 1614265330, body: `{"test": 2432232314}`,
			headers: []string{
				"Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "Webhook-Timestamp", "1614265330",
				"Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
		},
		{
			name: "Slack, verifying requests", scheme: "Slack", key: "8f742231b10e8888abcd99yyyzzz85a5", at: 1531420618,
			body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&" +
				"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&" +
				"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&" +
				"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
			headers: []string{
				"X-Slack-Request-Timestamp", "1531420618",
				"X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
			},
		},
		{
			name: "Twilio, security", scheme: "Twilio", key: "12345", target: "/myapp.php?foo=1&bar=2",
			body: "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212",
			headers: []string{
				"Content-Type", twilioForm, "X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
			},
		},
		{
			name: "Twilio, its Go library's tests", scheme: "Twilio", key: "12345", target: "/myapp.php?foo=1&bar=2",
			body: "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&Reason=Participant&" +
				"ReasonConferenceEnded=test&To=%2B18005551212",
			headers: []string{"Content-Type", twilioForm, "X-Twilio-Signature", "vOEb5UThFn24KEfnOFLQY2AE5FY="},
		},
		{
			name: "Twilio, a body that is no form", scheme: "Twilio", key: "12345", body: `{"property": "value", "boolean": true}`,
			target:  "/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
			headers: []string{"Content-Type", "application/json", "X-Twilio-Signature", "a9nBmqA0ju/hNViExpshrM61xv4="},
		},
	} {
		signature, err := NewSignature(SignatureOptions{
			Scheme: c.scheme, PublicURL: strings.Repeat("https://mycompany.com", min(1, len(c.target))),
		})
		if err != nil {
			t.Fatal(err)
		}
		// Some of the published keys are shorter than a Secret's may be.
		secret := []byte(c.key)
		if signature.decodeKey != nil {
			if secret, err = signature.decodeKey(secret); err != nil {
				t.Fatal(err)
			}
		}
		signature.keys = append(signature.keys, signature.newKey(Key{}, secret))
		send := func(body string) *Request {
			r := newRequest(body, c.headers...)
			r.Target, r.Now = c.target, time.Unix(c.at, 0)
			return r
		}
		expectVerdict(t, c.name, signature, send(c.body), Admitted)
		expectVerdict(t, c.name+", changed", signature, send(c.body+" "), Refused)
	}
}
