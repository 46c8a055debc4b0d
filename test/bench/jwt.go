package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"

	"github.com/hookstorm/hookstorm/internal/identity"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const (
	issuer   = "https://issuer.example.com"
	audience = auth.DefaultAudience
	keyID    = "2026-01"
)

func newRS256() (*authenticator, error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return newJWT(jose.RS256, key)
}

func newES256() (*authenticator, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return newJWT(jose.ES256, key)
}

// newJWT takes the tokens of an issuer whose keys are in a Secret.
func newJWT(algorithm jose.SignatureAlgorithm, key crypto.Signer) (*authenticator, error) {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: key.Public(), KeyID: keyID, Algorithm: string(algorithm), Use: "sig"},
	}})
	if err != nil {
		return nil, fmt.Errorf("encoding a key set: %w", err)
	}
	keys, err := auth.ParseKeys(set)
	if err != nil {
		return nil, err
	}
	method, err := auth.NewJWT(auth.JWTOptions{
		Issuer: issuer, Audiences: []string{audience},
		Keys: []auth.IssuerKeys{{Key: secretKey("jwks"), KeySet: auth.StaticKeys(keys)}},
	})
	if err != nil {
		return nil, err
	}
	lines, err := bearer(algorithm, key)
	return &authenticator{methods: []auth.Method{method}, lines: lines}, err
}

// bearer returns a header with a token of an hour.
func bearer(algorithm jose.SignatureAlgorithm, key crypto.Signer) (string, error) {
	signing := jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: keyID}}
	signer, err := jose.NewSigner(signing, nil)
	if err != nil {
		return "", fmt.Errorf("making a signer: %w", err)
	}
	now := time.Now()
	signed, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: issuer, Subject: "sender", Audience: jwt.Audience{audience},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return "Authorization: Bearer " + signed + "\r\n", nil
}

// newKubernetes takes tokens that the API server knows, and is asked about a token that HookStorm remembers. The API server
// is one that answers at once: it is asked again when HookStorm forgets, which is every ten seconds.
func newKubernetes() (*authenticator, error) {
	method, err := auth.NewKubernetes(identity.NewReviewer(identity.ReviewerOptions{
		Tokens: knowing{}, Access: allowing{}, Logger: logr.Discard(), Now: time.Now,
	}), audience)
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	lines, err := bearer(jose.RS256, key)
	return &authenticator{methods: []auth.Method{method}, lines: lines}, err
}

// knowing knows every token.
type knowing struct {
	authenticationclient.TokenReviewInterface
}

// Create implements TokenReviewInterface.
func (knowing) Create(
	_ context.Context, review *authenticationv1.TokenReview, _ metav1.CreateOptions,
) (*authenticationv1.TokenReview, error) {
	review.Status = authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: review.Spec.Audiences,
		User: authenticationv1.UserInfo{Username: "system:serviceaccount:" + namespace + ":sender"},
	}
	return review, nil
}

// allowing allows everything.
type allowing struct {
	authorizationclient.SubjectAccessReviewInterface
}

// Create implements SubjectAccessReviewInterface.
func (allowing) Create(
	_ context.Context, review *authorizationv1.SubjectAccessReview, _ metav1.CreateOptions,
) (*authorizationv1.SubjectAccessReview, error) {
	review.Status.Allowed = true
	return review, nil
}
