package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// The names of the authenticators that others are compared with, or that are attacked.
const (
	nobodyAsked        = "anonymous"
	nobodyAskedSecured = "tls.anonymous"
	byTokens           = "tokens"
	byGitHub           = "github"
	byStripe           = "stripe"
)

// authenticator is a webhook with one way to be admitted, and what a request has that it admits.
type authenticator struct {
	name       string // and the webhook's url
	methods    []auth.Method
	signatures []*auth.Signature

	lines       string // of the header
	body        []byte // nil: that of most
	secured     bool   // it is posted over TLS
	certificate *tls.Certificate
}

// authenticators are all that there are.
var authenticators = []struct {
	name string
	make func() (*authenticator, error)
}{
	{nobodyAsked, newAnonymous},
	{byTokens, newTokens},
	{"basic", newBasic},
	{byGitHub, newGitHub},
	{byStripe, newStripe},
	{"sns", newSNS},
	{"jwt.rs256", newRS256},
	{"jwt.es256", newES256},
	{"kubernetes", newKubernetes},
	{nobodyAskedSecured, newAnonymousSecured},
	{"tls.certificate", newClientCertificate},
}

func authenticatorNames() []string {
	names := make([]string, len(authenticators))
	for i, kind := range authenticators {
		names[i] = kind.name
	}
	return names
}

// newAuthenticators makes all, with fresh keys and tokens, and with signatures that count for some minutes.
func newAuthenticators() ([]*authenticator, error) {
	made := make([]*authenticator, len(authenticators))
	for i, kind := range authenticators {
		a, err := kind.make()
		if err != nil {
			return nil, fmt.Errorf("preparing authentication by %s: %w", kind.name, err)
		}
		a.name = kind.name
		if a.body == nil {
			a.body = jsonBody(anyNumber)
		}
		made[i] = a
	}
	return made, nil
}

// secretKey names a key of a Secret that nobody reads.
func secretKey(name string) auth.Key {
	return auth.Key{Namespace: namespace, Secret: "sender", Name: name}
}

func newAnonymous() (*authenticator, error) {
	return &authenticator{methods: []auth.Method{auth.Anonymous{}}}, nil
}

func newAnonymousSecured() (*authenticator, error) {
	return &authenticator{methods: []auth.Method{auth.Anonymous{}}, secured: true}, nil
}

func newTokens() (*authenticator, error) {
	return &authenticator{methods: []auth.Method{&auth.Tokens{}}, lines: tokenLine}, nil
}

func newBasic() (*authenticator, error) {
	const username = "sender"
	login, err := auth.NewLogin(secretKey("password"), []byte(username), []byte(token))
	return &authenticator{
		methods: []auth.Method{&auth.Basic{Logins: []auth.Login{login}}},
		lines:   "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+token)) + "\r\n",
	}, err
}

func newGitHub() (*authenticator, error) {
	signature, err := newSignature("GitHub")
	return &authenticator{
		signatures: []*auth.Signature{signature}, lines: gitHubLine(sign(string(jsonBody(anyNumber)))),
	}, err
}

func gitHubLine(signature string) string { return "X-Hub-Signature-256: sha256=" + signature + "\r\n" }

func newStripe() (*authenticator, error) {
	signature, err := newSignature("Stripe")
	now := strconv.FormatInt(time.Now().Unix(), 10)
	return &authenticator{
		signatures: []*auth.Signature{signature},
		lines:      "Stripe-Signature: t=" + now + ",v1=" + sign(now+"."+string(jsonBody(anyNumber))) + "\r\n",
	}, err
}

// newSignature takes what sign signs.
func newSignature(scheme string) (*auth.Signature, error) {
	key := auth.SigningKey{Key: secretKey("key"), Value: []byte(token)}
	return auth.NewSignature(auth.SignatureOptions{Scheme: scheme, Keys: []auth.SigningKey{key}})
}

// sign signs with the token as the key.
func sign(text string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}
