package auth

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const (
	// maxAuthorities bounds the certificates in a key of a Secret.
	maxAuthorities = 100
	// maxChain bounds the certificates that a client shows, its own among them. Public authorities use two to four.
	maxChain = 8
)

// Authority is a certificate authority whose certificates admit.
type Authority struct {
	// Key is where its own certificate is from.
	Key
	certificate *x509.Certificate
}

// ReadAuthorities reads the certificates in PEM that a key of a Secret holds. Each must be an authority's: any other one in
// the bundle would admit whoever holds its key.
func ReadAuthorities(key Key, bundle []byte) ([]Authority, error) {
	var authorities []Authority
	begun := bytes.Count(bundle, []byte("-----BEGIN "))
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it has a block %q; leave only certificates of authorities there", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(authorities)+1, err)
		}
		if !certificate.IsCA {
			return nil, fmt.Errorf("certificate %d is no authority's (%q); put that of the authority there which signed it",
				len(authorities)+1, certificate.Subject)
		}
		authorities = append(authorities, Authority{Key: key, certificate: certificate})
	}
	switch {
	case len(authorities) < begun:
		return nil, errors.New("a block of it is broken; each has to be PEM as openssl writes it")
	case len(authorities) == 0:
		return nil, errors.New("it has no certificate in PEM; put that of the authority there")
	case len(authorities) > maxAuthorities:
		return nil, fmt.Errorf("it has %d certificates, and %d is the most", len(authorities), maxAuthorities)
	}
	return authorities, nil
}

// ClientCertificate admits whom an authority certified. The zero ClientCertificate admits nobody.
type ClientCertificate struct {
	names       []string
	authorities []Authority
	roots       *x509.CertPool
	unavailable bool
}

// NewClientCertificate returns the way in for certificates of authorities that have one of names: URIs, email addresses and DNS
// names; without names any certificate does. With no authority who shows a certificate is told to come again.
func NewClientCertificate(authorities []Authority, names []string) (*ClientCertificate, error) {
	if slices.Contains(names, "") {
		return nil, errors.New("clientCertificate.names: one is empty; write the name of a client, or leave the list out")
	}
	c := &ClientCertificate{names: names, authorities: authorities, roots: x509.NewCertPool(), unavailable: len(authorities) == 0}
	for _, authority := range authorities {
		c.roots.AddCert(authority.certificate)
	}
	return c, nil
}

// Admit implements Method. The TLS handshake has proven that the client holds the key of its first certificate.
func (c *ClientCertificate) Admit(_ context.Context, r *Request) Result {
	switch {
	case len(r.Certificates) == 0 || len(r.Certificates) > maxChain:
		return Result{}
	case c.unavailable:
		return Result{Verdict: Unavailable}
	}
	roots := c.roots
	if roots == nil {
		roots = x509.NewCertPool() // nil would be the system's
	}
	leaf, intermediates := r.Certificates[0], x509.NewCertPool()
	for _, certificate := range r.Certificates[1:] {
		intermediates.AddCert(certificate)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   r.Now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil || !c.named(leaf) {
		return Result{}
	}
	return Result{Verdict: Admitted, Key: c.keyOf(chains[0])}
}

// named reports whether a certificate has one of the names.
func (c *ClientCertificate) named(certificate *x509.Certificate) bool {
	return len(c.names) == 0 || slices.ContainsFunc(c.names, func(name string) bool { return hasName(certificate, name) })
}

// hasName reports whether a name is one of a certificate's subject alternative names, of the kind that it is by its looks. An
// authority that another one lets certify only some names is bound in the kinds that these are of: it could certify any name as
// one of another kind, or as the common name, which is no name here therefore.
func hasName(certificate *x509.Certificate, name string) bool {
	switch {
	case strings.Contains(name, ":"):
		return slices.ContainsFunc(certificate.URIs, func(uri *url.URL) bool { return uri.String() == name })
	case strings.Contains(name, "@"):
		return slices.Contains(certificate.EmailAddresses, name)
	default:
		return slices.ContainsFunc(certificate.DNSNames, func(dns string) bool { return strings.EqualFold(dns, name) })
	}
}

// keyOf returns the key of the Secret that holds the end of a chain.
func (c *ClientCertificate) keyOf(chain []*x509.Certificate) Key {
	root := chain[len(chain)-1]
	i := slices.IndexFunc(c.authorities, func(a Authority) bool { return a.certificate.Equal(root) })
	return c.authorities[i].Key
}
