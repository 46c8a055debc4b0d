package auth

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"math/big"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	signingKey = "the key that signs, of 34 bytes..."
	otherKey   = "another key, which may sign as well"
	shortKey   = "a key whose RSA key is too short"
	publicURL  = "https://hooks.example.com"
	target     = "/v1/webhooks/build?from=here"
	topic      = "arn:aws:sns:eu-west-1:123456789012:builds"
	jsonBody   = `{"action":"opened"}`
)

// signedAt is when the senders sign, and what the time is for who verifies.
var signedAt = time.Unix(1_700_000_000, 0)

// sender signs as a provider does. It shares no code with what verifies.
type sender struct {
	scheme  string
	options SignatureOptions // beside scheme and keys
	hash    func() hash.Hash // nil: there is no keyed hash
	encode  func([]byte) string
	// tolerance is how far the time that is signed may be away; 0: there is none.
	tolerance time.Duration
	body      string
	// send makes the request of a signed message.
	send func(s *sender, m message) *Request
}

// message is what is to be sent.
type message struct {
	key, body string
	timestamp string              // as it is signed
	edit      func(string) string // changes the signature; may be nil
}

func (s *sender) message() message {
	return message{key: signingKey, body: s.body, timestamp: s.timestamp(signedAt)}
}

func (s *sender) timestamp(at time.Time) string {
	if s.scheme == SchemeAWSSNS {
		return at.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return strconv.FormatInt(at.Unix(), 10)
}

func (s *sender) request(m message) *Request { return s.send(s, m) }

func (s *sender) mac(m message, text string) string {
	h := hmac.New(s.hash, []byte(m.key))
	h.Write([]byte(text))
	return m.edited(s.encode(h.Sum(nil)))
}

func (m message) edited(signature string) string {
	if m.edit == nil {
		return signature
	}
	return m.edit(signature)
}

func newRequest(body string, headers ...string) *Request {
	r := &Request{Header: http.Header{}, Body: []byte(body), Target: target, Now: signedAt}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// overBody sends a signature of the body alone.
func overBody(header, prefix string) func(*sender, message) *Request {
	return func(s *sender, m message) *Request { return newRequest(m.body, header, prefix+s.mac(m, m.body)) }
}

// overStandard sends a signature as Standard Webhooks has it.
func overStandard(prefix string) func(*sender, message) *Request {
	return func(s *sender, m message) *Request {
		return newRequest(m.body, prefix+"-id", "msg_1", prefix+"-timestamp", m.timestamp,
			prefix+"-signature", "v1,"+s.mac(m, "msg_1."+m.timestamp+"."+m.body))
	}
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// senders are the providers, each scheme at least once.
var senders = []sender{
	{scheme: "GitHub", hash: sha256.New, encode: hex.EncodeToString, body: jsonBody, send: overBody("X-Hub-Signature-256", "sha256=")},
	{scheme: "GitLab", body: jsonBody, send: func(_ *sender, m message) *Request {
		return newRequest(m.body, "X-Gitlab-Token", m.edited(m.key))
	}},
	{
		scheme: "GitLabSigning", hash: sha256.New, encode: base64Text, tolerance: 5 * time.Minute, body: jsonBody,
		send: overStandard("webhook"),
	},
	{
		scheme: "Stripe", hash: sha256.New, encode: hex.EncodeToString, tolerance: 5 * time.Minute, body: jsonBody,
		send: func(s *sender, m message) *Request {
			return newRequest(m.body, "Stripe-Signature", "t="+m.timestamp+",v0=6ffbb59b,v1="+s.mac(m, m.timestamp+"."+m.body))
		},
	},
	{
		scheme: "Slack", hash: sha256.New, encode: hex.EncodeToString, tolerance: 5 * time.Minute, body: jsonBody,
		send: func(s *sender, m message) *Request {
			return newRequest(m.body, "X-Slack-Request-Timestamp", m.timestamp,
				"X-Slack-Signature", "v0="+s.mac(m, "v0:"+m.timestamp+":"+m.body))
		},
	},
	{
		scheme: "StandardWebhooks", hash: sha256.New, encode: base64Text, tolerance: 5 * time.Minute, body: jsonBody,
		send: overStandard("webhook"),
	},
	{
		scheme: "StandardWebhooks", hash: sha256.New, encode: base64Text, tolerance: 5 * time.Minute, body: jsonBody,
		send: overStandard("svix"),
	},
	{scheme: "Shopify", hash: sha256.New, encode: base64Text, body: jsonBody, send: overBody("X-Shopify-Hmac-SHA256", "")},
	{scheme: "Bitbucket", hash: sha256.New, encode: hex.EncodeToString, body: jsonBody, send: overBody("X-Hub-Signature", "sha256=")},
	{
		scheme: "Twilio", options: SignatureOptions{PublicURL: publicURL}, hash: sha1.New, encode: base64Text,
		body: "To=%2B1&action=opened",
		send: func(s *sender, m message) *Request {
			return newRequest(m.body, "Content-Type", "application/x-www-form-urlencoded",
				"X-Twilio-Signature", s.mac(m, publicURL+target+"To+1actionopened"))
		},
	},
	{scheme: "Sentry", hash: sha256.New, encode: hex.EncodeToString, body: jsonBody, send: overBody("Sentry-Hook-Signature", "")},
	{scheme: "PagerDuty", hash: sha256.New, encode: hex.EncodeToString, body: jsonBody, send: overBody("X-PagerDuty-Signature", "v1=")},
	{
		scheme: "Grafana", hash: sha256.New, encode: hex.EncodeToString, body: jsonBody,
		send: overBody("X-Grafana-Alerting-Signature", ""),
	},
	{
		scheme: "Grafana", options: SignatureOptions{Header: "x-signed", TimestampHeader: "x-signed-at"},
		hash: sha256.New, encode: hex.EncodeToString, tolerance: 5 * time.Minute, body: jsonBody,
		send: func(s *sender, m message) *Request {
			return newRequest(m.body, "X-Signed-At", m.timestamp, "X-Signed", s.mac(m, m.timestamp+":"+m.body))
		},
	},
	{
		scheme: "AWSSNS", options: SignatureOptions{Topics: []string{topic}, Certificates: amazon{}}, tolerance: time.Hour,
		body: jsonBody, send: sendSNS,
	},
	{
		scheme: "Custom", options: SignatureOptions{Custom: &CustomScheme{Header: "X-Acme-Signature"}},
		hash: sha256.New, encode: hex.EncodeToString, body: jsonBody, send: overBody("X-Acme-Signature", ""),
	},
	{
		scheme: "Custom", options: SignatureOptions{Tolerance: time.Minute, Custom: &CustomScheme{
			Header: "x-acme-signature", Algorithm: HMACSHA512, Encoding: Base64, Prefix: "acme ",
			Signed: "{id}/{timestamp}/{body}", IDHeader: "x-request-id", TimestampHeader: "x-acme-time",
		}},
		hash: sha512.New, encode: base64Text, tolerance: time.Minute, body: jsonBody,
		send: func(s *sender, m message) *Request {
			return newRequest(m.body, "X-Request-Id", "1", "X-Acme-Time", m.timestamp,
				"X-Acme-Signature", "acme "+s.mac(m, "1/"+m.timestamp+"/"+m.body))
		},
	},
}

// new makes the Signature for what the sender sends.
func (s *sender) new(t testing.TB, keys ...string) *Signature {
	t.Helper()
	o := s.options
	o.Scheme = s.scheme
	if !s.keyless() {
		for i, key := range keys {
			o.Keys = append(o.Keys, SigningKey{Key: Key{Namespace: "team", Secret: "keys", Name: strconv.Itoa(i)}, Value: []byte(key)})
		}
	}
	signature, err := NewSignature(o)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func (s *sender) keyless() bool { return s.scheme == SchemeAWSSNS }

const certificateURL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"

// sendSNS sends a notification, signed with the RSA key of the message's key.
func sendSNS(_ *sender, m message) *Request {
	fields := []string{"Message", m.body, "MessageId", "m-1", "Timestamp", m.timestamp, "TopicArn", topic, "Type", "Notification"}
	return snsRequest(m, fields...)
}

// snsRequest signs fields as they come and sends them.
func snsRequest(m message, fields ...string) *Request {
	text, body := "", map[string]string{"SignatureVersion": "2", "SigningCertURL": certificateURL}
	for i := 0; i < len(fields); i += 2 {
		text += fields[i] + "\n" + fields[i+1] + "\n"
		body[fields[i]] = fields[i+1]
	}
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, rsaKeys()[m.key], crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	body["Signature"] = m.edited(base64Text(signature))
	document, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return newRequest(string(document), "X-Amz-Sns-Message-Type", body["Type"])
}

// rsaKeys are a key for each signing key, made once, because making them takes long.
var rsaKeys = sync.OnceValue(func() map[string]*rsa.PrivateKey {
	keys := map[string]*rsa.PrivateKey{}
	for name, bits := range map[string]int{signingKey: minSNSKey, otherKey: minSNSKey, shortKey: minSNSKey / 2} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys[name] = key
	}
	return keys
})

// amazon has one certificate, the one of the first signing key, at one url.
type amazon struct{ err error }

func (a amazon) Certificate(_ context.Context, _ netip.Addr, url string) (*x509.Certificate, error) {
	if url != certificateURL {
		return nil, errors.New("not found")
	}
	return amazonCertificate(), a.err
}

var amazonCertificate = sync.OnceValue(func() *x509.Certificate { return certificateOf(rsaKeys()[signingKey], signedAt) })

func certificateOf(key crypto.Signer, from time.Time) *x509.Certificate {
	plan := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"},
		NotBefore: from.Add(-time.Hour), NotAfter: from.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate
}
