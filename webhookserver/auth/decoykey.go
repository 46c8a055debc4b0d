package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"

	"github.com/go-jose/go-jose/v4"
)

// verifyDecoy costs as much as to verify a token does, and proves nothing.
func verifyDecoy(token *jose.JSONWebSignature) {
	_, _ = token.Verify(decoyKey(jose.SignatureAlgorithm(token.Signatures[0].Protected.Algorithm)))
}

// decoyKey returns a key for an algorithm that anybody may have the private part of, or nobody: what it verifies counts
// nowhere.
func decoyKey(algorithm jose.SignatureAlgorithm) any {
	switch algorithm {
	case jose.ES256:
		return basePoint(elliptic.P256())
	case jose.ES384:
		return basePoint(elliptic.P384())
	case jose.ES512:
		return basePoint(elliptic.P521())
	case jose.EdDSA:
		return decoyEd25519()
	default:
		modulus := new(big.Int).Lsh(big.NewInt(1), minModulus)
		return &rsa.PublicKey{N: modulus.Sub(modulus, big.NewInt(1)), E: 65537}
	}
}

func basePoint(curve elliptic.Curve) *ecdsa.PublicKey {
	p := curve.Params()
	length := (p.BitSize + 7) / 8
	encoded := make([]byte, 1+2*length)
	encoded[0] = 4 // both coordinates follow
	p.Gx.FillBytes(encoded[1 : 1+length])
	p.Gy.FillBytes(encoded[1+length:])
	key, _ := ecdsa.ParseUncompressedPublicKey(curve, encoded) // it is on the curve
	return key
}

// decoyEd25519 returns the base point.
func decoyEd25519() ed25519.PublicKey {
	key := make(ed25519.PublicKey, ed25519.PublicKeySize)
	for i := range key {
		key[i] = 0x66
	}
	key[0] = 0x58
	return key
}
