package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// holder is a certificate with its private key.
type holder struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// issue has a holder certify another one; nil certifies itself.
func (h *holder) issue(t *testing.T, template x509.Certificate) *holder {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	}
	parent, signer := &template, key
	if h != nil {
		parent, signer = h.Certificate, h.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{made, key}
}

// authority is the template of an authority's certificate.
func authority(name string) x509.Certificate {
	return x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// client is the template of a client's certificate.
func client(change func(*x509.Certificate)) x509.Certificate {
	made := x509.Certificate{
		Subject: pkix.Name{CommonName: "ci"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(&made)
	}
	return made
}

func (h *holder) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Raw}))
}

// authorities reads what a key of a Secret holds.
func authorities(t *testing.T, key, bundle string) []Authority {
	t.Helper()
	read, err := ReadAuthorities(Key{Namespace: "team", Secret: "ca", Name: key}, []byte(bundle))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestWhichCertificatesAdmit(t *testing.T) {
	var none *holder
	root, next, foreign := none.issue(t, authority("root")), none.issue(t, authority("next")), none.issue(t, authority("root"))
	intermediate := root.issue(t, authority("intermediate"))
	past := none.issue(t, func() x509.Certificate {
		template := authority("past")
		template.NotBefore, template.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Minute)
		return template
	}())
	trusted := append(authorities(t, "old", root.pem()+past.pem()), authorities(t, "new", next.pem())...)
	leaf := root.issue(t, client(nil))
	at := func(change func(*x509.Certificate)) *holder { return root.issue(t, client(change)) }
	for _, c := range []struct {
		name  string
		chain []*holder
		want  Result
	}{
		{"a certificate of the authority", []*holder{leaf}, byAuthority("old")},
		{"one of the authority that comes after it", []*holder{next.issue(t, client(nil))}, byAuthority("new")},
		{"one with its intermediate", []*holder{intermediate.issue(t, client(nil)), intermediate}, byAuthority("old")},
		{"one with the root too", []*holder{leaf, root}, byAuthority("old")},
		{"one without a statement of its use", []*holder{at(func(c *x509.Certificate) { c.ExtKeyUsage = nil })}, byAuthority("old")},
		{"one without its intermediate", []*holder{intermediate.issue(t, client(nil))}, Result{}},
		{"one of an authority with the same name", []*holder{foreign.issue(t, client(nil))}, Result{}},
		{"one that brings its own authority", []*holder{foreign.issue(t, client(nil)), foreign}, Result{}},
		{"one signed by a client", []*holder{leaf.issue(t, client(nil)), leaf}, Result{}},
		{"one that signed itself", []*holder{none.issue(t, client(nil))}, Result{}},
		{"one for servers", []*holder{at(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})}, Result{}},
		{"one that has expired", []*holder{at(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(-time.Second)
		})}, Result{}},
		{"one that is not valid yet", []*holder{at(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(time.Minute), now.Add(time.Hour)
		})}, Result{}},
		{"one of an authority that has expired", []*holder{past.issue(t, client(nil))}, Result{}},
		{"a chain that is too long", []*holder{leaf, root, root, root, root, root, root, root, root}, Result{}},
		{"none", nil, Result{}},
	} {
		method, err := NewClientCertificate(trusted, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{Now: now}
		for _, h := range c.chain {
			r.Certificates = append(r.Certificates, h.Certificate)
		}
		if diff := cmp.Diff(c.want, method.Admit(t.Context(), r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func byAuthority(key string) Result {
	return Result{Verdict: Admitted, Key: Key{Namespace: "team", Secret: "ca", Name: key}}
}

func TestWhichNamesAdmit(t *testing.T) {
	var none *holder
	root := none.issue(t, authority("root"))
	uri, err := url.Parse("spiffe://team/ns/ci/sa/builder")
	if err != nil {
		t.Fatal(err)
	}
	named := root.issue(t, client(func(c *x509.Certificate) {
		c.DNSNames, c.URIs, c.EmailAddresses = []string{"CI.example"}, []*url.URL{uri}, []string{"ci@example.org"}
	}))
	disguised := root.issue(t, client(func(c *x509.Certificate) {
		c.EmailAddresses, c.URIs = []string{"ci.example"}, []*url.URL{{Path: "other.example"}, {Path: "ci@example.org"}}
	}))
	nameless := root.issue(t, client(nil))
	for _, c := range []struct {
		name        string
		certificate *holder
		names       []string
		want        Verdict
	}{
		{"any where no name is asked for", nameless, nil, Admitted},
		{"a DNS name", named, []string{"x", "ci.EXAMPLE"}, Admitted},
		{"a URI", named, []string{"spiffe://team/ns/ci/sa/builder"}, Admitted},
		{"an email address", named, []string{"ci@example.org"}, Admitted},
		{"a common name", nameless, []string{"ci"}, Refused},
		{"a common name beside others", named, []string{"ci"}, Refused},
		{"another name", named, []string{"example", "*.example", "sub.ci.example", "CI@example.org", "spiffe://team/ns/ci"}, Refused},
		{"a DNS name as an email address", disguised, []string{"ci.example"}, Refused},
		{"a DNS name as a URI", disguised, []string{"other.example"}, Refused},
		{"an email address as a URI", disguised, []string{"ci@example.org"}, Refused},
	} {
		method, err := NewClientCertificate(authorities(t, "ca.crt", root.pem()), c.names)
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{Credentials: Credentials{Certificates: []*x509.Certificate{c.certificate.Certificate}}, Now: now}
		if got := method.Admit(t.Context(), r); got.Verdict != c.want {
			t.Errorf("%s: %v, want %v", c.name, got.Verdict, c.want)
		}
	}
	if _, err := NewClientCertificate(nil, []string{"ci", ""}); err == nil || !strings.HasPrefix(err.Error(), "clientCertificate.names: ") {
		t.Errorf("an empty name: %v", err)
	}
}

// TestAnAuthorityIsHeldToItsNames has an authority that may certify one team's names certify another's.
func TestAnAuthorityIsHeldToItsNames(t *testing.T) {
	const foreign = "payments.team-a.example"
	var none *holder
	root := none.issue(t, authority("root"))
	bound := authority("team-b")
	bound.PermittedDNSDomainsCritical, bound.PermittedDNSDomains = true, []string{"team-b.example"}
	below := root.issue(t, bound)
	for _, c := range []struct {
		name, asked string
		change      func(*x509.Certificate)
		want        Verdict
	}{
		{"its own DNS name", "ci.team-b.example", func(c *x509.Certificate) { c.DNSNames = []string{"ci.team-b.example"} }, Admitted},
		{"another's as a DNS name", foreign, func(c *x509.Certificate) { c.DNSNames = []string{foreign} }, Refused},
		{"another's as the common name", foreign, func(c *x509.Certificate) { c.Subject.CommonName = foreign }, Refused},
		{"another's as a URI", foreign, func(c *x509.Certificate) { c.URIs = []*url.URL{{Path: foreign}} }, Refused},
	} {
		method, err := NewClientCertificate(authorities(t, "ca.crt", root.pem()), []string{c.asked})
		if err != nil {
			t.Fatal(err)
		}
		leaf := below.issue(t, client(c.change))
		r := &Request{Credentials: Credentials{Certificates: []*x509.Certificate{leaf.Certificate, below.Certificate}}, Now: now}
		if got := method.Admit(t.Context(), r); got.Verdict != c.want {
			t.Errorf("%s: %v, want %v", c.name, got.Verdict, c.want)
		}
	}
}

func TestACertificateWhereTheAuthorityIsMissing(t *testing.T) {
	var none *holder
	shown := &Request{Now: now}
	shown.Certificates = []*x509.Certificate{none.issue(t, client(nil)).Certificate}
	missing, err := NewClientCertificate(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		method *ClientCertificate
		r      *Request
		want   Verdict
	}{
		{"a certificate", missing, shown, Unavailable},
		{"none", missing, &Request{Now: now}, Refused},
		{"a certificate where nobody is admitted", &ClientCertificate{}, shown, Refused},
	} {
		if got := c.method.Admit(t.Context(), c.r); got != (Result{Verdict: c.want}) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWhichBundlesAreRefused(t *testing.T) {
	var none *holder
	root := none.issue(t, authority("root"))
	der, err := x509.MarshalECPrivateKey(root.key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	for name, bundle := range map[string]string{
		"nothing":                         "",
		"no PEM":                          "ca",
		"a private key":                   root.pem() + private,
		"a client's certificate":          root.pem() + root.issue(t, client(nil)).pem(),
		"PEM that is broken":              root.pem() + strings.Replace(root.pem(), "\n", "\n*", 1),
		"PEM that is broken at the start": strings.Replace(root.pem(), "\n", "\n*", 1) + root.pem(),
		"a certificate that is broken":    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw[1:]})),
		"too many":                        strings.Repeat(root.pem(), maxAuthorities+1),
	} {
		_, err := ReadAuthorities(Key{Secret: "ca", Name: "ca.crt"}, []byte(bundle))
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
