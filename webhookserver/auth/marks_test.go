package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// counter counts how often a body is signed, by algorithm.
type counter map[Algorithm]int

// countedHash counts what is summed up.
type countedHash struct {
	hash.Hash
	count func()
}

func (h countedHash) Sum(b []byte) []byte {
	h.count()
	return h.Hash.Sum(b)
}

// watch has the keys of signatures, and those of their decoys, counted.
func (c counter) watch(d *Decoys, webhooks map[string][]*Signature) {
	watched := map[*sync.Pool]bool{}
	watch := func(a Algorithm, keys []secretKey) {
		for i := range keys {
			pool := keys[i].macs
			if watched[pool] {
				continue // decoys share keys
			}
			keys[i].macs = &sync.Pool{New: func() any { return countedHash{pool.New().(hash.Hash), func() { c[a]++ }} }}
			watched[keys[i].macs] = true
		}
	}
	for _, signatures := range webhooks {
		for _, s := range signatures {
			watch(s.algorithm, s.keys)
		}
	}
	for _, decoy := range d.kinds {
		watch(decoy.algorithm, decoy.keys)
	}
}

func decoysOf(webhooks ...[]*Signature) *Decoys {
	d := NewDecoys()
	for _, signatures := range webhooks {
		d.Add(nil, signatures)
	}
	return d
}

// verify is what a webhook's own signatures, and the decoys, make of a request.
func (d *Decoys) verify(t *testing.T, own []*Signature, r *Request) Proof {
	t.Helper()
	return d.Marks(r.Header).Verify(t.Context(), own, r)
}

func TestADecoyAdmitsNobody(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		signature, r := s.new(t, signingKey, otherKey), s.request(s.message())
		for name, d := range map[string]*Decoys{
			"the decoy":                      decoysOf([]*Signature{signature}),
			"the decoy of one without a key": decoysOf([]*Signature{s.new(t)}),
		} {
			if got := d.verify(t, nil, r); got.Verdict != Refused {
				t.Errorf("%s: %v", name, got.Verdict)
			}
			proof := d.verify(t, []*Signature{signature}, r)
			if proof.Verdict != Admitted || proof.Scheme() != s.scheme {
				t.Errorf("%s: the webhook's own: %v, scheme %q", name, proof.Verdict, proof.Scheme())
			}
		}
		if got := decoysOf().Marks(r.Header); len(got) > 0 {
			t.Error("a scheme that nobody uses is looked for")
		}
	})
}

// TestWhatAStrangersBodyIsSignedWith counts what takes the time that a stranger could measure.
func TestWhatAStrangersBodyIsSignedWith(t *testing.T) {
	eachSender(t, func(t *testing.T, s *sender) {
		if s.hash == nil {
			return
		}
		webhooks := map[string][]*Signature{
			"nobody's url":         nil,
			"one key":              {s.new(t, signingKey)},
			"the most keys":        {s.new(t, signingKey, otherKey, signingKey)},
			"two keys in two":      {s.new(t, signingKey), s.new(t, otherKey)},
			"a Secret without any": {s.new(t)},
			"one key and none":     {s.new(t), s.new(t, signingKey)},
			"another scheme":       {otherScheme(t)},
		}
		d := NewDecoys()
		counted := counter{}
		for _, signatures := range webhooks {
			d.Add(nil, signatures)
		}
		counted.watch(d, webhooks)
		want := counter{s.kindOf(t).algorithm: 3 * s.times()}
		for name, own := range webhooks {
			m := s.message()
			m.key = "a key that is none of anybody"
			clear(counted)
			d.verify(t, own, s.request(m))
			if diff := cmp.Diff(want, counted); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func otherScheme(t *testing.T) *Signature {
	t.Helper()
	other := sender{scheme: "Custom", options: SignatureOptions{Custom: &CustomScheme{Header: "X-Other"}}}
	return other.new(t, signingKey, otherKey)
}

func (s *sender) kindOf(t *testing.T) signatureKind {
	t.Helper()
	return s.new(t).kind()
}

// times is how many messages of a request may have been signed.
func (s *sender) times() int {
	if s.scheme == "Twilio" {
		return 2
	}
	return 1
}

// TestDescriptionsOfOneHeaderDoNotTellWebhooksApart has webhooks whose owners describe differently what is in one header.
func TestDescriptionsOfOneHeaderDoNotTellWebhooksApart(t *testing.T) {
	described := func(c CustomScheme, keys ...string) []*Signature {
		c.Header = "X-Signature"
		s := sender{scheme: "Custom", options: SignatureOptions{Custom: &c}}
		return []*Signature{s.new(t, keys...)}
	}
	webhooks := map[string][]*Signature{
		"nobody's url": nil,
		"plain":        described(CustomScheme{}, signingKey),
		"a prefix":     described(CustomScheme{Prefix: "sha256="}, signingKey, otherKey),
		"base64":       described(CustomScheme{Encoding: Base64}, signingKey),
		"a time":       described(CustomScheme{Signed: "{timestamp}.{body}", TimestampHeader: "X-Time"}, signingKey),
		"SHA-512":      described(CustomScheme{Algorithm: HMACSHA512}, signingKey),
	}
	d, counted := NewDecoys(), counter{}
	for _, signatures := range webhooks {
		d.Add(nil, signatures)
	}
	counted.watch(d, webhooks)
	want := counter{HMACSHA256: 2, HMACSHA512: 1}
	for _, value := range []string{"", "x", strings.Repeat("0", 64), "sha256=" + strings.Repeat("0", 64), strings.Repeat("0", 128)} {
		for name, own := range webhooks {
			clear(counted)
			if got := d.verify(t, own, newRequest(jsonBody, "X-Signature", value)); got.Verdict != Refused {
				t.Errorf("%s, %q: %v", name, value, got.Verdict)
			}
			if diff := cmp.Diff(want, counted); diff != "" {
				t.Errorf("%s, %q (-want +got):\n%s", name, value, diff)
			}
		}
	}
}

func TestWhereEverySecretIsMissingABodyIsSignedOnce(t *testing.T) {
	s := &senders[0]
	webhooks := map[string][]*Signature{"a Secret without a key": {s.new(t)}, "nobody's url": nil}
	d, counted := decoysOf(webhooks["a Secret without a key"]), counter{}
	counted.watch(d, webhooks)
	for name, own := range webhooks {
		clear(counted)
		d.verify(t, own, s.request(s.message()))
		if diff := cmp.Diff(counter{HMACSHA256: 1}, counted); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhoIsAdmittedDoesNotWaitForDecoys(t *testing.T) {
	s := &senders[0]
	own, others := []*Signature{s.new(t, signingKey)}, []*Signature{s.new(t, otherKey, otherKey, otherKey)}
	d, counted := decoysOf(others, own), counter{}
	counted.watch(d, map[string][]*Signature{"own": own})
	if got := d.verify(t, own, s.request(s.message())); got.Verdict != Admitted {
		t.Fatalf("got %v", got.Verdict)
	}
	if diff := cmp.Diff(counter{HMACSHA256: 1}, counted); diff != "" {
		t.Errorf("the body was signed (-want +got):\n%s", diff)
	}
}

func TestAmazonIsAskedAsOftenForEveryURL(t *testing.T) {
	asked := 0
	away := certificateFunc(func(context.Context, string) (*x509.Certificate, error) { asked++; return nil, errors.New("away") })
	one, two := newSNS(t, away), newSNS(t, away)
	webhooks := map[string][]*Signature{"nobody's url": nil, "one entry": {one}, "two entries": {one, two}}
	d := decoysOf(webhooks["one entry"], webhooks["two entries"])
	for name, own := range webhooks {
		asked = 0
		if got := d.verify(t, own, sendSNS(nil, message{key: signingKey, timestamp: "2023-11-14T22:13:20Z"})); got.Verdict != Unavailable {
			t.Errorf("%s: %v, want %v", name, got.Verdict, Unavailable)
		}
		if asked != 2 {
			t.Errorf("%s: %d certificates are asked for, want 2", name, asked)
		}
	}
}

func TestOnlySoManyMarksOfARequestCount(t *testing.T) {
	custom := func(header string) []*Signature {
		s := sender{scheme: "Custom", options: SignatureOptions{Custom: &CustomScheme{Header: header}}}
		return []*Signature{s.new(t, signingKey)}
	}
	d := NewDecoys()
	for i := range 10 {
		d.Add(nil, custom("X-Mine-"+strconv.Itoa(i)))
	}
	github, slack := []*Signature{senders[0].new(t, signingKey)}, []*Signature{senders[4].new(t, signingKey)}
	d.Add(nil, slack)
	d.Add(nil, github)
	d.Add(nil, custom("X-Hub-Signature-256"))
	all := http.Header{"X-Hub-Signature-256": {"x"}, "X-Slack-Signature": {"x"}, "X-Github-Event": {"push"}}
	for i := range 10 {
		all.Set("X-Mine-"+strconv.Itoa(i), "x")
	}
	got := map[string]bool{}
	for _, decoy := range d.Marks(all) {
		got[decoy.scheme+" "+decoy.header] = true
	}
	want := map[string]bool{
		"GitHub X-Hub-Signature-256": true, "Custom X-Hub-Signature-256": true, "Slack X-Slack-Signature": true,
		"Custom X-Mine-0": true, "Custom X-Mine-1": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the marks that count (-want +got):\n%s", diff)
	}
	r := senders[0].request(senders[0].message())
	for name := range all {
		if r.Header.Get(name) == "" {
			r.Header.Set(name, "x")
		}
	}
	if got := d.verify(t, github, r); got.Verdict != Admitted {
		t.Errorf("a signature of GitHub beside many headers that others chose: %v", got.Verdict)
	}
	r = newRequest(jsonBody, "X-Mine-9", senders[0].mac(senders[0].message(), jsonBody))
	if got := d.verify(t, custom("X-Mine-9"), r); got.Verdict != Admitted {
		t.Errorf("the last one alone: %v", got.Verdict)
	}
	for i := range maxMarks {
		r.Header.Set("X-Mine-"+strconv.Itoa(i), "x")
	}
	if got := d.verify(t, custom("X-Mine-9"), r); got.Verdict != Refused {
		t.Errorf("the last one beside as many as count: %v", got.Verdict)
	}
}
