package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// authorized returns the request with an Authorization header, and no token elsewhere.
func (r request) authorized(value string) request {
	return r.as("").with("Authorization", secret("Authorization", value))
}

// login is what Authorization: Basic has.
func login(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// issuer signs JSON Web Tokens.
type issuer struct {
	key    *ecdsa.PrivateKey
	signer jose.Signer
}

func newIssuer() *issuer {
	GinkgoHelper()
	key := newKey("key of an issuer")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	Expect(err).NotTo(HaveOccurred())
	return &issuer{key, signer}
}

// newKey makes a private key.
func newKey(what string) *ecdsa.PrivateKey {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	encodeKey(what, key)
	return key
}

// encodeKey returns a private key in PEM.
func encodeKey(what string, key *ecdsa.PrivateKey) []byte {
	GinkgoHelper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	Expect(err).NotTo(HaveOccurred())
	return secretKey(what, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// keys returns the issuer's key set.
func (i *issuer) keys() string {
	GinkgoHelper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "1", Use: "sig"}}})
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// token returns a token that ends in a minute, with claims beside or instead of the usual.
func (i *issuer) token(claims map[string]any) string {
	GinkgoHelper()
	all := map[string]any{"iss": "https://ci.example.org", "aud": "hooks", "sub": "ci", "exp": time.Now().Add(time.Minute).Unix()}
	maps.Copy(all, claims)
	token, err := jwt.Signed(i.signer).Claims(all).Serialize()
	Expect(err).NotTo(HaveOccurred())
	return secretJWT("JSON Web Token", token)
}

var _ = Describe("A Webhook admits", func() {
	var hook request

	BeforeEach(func() { hook = post(short(namespace), `{"a": 1}`).as("") })

	// admitting applies the Webhook with entries of spec.auth, and more manifests, and waits until it is ready.
	admitting := func(ctx context.Context, entries string, manifests ...string) {
		GinkgoHelper()
		Apply(ctx, namespace, append(manifests, webhook("hook", "url: "+namespace+", auth: ["+entries+"]"))...)
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
	}

	It("a username with its password", func(ctx context.Context) {
		password := canary("password")
		admitting(ctx, "{basic: {secretRef: {name: login}}}", basicSecret("login", "ci", password))
		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, hook.authorized(login("ci", password))))
		Expect(payload(record).Headers).NotTo(HaveKey("Authorization"))
		ExpectAsUnknown(ctx, hook)
		ExpectAsUnknown(ctx, hook.authorized(login("ci", canary("wrong password"))))
		ExpectAsUnknown(ctx, hook.authorized(login("root", password)))
		ExpectAsUnknown(ctx, hook.as(password))
		ExpectStatus(ctx, namespace, "hook", func(g Gomega, status v1alpha1.WebhookStatus) {
			g.Expect(status.Authentication).To(Equal("basic"))
			g.Expect(status.Keys).To(HaveKey("login/password"))
		})

		Delete(ctx, namespace, "secret/login")
		ExpectSoon(ctx, hook.authorized(login("ci", password)), http.StatusServiceUnavailable)
		ExpectAsUnknown(ctx, hook)
		renewed := canary("new password")
		Apply(ctx, namespace, basicSecret("login", "ci", renewed))
		ExpectSoon(ctx, hook.authorized(login("ci", renewed)), http.StatusAccepted)
		ExpectAsUnknown(ctx, hook.authorized(login("ci", password)))
	})

	It("a JSON Web Token of its issuer", func(ctx context.Context) {
		issuer, stranger := newIssuer(), newIssuer()
		admitting(ctx, `{jwt: {issuer: "https://ci.example.org", audiences: [hooks], secretRef: {name: keys}, requiredClaims: ["claims.sub == 'ci'"]}}`,
			labelledSecret("keys", v1alpha1.AuthJWT, issuer.keys()))
		bearer := func(token string) request { return hook.authorized("Bearer " + token) }
		ExpectAccepted(ctx, bearer(issuer.token(nil)))
		ExpectAccepted(ctx, bearer(issuer.token(map[string]any{"aud": []string{"others", "hooks"}})))
		ExpectAsUnknown(ctx, hook)
		ExpectAsUnknown(ctx, bearer(stranger.token(nil)))
		for claim, value := range map[string]any{
			"iss": "https://example.org", "aud": "others", "sub": "root",
			"exp": time.Now().Add(-2 * time.Minute).Unix(), "nbf": time.Now().Add(2 * time.Minute).Unix(),
		} {
			ExpectAsUnknown(ctx, bearer(issuer.token(map[string]any{claim: value})))
		}
		ExpectStatus(ctx, namespace, "hook", func(g Gomega, status v1alpha1.WebhookStatus) {
			g.Expect(status.Authentication).To(Equal("jwt"))
			g.Expect(status.Keys).To(HaveKey("keys/key"))
		})

		Delete(ctx, namespace, "secret/keys")
		ExpectSoon(ctx, bearer(issuer.token(nil)), http.StatusServiceUnavailable)
		ExpectAsUnknown(ctx, bearer(issuer.token(map[string]any{"iss": "https://example.org"})))
		Apply(ctx, namespace, labelledSecret("keys", v1alpha1.AuthJWT, stranger.keys()))
		ExpectSoon(ctx, bearer(stranger.token(nil)), http.StatusAccepted)
		ExpectAsUnknown(ctx, bearer(issuer.token(nil)))
	})

	It("an account of the cluster that may post to it", func(ctx context.Context) {
		for _, name := range []string{"hook", "other"} {
			Apply(ctx, namespace, webhook(name, "url: "+namespace+"/"+name+", auth: [{kubernetes: {}}]"))
		}
		ExpectReady(ctx, webhookNamed(namespace, "hook"), webhookNamed(namespace, "other"))
		hook.path = short(namespace + "/hook")
		other := hook
		other.path = short(namespace + "/other")

		sender := accountToken(ctx, namespace, "sender", "hookstorm")
		kubectl(ctx, "create", "rolebinding", "sender", "--namespace", namespace,
			"--clusterrole=hookstorm-sender", "--serviceaccount="+namespace+":sender")
		elsewhere := accountToken(ctx, namespace, "elsewhere", "hookstorm")
		kubectl(ctx, "create", "role", "elsewhere", "--namespace", namespace, "--verb=create",
			"--resource=webhooks.hookstorm.dev/deliveries", "--resource-name=other")
		kubectl(ctx, "create", "rolebinding", "elsewhere", "--namespace", namespace,
			"--role=elsewhere", "--serviceaccount="+namespace+":elsewhere")
		nobody := accountToken(ctx, namespace, "nobody", "hookstorm")
		general := secretJWT("token for another audience", kubectl(ctx, "create", "token", "sender", "--namespace", namespace))

		ExpectAnswer(ctx, hook.authorized("Bearer "+sender), http.StatusAccepted)
		ExpectAnswer(ctx, other.authorized("Bearer "+elsewhere), http.StatusAccepted)
		for _, token := range []string{elsewhere, nobody, general, sender[:len(sender)-4] + "AAAA"} {
			ExpectAsUnknown(ctx, hook.authorized("Bearer "+token))
		}
		ExpectAsUnknown(ctx, hook)
		ExpectRefused(ctx, hook.as(systemToken), http.StatusUnauthorized)
		ExpectStatus(ctx, namespace, "hook", func(g Gomega, status v1alpha1.WebhookStatus) {
			g.Expect(status.Authentication).To(Equal("kubernetes"))
		})

		kubectl(ctx, "delete", "serviceaccount", "sender", "--namespace", namespace)
		ExpectAnswer(ctx, hook.authorized("Bearer "+sender), http.StatusUnauthorized)
	})

	It("anybody, if it says so", func(ctx context.Context) {
		admitting(ctx, "{anonymous: {}}")
		ExpectAccepted(ctx, hook)
		curious := hook.authorized("Bearer "+canary("token")).with("Cookie", "a="+canary("cookie"))
		record := ExpectRecord(ctx, namespace, ExpectAccepted(ctx, curious))
		Expect(payload(record).Headers).NotTo(Or(HaveKey("Authorization"), HaveKey("Cookie")))
		ExpectStatus(ctx, namespace, "hook", func(g Gomega, status v1alpha1.WebhookStatus) {
			g.Expect(status.Authentication).To(Equal("anonymous"))
		})
	})

	It("whom any of its entries admits, whatever the others lack", func(ctx context.Context) {
		key, token := canary("key"), canary("token")
		Apply(ctx, namespace, signingSecret("keys", key), tokenSecret("tokens", "token: "+token, ""),
			webhook("hook", "url: "+namespace+", auth: [{basic: {secretRef: {name: missing}}}, "+
				github.auth("keys")+", {tokens: {secretRef: {name: tokens}}}]"))
		ExpectCondition(ctx, webhookNamed(namespace, "hook"), v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse,
			v1alpha1.ReasonSecretNotFound, "spec.auth[0].basic.secretRef")
		signed, forged := github.post(key, hook.path, hook.body), github.post(canary("wrong key"), hook.path, hook.body)
		ExpectAccepted(ctx, signed)
		ExpectAccepted(ctx, hook.as(token))
		ExpectAccepted(ctx, signed.as(canary("wrong token")))
		ExpectAccepted(ctx, forged.as(token))
		ExpectRefused(ctx, hook.authorized(login("ci", canary("password"))), http.StatusServiceUnavailable)
		ExpectAsUnknown(ctx, forged.as(canary("wrong token")))
		ExpectAsUnknown(ctx, hook)
		ExpectStatus(ctx, namespace, "hook", func(g Gomega, status v1alpha1.WebhookStatus) {
			g.Expect(status.Authentication).To(And(ContainSubstring("basic"), ContainSubstring("GitHub"), ContainSubstring("tokens")))
		})
	})

	It("the token of config/local, which is for all webhooks", func(ctx context.Context) {
		admitting(ctx, "{tokens: {}}")
		ExpectAccepted(ctx, hook.as("matoken"))
	})
})
