package controllers_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/controllers"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// issuer is a KeySet whose keys can be had or not, as a spec wants it.
type issuer struct{ unreachable atomic.Bool }

func (i *issuer) Keys(context.Context) ([]jose.JSONWebKey, error)    { return nil, i.Problem() }
func (i *issuer) Renewed(context.Context) ([]jose.JSONWebKey, error) { return nil, i.Problem() }

func (i *issuer) Problem() error {
	if i.unreachable.Load() {
		return errors.New("asking https://issuer.example for its keys: connection refused")
	}
	return nil
}

// keys is the issuer of the specs, and cluster the one that reviews tokens.
var keys issuer

type reviewer struct{}

func (reviewer) MayPost(context.Context, netip.Addr, string, string, string, string) (bool, error) {
	return false, nil
}

// certificates has none: no request is verified here.
type certificates struct{}

func (certificates) Certificate(context.Context, netip.Addr, string) (*x509.Certificate, error) {
	return nil, errors.New("there is no certificate here")
}

func identity() controllers.Identity {
	return controllers.Identity{
		Reviewer:     func([]string) auth.Reviewer { return reviewer{} },
		Certificates: certificates{},
		KeySet:       func(string, string) (controllers.KeySet, error) { return &keys, nil },
	}
}

// aSecret builds a Secret of the spec's namespace for one use.
func aSecret(name, use string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LabelAuth: use}},
		StringData: data,
	}
}

// withAuth sets spec.auth from YAML.
func withAuth(text string) func(*v1alpha1.Webhook) {
	GinkgoHelper()
	return func(w *v1alpha1.Webhook) { Expect(yaml.UnmarshalStrict([]byte(text), &w.Spec.Auth)).To(Succeed()) }
}

const goodKey = "0123456789abcdef0123456789abcdef"

var _ = Describe("Who may post", func() {
	DescribeTable("is resolved, and what a reference lacks is told with the field and the fix",
		func(ctx context.Context, auth, reason string, message ...string) {
			ExpectCreated(ctx,
				aSecret("good", v1alpha1.AuthSignature, map[string]string{"a": goodKey, "b": goodKey}),
				aSecret("short", v1alpha1.AuthSignature, map[string]string{"a": goodKey, "b": "short"}),
				aSecret("empty", v1alpha1.AuthSignature, nil),
				aSecret("token", v1alpha1.AuthToken, map[string]string{"a": goodKey}),
				aSecret("login", v1alpha1.AuthBasic, map[string]string{"username": "u", "password": "p"}),
				aSecret("nologin", v1alpha1.AuthBasic, map[string]string{"username": "u"}),
				aSecret("nokeys", v1alpha1.AuthJWT, map[string]string{"a": "{}"}),
				aSecret("noca", v1alpha1.AuthCA, map[string]string{"a": "CANARY"}),
			)
			w := aWebhook("hook", "a/b", withAuth(auth))
			ExpectCreated(ctx, w)
			if reason == "" {
				ExpectCondition(ctx, w, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
				return
			}
			ExpectCondition(ctx, w, v1alpha1.ConditionReady, metav1.ConditionFalse, reason, strings.Join(message, ""))
			ExpectCondition(ctx, w, v1alpha1.ConditionReady, metav1.ConditionFalse, reason, "spec.auth[0].")
		},
		Entry("signing keys", "[{signature: {scheme: GitHub, secretRef: {name: good}}}]", ""),
		Entry("a login", "[{basic: {secretRef: {name: login}}}]", ""),
		Entry("accounts of the cluster", "[{kubernetes: {}}]", ""),
		Entry("a Secret that is missing", "[{signature: {scheme: GitHub, secretRef: {name: none}}}]", v1alpha1.ReasonSecretNotFound,
			`signature.secretRef: this namespace has no Secret "none" with the label hookstorm.dev/auth: signature; create or label it`),
		Entry("a Secret for another use", "[{signature: {scheme: GitHub, secretRef: {name: token}}}]", v1alpha1.ReasonSecretNotFound,
			`has no Secret "token" with the label hookstorm.dev/auth: signature`),
		Entry("a Secret without a key", "[{signature: {scheme: GitHub, secretRef: {name: empty}}}]", v1alpha1.ReasonSecretInvalid,
			`Secret "empty" is empty; add a key`),
		Entry("a short key beside a good one", "[{signature: {scheme: GitHub, secretRef: {name: short}}}]", v1alpha1.ReasonSecretInvalid,
			`key "b" of Secret "short": is shorter than the 16 bytes`),
		Entry("a login without a password", "[{basic: {secretRef: {name: nologin}}}]", v1alpha1.ReasonSecretInvalid,
			`basic.secretRef: key "password" of Secret "nologin" is missing or empty`),
		Entry("no key set", "[{jwt: {issuer: i, audiences: [a], secretRef: {name: nokeys}}}]", v1alpha1.ReasonSecretInvalid, `key "a" of Secret "nokeys"`),
		Entry("no certificate", "[{clientCertificate: {secretRef: {name: noca}}}]", v1alpha1.ReasonSecretInvalid, `key "a" of Secret "noca"`),
		Entry("a claim that cannot be read", "[{jwt: {issuer: 'https://i', audiences: [a], requiredClaims: [sub == 'x']}}]", v1alpha1.ReasonInvalid,
			"jwt.requiredClaims[0]: 1:1: there is no variable sub; there is only claims: write claims.sub"),
		Entry("a header with another meaning",
			"[{signature: {scheme: Custom, secretRef: {name: good}, custom: {header: Content-Type}}}]", v1alpha1.ReasonInvalid,
			"signature.custom.header: Content-Type has another meaning"),
	)

	It("admits with what is left where one key is bad, and never with a bad one", func(ctx context.Context) {
		ExpectCreated(ctx, aSecret("short", v1alpha1.AuthSignature, map[string]string{"a": goodKey, "b": "short"}))
		w := aWebhook("hook", "kept/open", withAuth("[{signature: {scheme: GitHub, secretRef: {name: short}}}]"))
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, v1alpha1.ConditionProgrammed, metav1.ConditionTrue, v1alpha1.ReasonProgrammed, "")
		ExpectCondition(ctx, w, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid, `key "b"`)
	})

	It("ends with the keys that its Secret's annotation ends", func(ctx context.Context) {
		ending := aSecret("ending", v1alpha1.AuthSignature, map[string]string{"a": goodKey})
		ending.Annotations = map[string]string{v1alpha1.AnnotationExpiresAt: time.Now().Add(3 * time.Second).Format(time.RFC3339)}
		w := aWebhook("hook", "ending", withAuth("[{signature: {scheme: GitHub, secretRef: {name: ending}}}]"))
		ExpectCreated(ctx, ending, w)
		ExpectCondition(ctx, w, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
		ExpectCondition(ctx, w, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid,
			`spec.auth[0].signature.secretRef: Secret "ending" has ended, as its annotation hookstorm.dev/expires-at says`)
	})

	It("is told in an Event, once, and so is an issuer that cannot be reached", func(ctx context.Context) {
		keys.unreachable.Store(true)
		DeferCleanup(func() { keys.unreachable.Store(false) })
		w := aWebhook("hook", "jwt", withAuth("[{jwt: {issuer: 'https://issuer.example', audiences: [a]}}]"))
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonKeysUnreachable, "connection refused")
		var list eventsv1.EventList
		Eventually(func(g Gomega) {
			g.Expect(k8s.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
			g.Expect(list.Items).To(HaveLen(1))
		}).Should(Succeed())
		Expect(list.Items[0].Regarding.Name).To(Equal("hook"))
		Expect(list.Items[0].Reason).To(Equal(v1alpha1.ReasonKeysUnreachable))
		Expect(list.Items[0].Note).To(Equal("spec.auth[0].jwt: asking https://issuer.example for its keys: connection refused"))

		keys.unreachable.Store(false)
		programmer.Rebuild()
		ExpectCondition(ctx, w, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	})

	It("is listed for people", func(ctx context.Context) {
		ExpectCreated(ctx, aSecret("good", v1alpha1.AuthSignature, map[string]string{"a": goodKey}),
			aSecret("login", v1alpha1.AuthBasic, map[string]string{"password": "p"}))
		w := aWebhook("hook", "listed", withAuth(
			"[{signature: {scheme: GitHub, secretRef: {name: good}}}, {basic: {secretRef: {name: login}}}, {kubernetes: {}}]"))
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
		Expect(w.Status.Authentication).To(Equal("GitHub, basic, kubernetes"))
	})

	It("forgets when a key was used once the key is gone", func(ctx context.Context) {
		secret := aSecret("good", v1alpha1.AuthSignature, map[string]string{"old": goodKey, "new": goodKey})
		w := aWebhook("hook", "rotated", withAuth("[{signature: {scheme: GitHub, secretRef: {name: good}}}]"))
		ExpectCreated(ctx, secret, w)
		ExpectCondition(ctx, w, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
		used := fmt.Sprintf(`{"status": {"keys": {"good/old": %q, "good/new": %q}}}`, "2026-11-25T07:00:00Z", "2026-11-25T08:00:00Z")
		Expect(k8s.Status().Patch(ctx, w, client.RawPatch("application/merge-patch+json", []byte(used)))).To(Succeed())
		Expect(k8s.Patch(ctx, secret, client.RawPatch("application/merge-patch+json", []byte(`{"data": {"old": null}}`)))).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(w), w)).To(Succeed())
			g.Expect(w.Status.Keys).To(HaveLen(1))
			g.Expect(w.Status.Keys).To(HaveKey("good/new"))
		}).Should(Succeed())
	})

	DescribeTable("what makes requests the same must be there", func(ctx context.Context, spec, message string) {
		w := aWebhook("hook", "same", func(w *v1alpha1.Webhook) {
			Expect(yaml.UnmarshalStrict([]byte(spec), &w.Spec)).To(Succeed())
		})
		ExpectCreated(ctx, w)
		ExpectCondition(ctx, w, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalid, message)
	},
		Entry("a signature", "deduplicate: {by: SignedContent}", "spec.deduplicate.by: SignedContent needs an entry signature in spec.auth"),
		Entry("another header than the signature's", "deduplicate: {by: Header, header: X-Hub-Signature-256}", "spec.deduplicate.header: X-Hub-Signature-256 holds a credential or a signature"),
		Entry("than the one that Grafana is told", "{auth: [{signature: {scheme: Grafana, header: X-Signed, secretRef: {name: s}}}], deduplicate: {by: Header, header: x-signed}}",
			"spec.deduplicate.header: x-signed holds the signature"),
		Entry("than the one of a described scheme", "{auth: [{signature: {scheme: Custom, custom: {header: X-Signed}, secretRef: {name: s}}}], deduplicate: {by: Header, header: x-signed}}",
			"spec.deduplicate.header: x-signed holds the signature"),
		Entry("an expression", "deduplicate: {by: Expression, expression: body.id}", "there is no variable body"),
	)
})
