package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/hookstorm/hookstorm/internal/outbound"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// start is when the tests are. Certificates are verified by the real clock as well, so it is about now.
var start = time.Now().Truncate(time.Second)

// clock is a clock that a test moves.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time { return start.Add(time.Duration(c.passed.Load())) }

func (c *clock) pass(d time.Duration) { c.passed.Add(int64(d)) }

// holder is a certificate with its private key.
type holder struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// issue has a holder certify another one; nil certifies itself.
func (h *holder) issue(template x509.Certificate) *holder {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = start.Add(-time.Hour), start.Add(48*time.Hour)
	}
	parent, signer := &template, key
	if h != nil {
		parent, signer = h.Certificate, h.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
	if err != nil {
		panic(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &holder{made, key}
}

func authority(name string) x509.Certificate {
	return x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

func (h *holder) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Raw})
}

// web is the authority that certifies the test servers; TestMain makes it the system's only root.
var web *holder

func TestMain(m *testing.M) { os.Exit(trusting(m)) }

func trusting(m *testing.M) int {
	var none *holder
	web = none.issue(authority("web"))
	dir, err := os.MkdirTemp("", "identity")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, web.pem(), 0o600); err != nil {
		panic(err)
	}
	if err := os.Setenv("SSL_CERT_FILE", roots); err != nil {
		panic(err)
	}
	return m.Run()
}

// serve starts an https server whose certificate is trusted.
func serve(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	certificate := web.issue(x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: certificate.key}},
		MinVersion:   tls.VersionTLS12,
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// open is a client that reaches the test servers.
func open(t *testing.T) *outbound.Client {
	t.Helper()
	client := outbound.New(outbound.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(client.Close)
	return client
}

// issuer publishes keys, and counts how often it is asked.
type issuer struct {
	*httptest.Server
	asked atomic.Int64

	mu     sync.Mutex
	answer http.HandlerFunc
}

func newIssuer(t *testing.T, keys ...signer) *issuer {
	t.Helper()
	i := &issuer{}
	i.publish(keys...)
	i.Server = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		i.mu.Lock()
		answer := i.answer
		i.mu.Unlock()
		answer(w, r)
	}))
	return i
}

// respond sets what the issuer answers.
func (i *issuer) respond(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

// publish has the issuer answer with keys.
func (i *issuer) publish(keys ...signer) {
	document := keySet(keys...)
	i.respond(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
}

// fail has the issuer answer with a status.
func (i *issuer) fail(status int) {
	i.respond(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// signer signs tokens with a key.
type signer struct {
	key crypto.Signer
	id  string
}

func newSigner(id string) signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return signer{key, id}
}

// token is one that admits an hour around the time.
func (s signer) token(now time.Time) string {
	claims, err := json.Marshal(map[string]any{"iss": "https://ci.example", "aud": "hooks", "exp": now.Add(time.Hour).Unix()})
	if err != nil {
		panic(err)
	}
	return oidctest.SignIDToken(s.key, s.id, "ES256", string(claims))
}

func keySet(signers ...signer) []byte {
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.key.Public(), KeyID: s.id, Algorithm: "ES256", Use: "sig"})
	}
	document, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return document
}

// journal keeps what is logged.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) logger() logr.Logger {
	return funcr.New(func(_, line string) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.lines = append(j.lines, line)
	}, funcr.Options{})
}

func (j *journal) read() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// logged reports whether a line with a text was logged.
func (j *journal) logged(text string) bool {
	return slices.ContainsFunc(j.read(), func(line string) bool { return strings.Contains(line, text) })
}

// fixture is key sets with what they tell others.
type fixture struct {
	*KeySets
	clock
	journal
	changes atomic.Int64
}

func newFixture(client Client) *fixture {
	f := &fixture{}
	f.KeySets = NewKeySets(KeySetsOptions{
		Client: client, Parse: auth.ParseKeys, Changed: func() { f.changes.Add(1) }, Logger: f.logger(), Now: f.now,
	})
	return f
}

// at returns the key set at a url.
func (f *fixture) at(t *testing.T, url string) *KeySet {
	t.Helper()
	set, err := f.Of("", url)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// admit is what a webhook that trusts a key set makes of a token.
func (f *fixture) admit(t *testing.T, set *KeySet, token string) auth.Verdict {
	t.Helper()
	method, err := auth.NewJWT(auth.JWTOptions{
		Issuer: "https://ci.example", Audiences: []string{"hooks"}, Keys: []auth.IssuerKeys{{KeySet: set}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return method.Admit(t.Context(), &auth.Request{Credentials: auth.Credentials{Bearer: token}, Now: f.now()}).Verdict
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within %v", what, patience)
		case <-tick.C:
		}
	}
}
