package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// authority certifies servers and clients.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(name string) *authority {
	GinkgoHelper()
	a := &authority{key: newKey("key of authority " + name)}
	plan := planCertificate(name)
	plan.IsCA, plan.KeyUsage = true, x509.KeyUsageCertSign
	a.certificate = a.issue(plan, plan, a.key)
	return a
}

func planCertificate(name string) *x509.Certificate {
	GinkgoHelper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	Expect(err).NotTo(HaveOccurred())
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

func (a *authority) issue(plan, issuer *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	GinkgoHelper()
	der, err := x509.CreateCertificate(rand.Reader, plan, issuer, key.Public(), a.key)
	Expect(err).NotTo(HaveOccurred())
	certificate, err := x509.ParseCertificate(der)
	Expect(err).NotTo(HaveOccurred())
	return certificate
}

// pem returns the authority's certificate.
func (a *authority) pem() string { return string(encodeCertificate(a.certificate)) }

func encodeCertificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// certify returns a certificate with a name, or for this machine, for a server or a client.
func (a *authority) certify(name string, usage x509.ExtKeyUsage) *tls.Certificate {
	GinkgoHelper()
	plan := planCertificate(name)
	plan.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	plan.DNSNames, plan.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
	key := newKey("key of " + name)
	certificate := a.issue(plan, a.certificate, key)
	return &tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
}

// install writes a server's certificate as a mounted Secret has it.
func install(directory string, c *tls.Certificate) {
	GinkgoHelper()
	for name, content := range map[string][]byte{
		"tls.crt": encodeCertificate(c.Leaf), "tls.key": encodeKey("key of the server", c.PrivateKey.(*ecdsa.PrivateKey)),
	} {
		file := filepath.Join(directory, name)
		Expect(os.WriteFile(file+".new", content, 0o600)).To(Succeed())
		Expect(os.Rename(file+".new", file)).To(Succeed())
	}
}

// client returns a client that trusts the authority, and shows a certificate; nil is none.
func (a *authority) client(shown *tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	config := &tls.Config{RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if shown == nil {
			return &tls.Certificate{}, nil
		}
		return shown, nil // whichever authorities the server asks for
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
}

var _ = Describe("Over TLS", Ordered, func() {
	var (
		directory string // of the server's certificate
		site      *authority
		home      string
	)

	BeforeAll(func(ctx context.Context) {
		home = makeNamespace(ctx)
		directory, site = GinkgoT().TempDir(), newAuthority("site")
		install(directory, site.certify("first", x509.ExtKeyUsageServerAuth))
		hookstorm.Stop()
		hookstorm.Start(ctx, "--webhook-tls-cert-dir="+directory)
		DeferCleanup(hookstorm.Stop) // the next spec starts it as it was
	})

	// ask posts to a path, and returns the answer with what the connection was.
	ask := func(ctx context.Context, c *http.Client, path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+hookstorm.address+path, strings.NewReader(`{}`))
		if err != nil {
			return nil, err
		}
		response, err := c.Do(r)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body) // or the connection is not kept
		return response, err
	}
	ExpectStatusCode := func(ctx context.Context, c *http.Client, path string, status int) *http.Response {
		GinkgoHelper()
		var last *http.Response
		Eventually(ctx, func() (int, error) {
			var err error
			if last, err = ask(ctx, c, path); err != nil {
				return 0, err
			}
			return last.StatusCode, nil
		}).Should(Equal(status))
		return last
	}

	It("a Webhook admits clients that its authority certified, with one of its names", func(ctx context.Context) {
		clients, others := newAuthority("clients"), newAuthority("others")
		Apply(ctx, home, labelledSecret("authorities", v1alpha1.AuthCA, clients.pem()),
			webhook("hook", "url: "+home+", auth: [{clientCertificate: {secretRef: {name: authorities}, names: [ci.example.org]}}]"))
		ExpectReady(ctx, webhookNamed(home, "hook"))
		known := site.client(clients.certify("ci.example.org", x509.ExtKeyUsageClientAuth))
		accepted := ExpectStatusCode(ctx, known, short(home), http.StatusAccepted)
		Expect(accepted.TLS.NegotiatedProtocol).To(Equal("http/1.1"))
		ExpectRecord(ctx, home, accepted.Header.Get("X-Delivery-Id"))

		for _, shown := range []*tls.Certificate{
			nil,
			clients.certify("other.example.org", x509.ExtKeyUsageClientAuth),
			clients.certify("ci.example.org", x509.ExtKeyUsageServerAuth),
			others.certify("ci.example.org", x509.ExtKeyUsageClientAuth),
		} {
			ExpectStatusCode(ctx, site.client(shown), short(home), http.StatusUnauthorized)
			ExpectStatusCode(ctx, site.client(shown), short("nobody-has-this"), http.StatusUnauthorized)
		}
		ExpectStatus(ctx, home, "hook", func(g Gomega, status v1alpha1.WebhookStatus) {
			g.Expect(status.Authentication).To(Equal("clientCertificate"))
			g.Expect(status.Keys).To(HaveKey("authorities/key"))
		})

		Apply(ctx, home, labelledSecret("authorities", v1alpha1.AuthCA, others.pem()))
		ExpectStatusCode(ctx, known, short(home), http.StatusUnauthorized)
		Delete(ctx, home, "secret/authorities")
		ExpectStatusCode(ctx, known, short(home), http.StatusServiceUnavailable)
		ExpectStatusCode(ctx, site.client(nil), short(home), http.StatusUnauthorized)
	})

	It("new connections see a new certificate, and old ones stay", func(ctx context.Context) {
		Apply(ctx, home, webhook("open", "url: "+home+"/open, auth: [{anonymous: {}}]"))
		ExpectReady(ctx, webhookNamed(home, "open"))
		path := short(home + "/open")
		kept := site.client(nil)
		served := func(c *http.Client) string {
			GinkgoHelper()
			return ExpectStatusCode(ctx, c, path, http.StatusAccepted).TLS.PeerCertificates[0].Subject.CommonName
		}
		Expect(served(kept)).To(Equal("first"))
		install(directory, site.certify("second", x509.ExtKeyUsageServerAuth))
		Eventually(ctx, func() string { return served(site.client(nil)) }).Should(Equal("second"))
		Expect(served(kept)).To(Equal("first"))
	})

	It("nothing is answered in the clear, nor redirected", func(ctx context.Context) {
		response, err := http.Get("http://" + hookstorm.address + short(home+"/open"))
		if err != nil {
			return // the connection was reset before the answer came
		}
		defer response.Body.Close()
		Expect(response.StatusCode).To(Equal(http.StatusBadRequest))
		Expect(response.Header).NotTo(HaveKey("Location"))
	})

	It("a HookStorm without a certificate does not start", func(ctx context.Context) {
		second := *hookstorm
		second.dataDir = filepath.Join(GinkgoT().TempDir(), "data")
		arguments := append(second.arguments(freeAddress(), freeAddress()), "--webhook-tls-cert-dir="+GinkgoT().TempDir())
		ExpectRefusesToStart(ctx, arguments, "--webhook-tls-cert-dir: reading tls.crt and tls.key")
	})
})
