package auth

import (
	"bytes"
	"context"
	"crypto/x509"
	"slices"
)

const (
	// maxAlike bounds the decoys for what one request names: key sets of an issuer, audiences, authorities. There is more than
	// one only while an issuer moves, or where tenants trust one in different ways.
	maxAlike = 4
	// maxNobody is the longest name of a webhook that a decoy asks for: longer than any url of one, which has 200 characters.
	maxNobody = 253
)

// Decoys do for a request what the webhooks' ways to be admitted would do, if the webhook that is asked for does not: what they
// do depends on the request alone, so that the time of an answer does not tell what the webhook has, or that there is none. They
// admit nobody. What costs nothing needs no decoy: whose a token is, is known before. Once everything is added they are
// immutable and safe for concurrent use.
type Decoys struct {
	basic       bool
	certificate bool
	authorities map[string][]Authority   // by subject
	issuers     map[string][]*IssuerKeys // by name
	cluster     *Kubernetes              // of any audience; nil: none is in use
	audiences   map[string]*Kubernetes
	signatureDecoys
}

// NewDecoys returns decoys of nothing.
func NewDecoys() *Decoys {
	return &Decoys{
		authorities:     map[string][]Authority{},
		issuers:         map[string][]*IssuerKeys{},
		audiences:       map[string]*Kubernetes{},
		signatureDecoys: newSignatureDecoys(),
	}
}

// Add adds the ways in of a webhook. Where there are more than decoys may be, those that are added first have them.
func (d *Decoys) Add(methods []Method, signatures []*Signature) {
	for _, method := range methods {
		switch method := method.(type) {
		case *Basic:
			d.basic = true
		case *JWT:
			d.addIssuer(method)
		case *Kubernetes:
			if d.cluster == nil {
				d.cluster = method
			}
			if d.audiences[method.audience] == nil {
				d.audiences[method.audience] = method
			}
		case *ClientCertificate:
			d.addAuthorities(method)
		}
	}
	d.addSignatures(signatures)
}

// addIssuer adds the issuer of a JWT even if nobody has its keys, so that there is a decoy for its tokens.
func (d *Decoys) addIssuer(j *JWT) {
	sets := d.issuers[j.o.Issuer]
	for i := range j.o.Keys {
		set := &j.o.Keys[i]
		if len(sets) < maxAlike && !slices.ContainsFunc(sets, set.same) {
			sets = append(sets, set)
		}
	}
	d.issuers[j.o.Issuer] = sets
}

func (d *Decoys) addAuthorities(c *ClientCertificate) {
	d.certificate = true
	for _, authority := range c.authorities {
		subject := string(authority.certificate.RawSubject)
		if alike := d.authorities[subject]; len(alike) < maxAlike && !holds(alike, authority) {
			d.authorities[subject] = append(alike, authority)
		}
	}
}

func holds(authorities []Authority, authority Authority) bool {
	return slices.ContainsFunc(authorities, func(a Authority) bool { return a.certificate.Equal(authority.certificate) })
}

// Admit asks a webhook's own methods, none where nobody owns the url. If they do not admit, it does what those of the other
// webhooks would: the result is Unavailable too if somebody could not be asked whom they would have asked.
func (d *Decoys) Admit(ctx context.Context, own []Method, r *Request) Result {
	result := Admit(ctx, own, r)
	if result.Verdict == Admitted {
		return result
	}
	if d.basic && r.Basic {
		r.login()
	}
	result.Verdict = max(result.Verdict, d.verifyToken(ctx, r))
	for _, method := range append(d.certificates(own, r), d.reviews(own, r)...) {
		if method.Admit(ctx, nobodys(r)).Verdict == Unavailable {
			result.Verdict = Unavailable
		}
	}
	return result
}

// certificates returns what verifies a client's certificates with the authorities that they name and a webhook's own methods do
// not have.
func (d *Decoys) certificates(own []Method, r *Request) []Method {
	if !d.certificate || len(r.Certificates) == 0 || len(r.Certificates) > maxChain {
		return nil
	}
	var tried []Authority
	for _, method := range own {
		if c, ok := method.(*ClientCertificate); ok {
			tried = append(tried, c.authorities...)
		}
	}
	rest := d.named(r.Certificates, tried)
	switch {
	case len(rest) > 0:
		decoy, _ := NewClientCertificate(rest, nil) // without names nothing can be wrong
		return []Method{decoy}
	case len(tried) > 0:
		return nil
	default:
		return []Method{&ClientCertificate{}} // to verify with no authority takes some time too
	}
}

// named returns the authorities that certificates say they are from, without those that have been tried.
func (d *Decoys) named(certificates []*x509.Certificate, tried []Authority) []Authority {
	var named []Authority
	for i, certificate := range certificates {
		again := func(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, certificate.RawIssuer) }
		if !slices.ContainsFunc(certificates[:i], again) {
			named = append(named, d.authorities[string(certificate.RawIssuer)]...)
		}
	}
	named = named[:min(len(named), maxAlike)]
	return slices.DeleteFunc(named, func(a Authority) bool { return holds(tried, a) })
}

// verifyToken verifies a signed token with the key sets of the issuer that it names, unless they have been tried, so that a key
// that nobody knows is asked for; and with a key of nobody where no set was tried.
func (d *Decoys) verifyToken(ctx context.Context, r *Request) Verdict {
	if len(d.issuers) == 0 || r.signedToken() == nil {
		return Refused
	}
	token, verdict := r.signedToken(), Refused
	for _, set := range d.issuers[token.claims.Issuer] {
		if _, err := token.signedBy(ctx, set); err != nil {
			verdict = Unavailable
		}
	}
	if len(token.tried) == 0 {
		verifyDecoy(token.JSONWebSignature)
	}
	return verdict
}

// reviews returns what asks the cluster about a signed token for the audiences that it names and a webhook's own methods do not
// ask for; and for any of those in use if none is asked for.
func (d *Decoys) reviews(own []Method, r *Request) []Method {
	if d.cluster == nil || r.signedToken() == nil {
		return nil
	}
	asked := map[string]bool{}
	for _, method := range own {
		if k, ok := method.(*Kubernetes); ok {
			asked[k.audience] = true
		}
	}
	var rest []Method
	for _, k := range d.namedAudiences(r.signedToken().claims.Audience) {
		if !asked[k.audience] {
			rest = append(rest, k)
		}
	}
	if len(asked) == 0 && len(rest) == 0 {
		rest = append(rest, d.cluster)
	}
	return rest
}

// namedAudiences returns the methods for the audiences in use that a token names, each once.
func (d *Decoys) namedAudiences(audiences []string) []*Kubernetes {
	var named []*Kubernetes
	for _, audience := range audiences {
		if k := d.audiences[audience]; k != nil && len(named) < maxAlike && !slices.Contains(named, k) {
			named = append(named, k)
		}
	}
	return named
}

// nobodys returns the request for a webhook whose name nobody can give, and that differs for each url as names do: what the
// cluster said is remembered for as long.
func nobodys(r *Request) *Request {
	nobody := *r
	nobody.Webhook = "~" + r.URL[:min(len(r.URL), maxNobody-1)]
	return &nobody
}
