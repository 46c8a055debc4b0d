package providers

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const (
	topic          = "arn:aws:sns:eu-west-1:123456789012:builds"
	certificateURL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem"
)

// amazon is Amazon SNS: an authority, and a certificate of it that signs.
type amazon struct {
	roots       *x509.CertPool
	certificate *x509.Certificate
	key         *rsa.PrivateKey
}

func newAmazon(t *testing.T) *amazon {
	t.Helper()
	authority, authorityKey := issue(t, "authority", nil, nil)
	a := &amazon{roots: x509.NewCertPool()}
	a.roots.AddCert(authority)
	a.certificate, a.key = issue(t, "sns.amazonaws.com", authority, authorityKey)
	return a
}

// issue makes a certificate; without an issuer, an authority's.
func issue(t *testing.T, name string, issuer *x509.Certificate, issuerKey *rsa.PrivateKey) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	plan := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	if issuer == nil {
		plan.IsCA, issuer, issuerKey = true, plan, key
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// Certificate implements auth.Certificates.
func (a *amazon) Certificate(_ context.Context, _ netip.Addr, url string) (*x509.Certificate, error) {
	if url != certificateURL {
		return nil, fmt.Errorf("%s was not found", url)
	}
	_, err := a.certificate.Verify(x509.VerifyOptions{Roots: a.roots, DNSName: "sns.amazonaws.com"})
	return a.certificate, err
}

// send makes the body of a notification as Amazon documents it, with version 1 or 2 of the signature.
func (a *amazon) send(t *testing.T, version string, at time.Time) []byte {
	t.Helper()
	m := map[string]string{
		"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topic, "Subject": "My First Message",
		"Message": "Hello world!\n\"quoted\"", "Timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": version,
		"SigningCertURL": certificateURL,
		"UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + topic,
	}
	text := ""
	for _, name := range []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"} {
		text += name + "\n" + m[name] + "\n"
	}
	algorithm := map[string]crypto.Hash{"1": crypto.SHA1, "2": crypto.SHA256}[version]
	h := algorithm.New()
	h.Write([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, algorithm, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestWhatAmazonSNSSignsIsAdmitted(t *testing.T) {
	a, stranger := newAmazon(t), newAmazon(t)
	impostor := &amazon{roots: a.roots, certificate: stranger.certificate, key: stranger.key}
	for _, c := range []struct {
		name           string
		sender, server *amazon
		version        string
		age            time.Duration
		want           auth.Verdict
	}{
		{"a notification", a, a, "2", 0, auth.Admitted},
		{"one that was held up", a, a, "2", 59 * time.Minute, auth.Admitted},
		{"one of long ago", a, a, "2", 61 * time.Minute, auth.Refused},
		{"one with a signature of SHA-1", a, a, "1", 0, auth.Refused},
		{"one of another key", stranger, a, "2", 0, auth.Refused},
		{"one whose certificate has another authority", stranger, impostor, "2", 0, auth.Unavailable},
	} {
		signature, err := auth.NewSignature(auth.SignatureOptions{Scheme: "AWSSNS", Topics: []string{topic}, Certificates: c.server})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		proof := signature.Verify(t.Context(), &auth.Request{
			Header: headers("x-amz-sns-message-type", "Notification"), Body: c.sender.send(t, c.version, now.Add(-c.age)), Now: now,
		})
		if proof.Verdict != c.want {
			t.Errorf("%s: %v, want %v", c.name, proof.Verdict, c.want)
		}
	}
}

// TestTheDigestOfWhatIsSignedIsTheMessages holds two bodies of one message for the same, as a repeated delivery is.
func TestTheDigestOfWhatIsSignedIsTheMessages(t *testing.T) {
	a := newAmazon(t)
	signature, err := auth.NewSignature(auth.SignatureOptions{Scheme: "AWSSNS", Topics: []string{topic}, Certificates: a})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var digests [2][sha256.Size]byte
	for i, body := range [...][]byte{a.send(t, "2", now), append(a.send(t, "2", now), '\n')} {
		proof := signature.Verify(t.Context(), &auth.Request{
			Header: headers("x-amz-sns-message-type", "Notification"), Body: body, Now: now,
		})
		if proof.Verdict != auth.Admitted {
			t.Fatalf("body %d is refused", i)
		}
		digests[i] = proof.Signed()
	}
	if digests[0] != digests[1] {
		t.Error("the digests differ")
	}
}
