package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// newClientCertificate takes the certificates of an authority that a Secret holds.
func newClientCertificate() (*authenticator, error) {
	authority, err := certify(x509.Certificate{IsCA: true, BasicConstraintsValid: true}, nil)
	if err != nil {
		return nil, err
	}
	certificate, err := certify(x509.Certificate{
		DNSNames: []string{"sender.example.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, authority)
	if err != nil {
		return nil, err
	}
	authorities, err := auth.ReadAuthorities(secretKey("ca.crt"), []byte(encodePEM(authority)))
	if err != nil {
		return nil, err
	}
	method, err := auth.NewClientCertificate(authorities, certificate.Leaf.DNSNames)
	return &authenticator{methods: []auth.Method{method}, secured: true, certificate: certificate}, err
}

// certify makes a certificate with a key of its own, signed by an authority, or by itself if that is nil.
func certify(template x509.Certificate, authority *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return certifyKey(key, template, authority)
}

func certifyKey(key crypto.Signer, template x509.Certificate, authority *tls.Certificate) (*tls.Certificate, error) {
	now := time.Now()
	template.SerialNumber = big.NewInt(now.UnixNano())
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(24*time.Hour)
	parent, signer := &template, crypto.PrivateKey(key)
	if authority != nil {
		parent, signer = authority.Leaf, authority.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate that was made: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func encodePEM(c *tls.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw}))
}
