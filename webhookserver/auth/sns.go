package auth

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sigs.k8s.io/json"
)

// minSNSKey is the fewest bits of a certificate's key that still resist factoring.
const minSNSKey = 2048

// Amazon documents the host as sns.<anything>.amazonaws.com. That would let in the S3 bucket "sns", whose host in some regions
// is sns.s3-<region>.amazonaws.com; no region starts with a word that has a digit.
const snsOrigin = `^https://sns\.[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}\.amazonaws\.com(\.cn)?/`

var (
	snsTopic       = regexp.MustCompile(`^arn:aws[a-z-]*:sns:.`)
	snsEndpoint    = regexp.MustCompile(snsOrigin)
	snsCertificate = regexp.MustCompile(snsOrigin + `SimpleNotificationService(-[0-9A-Za-z]{1,64})?\.pem$`)
)

// Certificates knows the certificates that Amazon SNS signs with.
type Certificates interface {
	// Certificate returns the certificate at a url of Amazon SNS, after it verified that it is Amazon's: its chain, and its
	// name sns.amazonaws.com. An error means that there is none to be had now. It ends with ctx and is safe for concurrent
	// use. It is asked by senders who are not known yet, so it remembers answers, failures too, and bounds how much it asks for
	// a source; one that is not valid may be many.
	Certificate(ctx context.Context, source netip.Addr, url string) (*x509.Certificate, error)
}

// SNSEndpoint reports whether a url leads to Amazon SNS itself: the only ones that may be visited for a message.
func SNSEndpoint(url string) bool { return snsEndpoint.MatchString(url) }

// snsMessage is the body of a request from Amazon SNS. What is nil is not there.
type snsMessage struct {
	Message, Subject, SubscribeURL, Timestamp, Token, TopicArn, Type *string
	MessageID                                                        *string `json:"MessageId"`
	Signature, SignatureVersion, SigningCertURL                      string
}

// adaptSNS makes sure that a Signature of this scheme has what verifySNS needs.
func adaptSNS(_ *scheme, o *SignatureOptions) error {
	switch {
	case len(o.Topics) == 0:
		return errors.New("sns.topicARNs: is empty; name the ARNs of the topics that may post, " +
			"since anybody can have Amazon SNS sign a message to a topic of their own")
	case o.Certificates == nil:
		return errors.New("scheme: certificates of Amazon SNS cannot be fetched here")
	}
	for _, topic := range o.Topics {
		if !snsTopic.MatchString(topic) {
			return fmt.Errorf("sns.topicARNs: %q is not the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:builds", topic)
		}
	}
	return nil
}

// verifySNS verifies a message of Amazon SNS, whose signature and everything that is signed are in the body. It looks at the
// topic and the time last, so that how long it takes does not tell which topics are known.
func verifySNS(ctx context.Context, s *Signature, r *Request, at *place) Proof {
	kind, once := single(r.Header, at.signature)
	m, valid := parseSNS(r.Body)
	// What is signed are lines, and a value may have several: whoever has a topic can have a Message signed in which lines for
	// another topic are. Cut there, what follows those becomes a part of the last value, Type, which no header can repeat.
	if !once || !valid || kind != *m.Type {
		return Proof{}
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(m.Signature)
	if err != nil {
		return Proof{}
	}
	sent, err := time.Parse(time.RFC3339, *m.Timestamp)
	if err != nil {
		return Proof{}
	}
	certificate, err := s.certificates.Certificate(ctx, r.Source, m.SigningCertURL)
	if err != nil {
		return Proof{Result: Result{Verdict: Unavailable}}
	}
	signed := m.signed()
	if !verifyRSA(certificate, r.Now, signed, signature) {
		return Proof{}
	}
	if r.Now.Sub(sent).Abs() > s.tolerance || !slices.Contains(s.topics, *m.TopicArn) {
		return Proof{}
	}
	return Proof{Result: Result{Verdict: Admitted}, scheme: s.name, signed: [][]byte{signed}}
}

// parseSNS reads a message, or reports that it is none that could be admitted. Names count with their case and only once, as
// for whoever reads the body later; version 1 of the signature is SHA-1.
func parseSNS(body []byte) (*snsMessage, bool) {
	m := &snsMessage{}
	if !utf8.Valid(body) {
		return nil, false
	}
	doubled, err := json.UnmarshalStrict(body, m, json.DisallowDuplicateFields)
	if err != nil || len(doubled) > 0 {
		return nil, false
	}
	for _, required := range [...]*string{m.Message, m.MessageID, m.Timestamp, m.TopicArn, m.Type} {
		if required == nil {
			return nil, false
		}
	}
	return m, m.SignatureVersion == "2" && snsCertificate.MatchString(m.SigningCertURL)
}

// signed returns what Amazon signs: the names and values of these fields, in this order, if they are there.
func (m *snsMessage) signed() []byte {
	var text strings.Builder
	for _, field := range [...]struct {
		name  string
		value *string
	}{
		{"Message", m.Message}, {"MessageId", m.MessageID}, {"Subject", m.Subject}, {"SubscribeURL", m.SubscribeURL},
		{"Timestamp", m.Timestamp}, {"Token", m.Token}, {"TopicArn", m.TopicArn}, {"Type", m.Type},
	} {
		if field.value != nil {
			text.WriteString(field.name + "\n" + *field.value + "\n")
		}
	}
	return []byte(text.String())
}

func verifyRSA(c *x509.Certificate, now time.Time, signed, signature []byte) bool {
	key, isRSA := c.PublicKey.(*rsa.PublicKey)
	if !isRSA || key.N.BitLen() < minSNSKey || now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return false
	}
	return c.CheckSignature(x509.SHA256WithRSA, signed, signature) == nil
}
