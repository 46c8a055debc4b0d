package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The schemes whose signature says who asks a question.
const (
	// SchemeSlack is that of Slack.
	SchemeSlack = "Slack"
	// SchemeAWSSNS is that of Amazon SNS.
	SchemeAWSSNS = "AWSSNS"
)

// The other schemes that options are for.
const (
	schemeGrafana = "Grafana"
	schemeCustom  = "Custom"
)

// defaultTolerance is what the providers that sign a time recommend.
const defaultTolerance = 5 * time.Minute

// scheme is how a provider signs: a row of the table. A provider that fits it needs no code.
type scheme struct {
	name string
	// places are where a request may have its signature; the first that it has counts.
	places []place
	// separator parts the signatures in the header; "" means that there is one. Where there are several, entries that start
	// with neither prefix nor timePrefix are of versions that are not known, and do not count.
	separator string
	// prefix comes before each signature, and timePrefix before the time if that is in the same header.
	prefix, timePrefix string
	algorithm          Algorithm
	encoding           Encoding
	// signed is what is signed, in the language of CustomScheme.Signed.
	signed string
	// tolerance is how far the signed time may be from now; 0: no time is signed.
	tolerance time.Duration
	// decodeKey makes a key of what a Secret holds; nil: it is the key.
	decodeKey func(value []byte) ([]byte, error)
	// keyless says that what verifies is public.
	keyless bool
	// adapt changes a copy of the row as the options want it; nil: they change nothing.
	adapt func(row *scheme, o *SignatureOptions) error
	// verify replaces verifyMAC for a scheme that does otherwise.
	verify func(ctx context.Context, s *Signature, r *Request, at *place) Proof
}

// place is the headers of one signature, in canonical form.
type place struct {
	signature, timestamp, id string
	// public says that signature names a header that all such requests have, and that holds no signature.
	public bool
}

var (
	standardPlace = place{signature: "Webhook-Signature", timestamp: "Webhook-Timestamp", id: "Webhook-Id"}
	svixPlace     = place{signature: "Svix-Signature", timestamp: "Svix-Timestamp", id: "Svix-Id"}
)

// schemes is the table. Its names are those of a Webhook's spec.auth.signature.scheme.
var schemes = [...]scheme{
	{
		name: "GitHub", places: []place{{signature: "X-Hub-Signature-256"}}, prefix: "sha256=",
		algorithm: HMACSHA256, encoding: Hex, signed: "{body}",
	},
	{
		name: "GitLab", places: []place{{signature: "X-Gitlab-Token"}}, signed: "{body}",
		decodeKey: digestKey, verify: verifyToken,
	},
	{
		name: "GitLabSigning", places: []place{standardPlace}, separator: " ", prefix: "v1,",
		algorithm: HMACSHA256, encoding: Base64, signed: "{id}.{timestamp}.{body}", tolerance: defaultTolerance,
		decodeKey: decodeStandardKey,
	},
	{
		name: "Stripe", places: []place{{signature: "Stripe-Signature"}}, separator: ",", prefix: "v1=", timePrefix: "t=",
		algorithm: HMACSHA256, encoding: Hex, signed: "{timestamp}.{body}", tolerance: defaultTolerance,
	},
	{
		name:   SchemeSlack,
		places: []place{{signature: "X-Slack-Signature", timestamp: "X-Slack-Request-Timestamp"}}, prefix: "v0=",
		algorithm: HMACSHA256, encoding: Hex, signed: "v0:{timestamp}:{body}", tolerance: defaultTolerance,
	},
	{
		name: "StandardWebhooks", places: []place{standardPlace, svixPlace}, separator: " ", prefix: "v1,",
		algorithm: HMACSHA256, encoding: Base64, signed: "{id}.{timestamp}.{body}", tolerance: defaultTolerance,
		decodeKey: decodeStandardKey,
	},
	{
		name: "Shopify", places: []place{{signature: "X-Shopify-Hmac-Sha256"}},
		algorithm: HMACSHA256, encoding: Base64, signed: "{body}",
	},
	{
		name: "Bitbucket", places: []place{{signature: "X-Hub-Signature"}}, prefix: "sha256=",
		algorithm: HMACSHA256, encoding: Hex, signed: "{body}",
	},
	{
		name: "Twilio", places: []place{{signature: "X-Twilio-Signature"}}, // Twilio has nothing but SHA-1
		algorithm: HMACSHA1, encoding: Base64, adapt: adaptTwilio,
	},
	{
		name: "Sentry", places: []place{{signature: "Sentry-Hook-Signature"}}, // Sentry-Hook-Timestamp is not signed
		algorithm: HMACSHA256, encoding: Hex, signed: "{body}",
	},
	{
		name: "PagerDuty", places: []place{{signature: "X-Pagerduty-Signature"}}, separator: ",", prefix: "v1=",
		algorithm: HMACSHA256, encoding: Hex, signed: "{body}",
	},
	{
		name: schemeGrafana, places: []place{{signature: "X-Grafana-Alerting-Signature"}},
		algorithm: HMACSHA256, encoding: Hex, signed: "{body}", adapt: adaptGrafana, verify: verifyDescribed,
	},
	{
		name: SchemeAWSSNS, places: []place{{signature: "X-Amz-Sns-Message-Type", public: true}}, tolerance: time.Hour,
		keyless: true, adapt: adaptSNS, verify: verifySNS,
	},
	{name: schemeCustom, adapt: adaptCustom, verify: verifyDescribed},
}

func findScheme(name string) (scheme, bool) {
	i := slices.IndexFunc(schemes[:], func(s scheme) bool { return s.name == name })
	if i < 0 {
		return scheme{}, false
	}
	return schemes[i], true
}

// rowOf returns the row for options, changed as they want it, or says which of them is wrong.
func rowOf(o *SignatureOptions) (scheme, error) {
	row, found := findScheme(o.Scheme)
	if !found {
		return scheme{}, unknownScheme(o.Scheme)
	}
	if err := misplaced(o); err != nil {
		return scheme{}, err
	}
	if row.adapt != nil {
		if err := row.adapt(&row, o); err != nil {
			return scheme{}, err
		}
	}
	return row, row.check(o)
}

// misplaced says which of the options is for another scheme.
func misplaced(o *SignatureOptions) error {
	for _, only := range [...]struct {
		field, scheme string
		set           bool
	}{
		{"custom", schemeCustom, o.Custom != nil},
		{"header", schemeGrafana, o.Header != ""},
		{"timestampHeader", schemeGrafana, o.TimestampHeader != ""},
		{"sns.topicARNs", SchemeAWSSNS, len(o.Topics) > 0},
	} {
		if only.set && only.scheme != o.Scheme {
			return fmt.Errorf("%s: is only for scheme %s; remove it", only.field, only.scheme)
		}
	}
	return nil
}

// check says what the options of every scheme have that does not go with this one.
func (s *scheme) check(o *SignatureOptions) error {
	switch {
	case o.Tolerance < 0:
		return errors.New("tolerance: is negative; say how far a signed time may be from now, such as 5m")
	case o.Tolerance > 0 && s.tolerance == 0:
		return fmt.Errorf("tolerance: no time is signed here with scheme %s; remove it", s.name)
	case len(o.Keys) > MaxSigningKeys:
		return fmt.Errorf("secretRef: the Secret has %d keys; leave at most %d, since each is tried", len(o.Keys), MaxSigningKeys)
	case s.keyless && len(o.Keys) > 0:
		return fmt.Errorf("secretRef: scheme %s has no keys; remove it", s.name)
	}
	return nil
}

func (s *scheme) secretHeaders() []string {
	var names []string
	for _, at := range s.places {
		if !at.public {
			names = append(names, at.signature)
		}
	}
	return names
}

func (s *scheme) placeIn(h http.Header) *place {
	for i := range s.places {
		if len(h[s.places[i].signature]) > 0 {
			return &s.places[i]
		}
	}
	return nil
}

// adaptGrafana takes the headers that are set in a contact point of Grafana. With a header for it, a time is signed.
func adaptGrafana(row *scheme, o *SignatureOptions) error {
	at := row.places[0]
	for _, chosen := range [...]struct {
		field, name string
		header      *string
	}{
		{"header", o.Header, &at.signature},
		{"timestampHeader", o.TimestampHeader, &at.timestamp},
	} {
		if chosen.name == "" {
			continue
		}
		var err error
		if *chosen.header, err = headerName(chosen.name); err != nil {
			return fmt.Errorf("%s: %w", chosen.field, err)
		}
	}
	if err := checkSignatureHeader(at.signature); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	switch at.timestamp {
	case "":
	case at.signature:
		return errors.New("timestampHeader: is the signature's header too; name the one that holds the time")
	default:
		row.signed, row.tolerance = "{timestamp}:{body}", defaultTolerance
	}
	row.places = []place{at}
	return nil
}

// decodeStandardKey reads a key of Standard Webhooks. One without the prefix is taken as it is: the specification allows any
// bytes, and a text that looks like base64 may be none.
func decodeStandardKey(value []byte) ([]byte, error) {
	encoded, prefixed := strings.CutPrefix(string(value), "whsec_")
	if !prefixed {
		return value, nil
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		// The error would quote a byte of the key.
		return nil, errors.New("starts with whsec_, but the rest is not base64")
	}
	return key, nil
}

// digestKey makes a key of a token, which is compared and need not be kept.
func digestKey(value []byte) ([]byte, error) {
	if len(value) < MinSigningKey {
		return value, nil // and too short
	}
	digest := sha256.Sum256(value)
	return digest[:], nil
}
