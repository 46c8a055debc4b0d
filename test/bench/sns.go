package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hookstorm/hookstorm/internal/identity"
	"github.com/hookstorm/hookstorm/internal/outbound"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const (
	snsTopic       = "arn:aws:sns:eu-west-1:123456789012:builds"
	snsHost        = "sns.eu-west-1.amazonaws.com"
	snsCertificate = "https://" + snsHost + "/SimpleNotificationService-0123456789abcdef.pem"
	// rsaBits is the size of RSA keys: that of Amazon, of most issuers, and of clusters.
	rsaBits = 2048
)

// newSNS returns a notification of Amazon SNS, whose certificate HookStorm remembers once the first request needed it.
func newSNS() (*authenticator, error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	certificate, err := certifyKey(key, x509.Certificate{DNSNames: []string{snsHost}}, nil)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	amazon := identity.NewSNS(identity.SNSOptions{
		Client: site(encodePEM(certificate)), Endpoint: auth.SNSEndpoint, Roots: roots, Now: time.Now,
	})
	signature, err := auth.NewSignature(auth.SignatureOptions{Scheme: "AWSSNS", Topics: []string{snsTopic}, Certificates: amazon})
	if err != nil {
		return nil, err
	}
	body, err := notification(key)
	return &authenticator{
		signatures: []*auth.Signature{signature}, lines: "X-Amz-Sns-Message-Type: Notification\r\n", body: body,
	}, err
}

// notification returns a message of bodySize bytes.
func notification(key *rsa.PrivateKey) ([]byte, error) {
	fields := map[string]string{
		"Message": "", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": snsTopic,
		"Timestamp": time.Now().UTC().Format(time.RFC3339), "Type": "Notification", "SignatureVersion": "2", "SigningCertURL": snsCertificate,
		"Signature": base64.StdEncoding.EncodeToString(make([]byte, rsaBits/8)),
	}
	short, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encoding a notification: %w", err)
	}
	fields["Message"] = strings.Repeat("x", bodySize-len(short))
	var signed strings.Builder
	for _, name := range []string{"Message", "MessageId", "Timestamp", "TopicArn", "Type"} {
		signed.WriteString(name + "\n" + fields[name] + "\n")
	}
	digest := sha256.Sum256([]byte(signed.String()))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return nil, fmt.Errorf("signing a notification: %w", err)
	}
	fields["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return json.Marshal(fields)
}

// site is what an outbound client finds wherever it looks.
type site string

// Do implements identity.Client.
func (s site) Do(context.Context, *http.Request) (outbound.Answer, error) {
	return outbound.Answer{Status: http.StatusOK, Body: []byte(s)}, nil
}
