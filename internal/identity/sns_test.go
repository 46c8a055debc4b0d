package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/internal/outbound"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// amazon is Amazon SNS and its authority: it answers for every host.
type amazon struct {
	*SNS
	clock
	journal
	asked   atomic.Int64
	answers map[string][]byte // by host and path
}

const (
	region      = "https://sns.eu-west-1.amazonaws.com"
	certificate = region + "/SimpleNotificationService-0123.pem"
	issuerURL   = "http://crt.example/issuer.cer"
)

func newAmazon(t *testing.T, root *holder, answers map[string][]byte) *amazon {
	t.Helper()
	a := &amazon{answers: answers}
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		answer, found := a.answers[r.Host+r.URL.Path]
		if !found {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = w.Write(answer)
	}))
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root.Certificate)
	client := open(t)
	a.SNS = NewSNS(SNSOptions{Roots: roots, Endpoint: auth.SNSEndpoint, Logger: a.logger(), Now: a.now, Client: clientFunc(
		func(ctx context.Context, r *http.Request) (outbound.Answer, error) {
			r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, at.Scheme, at.Host // as if the name resolved to the test server
			return client.Do(ctx, r)
		})})
	return a
}

// names is the template of a certificate for hosts, with where its issuer's is.
func names(hosts ...string) x509.Certificate {
	return x509.Certificate{DNSNames: hosts, IssuingCertificateURL: []string{issuerURL}}
}

func TestWhichCertificatesAreAmazons(t *testing.T) {
	var none *holder
	root := none.issue(authority("root"))
	issuer := root.issue(authority("issuer"))
	intermediate := issuer.issue(authority("intermediate"))
	foreign := none.issue(authority("root"))
	short := func(from, to time.Duration) x509.Certificate {
		template := names("sns.amazonaws.com")
		template.NotBefore, template.NotAfter = start.Add(from), start.Add(to)
		return template
	}
	below := authority("below")
	below.IssuingCertificateURL = []string{"http://crt.example/higher.cer"}
	second := issuer.issue(below)
	for _, c := range []struct {
		name   string
		url    string // "" is certificate
		served []byte
		want   string // a part of the error; "" is none
	}{
		{name: "one for all regions", served: issuer.issue(names("sns.amazonaws.com")).pem()},
		{name: "one for the region", served: issuer.issue(names("sns-signing.eu-west-1.amazonaws.com")).pem()},
		{name: "one for the host", served: issuer.issue(names("sns.eu-west-1.amazonaws.com")).pem()},
		{name: "one with its chain", served: append(intermediate.issue(names("sns.amazonaws.com")).pem(),
			append(intermediate.pem(), issuer.pem()...)...)},
		{
			name: "one of China", url: "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem",
			served: issuer.issue(names("sns-cn-north-1.amazonaws.com.cn")).pem(),
		},
		{
			name: "one of GovCloud", url: "https://sns.us-gov-east-1.amazonaws.com/SimpleNotificationService-1.pem",
			served: issuer.issue(names("sns-us-gov-west-1.amazonaws.com")).pem(),
		},
		{name: "one for another region", served: issuer.issue(names("sns-signing.eu-west-2.amazonaws.com")).pem(), want: "is for none of"},
		{name: "one for another host", served: issuer.issue(names("s3.amazonaws.com", "evil.example")).pem(), want: "is for none of"},
		{
			name: "one for all regions in China", url: "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem",
			served: issuer.issue(names("sns.amazonaws.com")).pem(), want: "is for none of",
		},
		{name: "one of another authority", served: foreign.issue(names("sns.amazonaws.com")).pem(), want: "verifying the certificate"},
		{name: "one that signed itself", served: none.issue(names("sns.amazonaws.com")).pem(), want: "verifying the certificate"},
		{name: "one that says nothing of its issuer", served: issuer.issue(x509.Certificate{DNSNames: []string{"sns.amazonaws.com"}}).pem(),
			want: "verifying the certificate"},
		{name: "one two steps below the root", served: second.issue(x509.Certificate{
			DNSNames: []string{"sns.amazonaws.com"}, IssuingCertificateURL: []string{"http://crt.example/below.cer"},
		}).pem()},
		{name: "one whose issuer's cannot be fetched", served: issuer.issue(x509.Certificate{
			DNSNames: []string{"sns.amazonaws.com"}, IssuingCertificateURL: []string{"http://crt.example/none.cer"},
		}).pem(), want: "fetching the issuer's certificate"},
		{name: "one that has expired", served: issuer.issue(short(-time.Hour, -time.Second)).pem(), want: "verifying the certificate"},
		{name: "one that is not valid yet", served: issuer.issue(short(time.Second, time.Hour)).pem(), want: "verifying the certificate"},
		{name: "none", served: []byte("<html>"), want: "no certificate in PEM"},
		{name: "a broken one", served: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), want: "reading the certificate"},
	} {
		if c.url == "" {
			c.url = certificate
		}
		a := newAmazon(t, root, map[string][]byte{
			strings.TrimPrefix(c.url, "https://"): c.served,
			"crt.example/issuer.cer":              issuer.Raw,
			"crt.example/below.cer":               second.pem(),
			"crt.example/higher.cer":              issuer.Raw,
		})
		got, err := a.Certificate(t.Context(), stranger, c.url)
		if (got == nil) != (err != nil) || (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestWhatAmazonIsAsked(t *testing.T) {
	var none *holder
	root := none.issue(authority("root"))
	a := newAmazon(t, root, map[string][]byte{
		"sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem": root.issue(names("sns.amazonaws.com")).pem(),
	})
	ask := func(location string, succeeds bool, asked int64) {
		t.Helper()
		before := a.asked.Load()
		if _, err := a.Certificate(t.Context(), stranger, location); (err == nil) != succeeds {
			t.Errorf("%s: %v", location, err)
		}
		if got := a.asked.Load() - before; got != asked {
			t.Errorf("%s: asked %d times, want %d", location, got, asked)
		}
	}
	unknown := region + "/SimpleNotificationService-none.pem"
	ask(certificate, true, 1)
	ask(certificate, true, 0)
	ask(unknown, false, 1)
	ask(unknown, false, 0)
	a.pass(10 * time.Second)
	ask(unknown, false, 1)
	ask(certificate, true, 0)
	a.pass(24 * time.Hour)
	ask(certificate, true, 1)
	before := a.asked.Load()
	for n := range 100 {
		_, err := a.Certificate(t.Context(), stranger, region+"/"+strings.Repeat("x", n)+".pem")
		if err == nil {
			t.Error("a certificate that is not there is there")
		}
	}
	if asked := a.asked.Load() - before; asked > 20 {
		t.Errorf("a flood of urls made %d questions", asked)
	}
}

func TestMadeUpURLsKeepNoNewCertificateOut(t *testing.T) {
	var none *holder
	root := none.issue(authority("root"))
	a := newAmazon(t, root, map[string][]byte{
		"sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem": root.issue(names("sns.amazonaws.com")).pem(),
	})
	for n := range 100 {
		_, err := a.Certificate(t.Context(), netip.MustParseAddr("203.0.113.9"), region+"/"+strings.Repeat("x", n)+".pem")
		if err == nil {
			t.Error("a certificate that is not there is there")
		}
	}
	if _, err := a.Certificate(t.Context(), netip.MustParseAddr("192.0.2.1"), certificate); err != nil {
		t.Errorf("for another source: %v", err)
	}
}

func TestURLsThatAreNotAmazons(t *testing.T) {
	var none *holder
	a := newAmazon(t, none.issue(authority("root")), nil)
	const path, query = "/SimpleNotificationService-1.pem", "/?Action=ConfirmSubscription&Token=secret"
	for _, origin := range []string{
		"http://sns.eu-west-1.amazonaws.com", "https://sns.eu-west-1.amazonaws.com.evil.example",
		"https://sns.eu-west-1.amazonaws.com:8443", "https://me@sns.eu-west-1.amazonaws.com",
		"https://evil.example/sns.eu-west-1.amazonaws.com", "https://sns.s3-us-west-2.amazonaws.com",
		"https://sns.s3.amazonaws.com", "https://sns.amazonaws.com", "https://xsns.eu-west-1.amazonaws.com",
		"https://sns.eu-west-1.amazonaws.com\n", "https://SNS.eu-west-1.amazonaws.com", "https://", "",
		"https://sns.eu-west-1.amazonaws.com\\@evil.example",
	} {
		if _, err := a.Certificate(t.Context(), stranger, origin+path); !errors.Is(err, outbound.ErrURL) {
			t.Errorf("a certificate at %q: %v", origin, err)
		}
		if err := a.Confirm(t.Context(), origin+query); !errors.Is(err, outbound.ErrURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("a subscription at %q: %v", origin, err)
		}
	}
	for _, path := range []string{"/a.cer", "/", "", "/a.pem?x=1", "/a.pem#x", "/?a.pem"} {
		if _, err := a.Certificate(t.Context(), stranger, region+path); !errors.Is(err, outbound.ErrURL) {
			t.Errorf("a certificate at %q: %v", path, err)
		}
	}
	if asked := a.asked.Load(); asked > 0 {
		t.Errorf("%d calls were made", asked)
	}
}

func TestASubscriptionIsConfirmed(t *testing.T) {
	var none *holder
	a := newAmazon(t, none.issue(authority("root")), map[string][]byte{"sns.eu-west-1.amazonaws.com/": []byte("<xml/>")})
	const confirm = "/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-west-1:1:t&Token=secret"
	if err := a.Confirm(t.Context(), region+confirm); err != nil || a.asked.Load() != 1 {
		t.Errorf("%v, asked %d times", err, a.asked.Load())
	}
	err := a.Confirm(t.Context(), "https://sns.eu-west-2.amazonaws.com"+confirm)
	if err == nil || !strings.Contains(err.Error(), "answered 403") || strings.Contains(err.Error(), "secret") {
		t.Errorf("where it is refused: %v", err)
	}
	if err := a.Confirm(t.Context(), region+"/?Action=Unsubscribe"); !errors.Is(err, outbound.ErrURL) {
		t.Errorf("another action: %v", err)
	}
}
