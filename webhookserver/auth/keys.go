package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeys bounds the keys of a set, because a token that names none is tried with each. Issuers have two to ten.
	maxKeys = 100
	// minModulus is the fewest bits of an RSA key that still resist factoring; RFC 7518 asks for them in section 3.3.
	minModulus = 2048
)

// KeySet is the public keys of an issuer. It is safe for concurrent use.
type KeySet interface {
	// Keys returns the keys, which belong to the set. An error says that they cannot be had now. It ends with ctx.
	Keys(ctx context.Context) ([]jose.JSONWebKey, error)
	// Renewed is Keys after the issuer was asked again, or the very same slice if it was asked a moment ago or had nothing
	// new: for a token whose key is none of Keys. An error says that the issuer cannot be asked now.
	Renewed(ctx context.Context) ([]jose.JSONWebKey, error)
}

// StaticKeys is a KeySet that stays as it is.
type StaticKeys []jose.JSONWebKey

// Keys implements KeySet.
func (k StaticKeys) Keys(context.Context) ([]jose.JSONWebKey, error) { return k, nil }

// Renewed implements KeySet.
func (k StaticKeys) Renewed(context.Context) ([]jose.JSONWebKey, error) { return k, nil }

// ParseKeys returns the keys of a JSON Web Key Set that verify tokens. As RFC 7517 asks for in section 5, it passes over
// keys that it does not understand. An error quotes nothing of the set.
func ParseKeys(document []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(document, &set) != nil {
		return nil, errors.New(`it is no JSON Web Key Set, which looks like {"keys": [...]}`)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys, and %d is the most; remove those that are not in use", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) != nil {
			continue
		}
		if !key.IsPublic() {
			return nil, errors.New("it has a private or symmetric key, with which others could sign; leave only public keys there")
		}
		if len(algorithmsOf(&key)) > 0 {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("it has no public key for signatures (RSA of %d bits or more, P-256, P-384, P-521, Ed25519)", minModulus)
	}
	return keys, nil
}

// algorithms are the signatures that count: those that only the holder of a private key can make. With HMAC whoever knows
// the public key could sign.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// algorithmsOf returns the algorithms that a key may verify; none if it is of a kind that does not count, or too weak. The
// key decides and not the token, so that no token has a key used for what it is not.
func algorithmsOf(key *jose.JSONWebKey) []jose.SignatureAlgorithm {
	if key.Use != "" && key.Use != "sig" {
		return nil
	}
	fitting := fittingTo(key.Key)
	if key.Algorithm == "" {
		return fitting
	}
	for i, algorithm := range fitting {
		if string(algorithm) == key.Algorithm {
			return fitting[i : i+1]
		}
	}
	return nil
}

func fittingTo(key any) []jose.SignatureAlgorithm {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= minModulus {
			return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}
