package controllers

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// Identity is what ways to be admitted ask for while a request waits.
type Identity struct {
	// Reviewer returns what asks the cluster whose a token is, where webhooks ask for these audiences.
	Reviewer func(audiences []string) auth.Reviewer
	// Certificates are those of Amazon SNS.
	Certificates auth.Certificates
	// KeySet returns the keys of an issuer: at a url, or where its discovery document says if that is "". An error says what
	// is wrong with the url, by its field.
	KeySet func(issuer, url string) (KeySet, error)
}

// KeySet is the keys of an issuer that is asked for them.
type KeySet interface {
	auth.KeySet
	// Problem says why there are no keys; nil where there are some, or it is not known yet.
	Problem() error
}

// authenticate resolves spec.auth. An error says what is wrong with the spec; what is wrong with what it refers to is noted.
func (r *resolver) authenticate(h *hook, parts *webhookParts) error {
	var errs []error
	for i, entry := range h.spec.Authentication() {
		a := &authEntry{resolver: r, hook: h, field: fmt.Sprintf("spec.auth[%d]", i)}
		var err error
		if entry.JWT != nil {
			a.conditions, err = parts.conditions(i)
		}
		if err == nil {
			err = a.resolve(&entry)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s.%w", a.field, err))
		}
	}
	return errors.Join(append(errs, h.checkKeys())...)
}

// checkKeys refuses more keys of one scheme than are tried for a request.
func (h *hook) checkKeys() error {
	counts := map[string]int{}
	for _, signature := range h.signatures {
		counts[signature.Scheme()] += signature.Keys()
	}
	for _, scheme := range slices.Sorted(maps.Keys(counts)) {
		if counts[scheme] > auth.MaxSigningKeys {
			return fmt.Errorf("spec.auth: the Secrets of scheme %s hold %d keys; leave at most %d, since each is tried",
				scheme, counts[scheme], auth.MaxSigningKeys)
		}
	}
	return nil
}

// audiences returns the audiences that the webhooks of a list ask the cluster's tokens to have.
func audiences(webhooks []v1alpha1.Webhook) []string {
	var all []string
	for i := range webhooks {
		for _, entry := range webhooks[i].Spec.Auth {
			if entry.Kubernetes != nil {
				all = append(all, cmp.Or(entry.Kubernetes.Audience, auth.DefaultAudience))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// authEntry is an entry of spec.auth that is being resolved.
type authEntry struct {
	*resolver
	*hook
	field      string
	conditions []auth.Condition // of a jwt
}

// resolve adds the entry to its hook. An error begins with the field, below that of the entry.
func (a *authEntry) resolve(entry *v1alpha1.WebhookAuth) error {
	var method auth.Method
	var err error
	switch {
	case entry.Tokens != nil:
		method, err = a.tokens(entry.Tokens)
	case entry.Signature != nil:
		return a.signature(entry.Signature)
	case entry.Basic != nil:
		method = a.basic(entry.Basic)
	case entry.JWT != nil:
		method, err = a.jwt(entry.JWT)
	case entry.Kubernetes != nil:
		method, err = auth.NewKubernetes(a.reviewer, entry.Kubernetes.Audience)
	case entry.ClientCertificate != nil:
		method, err = a.clientCertificate(entry.ClientCertificate)
	case entry.Anonymous != nil:
		method = auth.Anonymous{}
	default:
		return errors.New("tokens: neither this nor another way to be admitted is set; set one")
	}
	if err != nil {
		return err
	}
	a.methods = append(a.methods, method)
	return nil
}

// secret returns the Secret of the hook's namespace that a field of the entry names, for one use. What is wrong is noted, and
// then there is none.
func (a *authEntry) secret(field, use, name string) *corev1.Secret {
	secret := a.secrets.of(use, a.key.Namespace)[name]
	switch {
	case secret == nil:
		a.unresolved(v1alpha1.ReasonSecretNotFound, "%s.%s: this namespace has no Secret %q with the label %s: %s; create or label it",
			a.field, field, name, v1alpha1.LabelAuth, use)
	case use != v1alpha1.AuthToken && a.expired(secret): // of a token it is known when it is used
		a.unresolved(v1alpha1.ReasonSecretInvalid, "%s.%s: Secret %q has ended, as its annotation %s says; replace its keys and the annotation",
			a.field, field, name, v1alpha1.AnnotationExpiresAt)
		return nil
	}
	return secret
}

// usable calls use for each key of a Secret that a field names, and notes what is wrong with those for which it fails, or that
// there are none.
func (a *authEntry) usable(field, purpose, name string, use func(key auth.Key, value []byte) error) {
	secret := a.secret(field, purpose, name)
	if secret == nil {
		return
	}
	if len(secret.Data) == 0 {
		a.unresolved(v1alpha1.ReasonSecretInvalid, "%s.%s: Secret %q is empty; add a key", a.field, field, name)
	}
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		if err := use(a.keyOf(secret, key), secret.Data[key]); err != nil {
			a.unresolved(v1alpha1.ReasonSecretInvalid, "%s.%s: key %q of Secret %q: %v", a.field, field, key, name, err)
		}
	}
}

// keyOf names a key of a Secret, which status then may say was used.
func (a *authEntry) keyOf(secret *corev1.Secret, name string) auth.Key {
	key := auth.Key{Namespace: secret.Namespace, Secret: secret.Name, Name: name}
	a.keys = append(a.keys, keyName(key))
	return key
}

// tokens resolves an entry tokens.
func (a *authEntry) tokens(t *v1alpha1.TokenAuth) (auth.Method, error) {
	switch {
	case t.SecretRef != nil:
		return a.tokensOf(t.SecretRef.Name), nil
	case t.SecretSelector != nil:
		return a.tokensSelected(t.SecretSelector)
	}
	own := a.secrets.of(v1alpha1.AuthToken, a.key.Namespace)
	if len(own) == 0 && len(a.secrets.of(v1alpha1.AuthToken, a.system)) == 0 {
		a.unresolved(v1alpha1.ReasonSecretNotFound, "%s.tokens: neither this namespace nor %s has a Secret labelled %s: %s; create one",
			a.field, a.system, v1alpha1.LabelAuth, v1alpha1.AuthToken)
	}
	for _, secret := range own {
		a.noteKeys(secret)
	}
	return &auth.Tokens{}, nil
}

// tokensOf admits the tokens of one Secret.
func (a *authEntry) tokensOf(name string) auth.Method {
	secret := a.secret("tokens.secretRef", v1alpha1.AuthToken, name)
	switch {
	case secret == nil:
	case len(tokensOf(secret)) == 0:
		a.unresolved(v1alpha1.ReasonSecretInvalid, "%s.tokens.secretRef: Secret %q holds no token; add a key whose value is the token", a.field, name)
	default:
		a.noteKeys(secret)
		return &auth.Tokens{Secrets: map[string]bool{name: true}}
	}
	return &auth.Tokens{Secrets: map[string]bool{}, Unavailable: true}
}

// tokensSelected admits the tokens of the Secrets that a selector selects.
func (a *authEntry) tokensSelected(selector *metav1.LabelSelector) (auth.Method, error) {
	selects, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("tokens.secretSelector: %w", err)
	}
	selected := map[string]bool{}
	for name, secret := range a.secrets.of(v1alpha1.AuthToken, a.key.Namespace) {
		if selects.Matches(labels.Set(secret.Labels)) {
			selected[name] = true
			a.noteKeys(secret)
		}
	}
	if len(selected) == 0 {
		a.unresolved(v1alpha1.ReasonSecretNotFound, "%s.tokens.secretSelector: selects no Secret of this namespace with the label %s: %s; create or label one",
			a.field, v1alpha1.LabelAuth, v1alpha1.AuthToken)
	}
	return &auth.Tokens{Secrets: selected}, nil
}

func (a *authEntry) noteKeys(secret *corev1.Secret) {
	for name := range secret.Data {
		a.keyOf(secret, name)
	}
}

// signature resolves an entry signature.
func (a *authEntry) signature(s *v1alpha1.SignatureAuth) error {
	o := auth.SignatureOptions{
		Scheme:          string(s.Scheme),
		Tolerance:       s.Tolerance.Or(0),
		Header:          s.Header,
		TimestampHeader: s.TimestampHeader,
		PublicURL:       s.PublicURL,
		Certificates:    a.identity.Certificates,
	}
	if o.PublicURL == "" {
		o.PublicURL = a.externalURL
	}
	if s.SNS != nil {
		o.Topics = s.SNS.TopicARNs
		a.handshakes.SNS = a.handshakes.SNS || s.SNS.Confirm
		a.bodies.PlainText = true // Amazon SNS says that its JSON is text/plain
	}
	if c := s.Custom; c != nil {
		o.Custom = &auth.CustomScheme{
			Header: c.Header, Algorithm: auth.Algorithm(c.Algorithm), Encoding: auth.Encoding(c.Encoding), Prefix: c.Prefix,
			Signed: c.Signed, IDHeader: c.IDHeader, TimestampHeader: c.TimestampHeader,
		}
	}
	if s.SecretRef != nil {
		a.usable("signature.secretRef", v1alpha1.AuthSignature, s.SecretRef.Name, func(key auth.Key, value []byte) error {
			o.Keys = append(o.Keys, auth.SigningKey{Key: key, Value: value})
			return auth.CheckKey(o.Scheme, value)
		})
	}
	signature, err := auth.NewSignature(o)
	if err != nil {
		return fmt.Errorf("signature.%w", err)
	}
	a.handshakes.Slack = a.handshakes.Slack || s.Scheme == v1alpha1.SchemeSlack
	a.signatures = append(a.signatures, signature)
	return nil
}

// basic resolves an entry basic.
func (a *authEntry) basic(b *v1alpha1.BasicAuth) auth.Method {
	secret := a.secret("basic.secretRef", v1alpha1.AuthBasic, b.SecretRef.Name)
	if secret == nil {
		return &auth.Basic{Unavailable: true}
	}
	key := a.keyOf(secret, corev1.BasicAuthPasswordKey)
	login, err := auth.NewLogin(key, tokenOf(secret.Data[corev1.BasicAuthUsernameKey]), tokenOf(secret.Data[corev1.BasicAuthPasswordKey]))
	if err != nil {
		a.unresolved(v1alpha1.ReasonSecretInvalid, "%s.%v", a.field, err)
		return &auth.Basic{Unavailable: true}
	}
	return &auth.Basic{Logins: []auth.Login{login}}
}

// jwt resolves an entry jwt.
func (a *authEntry) jwt(j *v1alpha1.JWTAuth) (auth.Method, error) {
	o := auth.JWTOptions{
		Issuer: j.Issuer, Audiences: j.Audiences, Conditions: a.conditions, ClockSkew: j.ClockSkew.Or(v1alpha1.DefaultClockSkew),
	}
	if j.SecretRef != nil {
		a.usable("jwt.secretRef", v1alpha1.AuthJWT, j.SecretRef.Name, func(key auth.Key, value []byte) error {
			keys, err := auth.ParseKeys(value)
			if err == nil {
				o.Keys = append(o.Keys, auth.IssuerKeys{Key: key, KeySet: auth.StaticKeys(keys)})
			}
			return err
		})
		return auth.NewJWT(o)
	}
	keys, err := a.identity.KeySet(j.Issuer, j.JWKSURL)
	if err != nil {
		return nil, err
	}
	if problem := keys.Problem(); problem != nil {
		a.unresolved(v1alpha1.ReasonKeysUnreachable, "%s.jwt: %v", a.field, problem)
		a.rebuildAt(a.now.Add(askAgain))
	}
	o.Keys = []auth.IssuerKeys{{KeySet: keys}}
	return auth.NewJWT(o)
}

// clientCertificate resolves an entry clientCertificate.
func (a *authEntry) clientCertificate(c *v1alpha1.ClientCertificateAuth) (auth.Method, error) {
	if !a.tls {
		a.unresolved(v1alpha1.ReasonTLSNotServed, "%s.clientCertificate: webhooks are served without TLS here, so that nobody can show a certificate; "+
			"set --webhook-tls-cert-dir, or choose another way to be admitted", a.field)
	}
	var authorities []auth.Authority
	a.usable("clientCertificate.secretRef", v1alpha1.AuthCA, c.SecretRef.Name, func(key auth.Key, value []byte) error {
		read, err := auth.ReadAuthorities(key, value)
		authorities = append(authorities, read...)
		return err
	})
	return auth.NewClientCertificate(authorities, c.Names)
}

// way names an entry of spec.auth for status.
func way(entry *v1alpha1.WebhookAuth) string {
	switch {
	case entry.Signature != nil:
		return string(entry.Signature.Scheme)
	case entry.Basic != nil:
		return "basic"
	case entry.JWT != nil:
		return "jwt"
	case entry.Kubernetes != nil:
		return "kubernetes"
	case entry.ClientCertificate != nil:
		return "clientCertificate"
	case entry.Anonymous != nil:
		return "anonymous"
	default:
		return "tokens"
	}
}
