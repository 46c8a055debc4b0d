package auth

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// aKey is a JSON Web Key.
func aKey(t testing.TB, key jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhichKeysCount(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p256 := ecdsaKey(t, elliptic.P256())
	good := aKey(t, jose.JSONWebKey{Key: p256.Public(), KeyID: "good"})
	for _, c := range []struct {
		name, keys string
		want       string // the ids, or a part of the error
	}{
		{"one", good, "good"},
		{"one among keys that are not understood", `{"kty":"XX","kid":"x"},{"kty":"OKP","crv":"X25519","x":"AAAA"},` + good, "good"},
		{"one among broken keys", `{"kty":"RSA","kid":"x"},7,null,{},` + good, "good"},
		{"one among those for encryption", aKey(t, jose.JSONWebKey{Key: p256.Public(), KeyID: "enc", Use: "enc"}) + "," + good, "good"},
		{"one among those of another algorithm", aKey(t, jose.JSONWebKey{Key: p256.Public(), KeyID: "x", Algorithm: "ES512"}) + "," + good, "good"},
		{"a weak key", aKey(t, jose.JSONWebKey{Key: weak.Public(), KeyID: "weak"}), "no public key for signatures"},
		{"a private key", aKey(t, jose.JSONWebKey{Key: p256, KeyID: "private"}) + "," + good, "a private or symmetric key"},
		{"a symmetric key", aKey(t, jose.JSONWebKey{Key: []byte("secret"), KeyID: "oct"}) + "," + good, "a private or symmetric key"},
		{"none", "", "no public key for signatures"},
		{"too many", strings.TrimSuffix(strings.Repeat(good+",", maxKeys+1), ","), "101 keys, and 100 is the most"},
		{"no JSON", "secret", "no JSON Web Key Set"},
	} {
		parsed, err := ParseKeys([]byte(`{"keys":[` + c.keys + `]}`))
		ids := make([]string, 0, len(parsed))
		for _, key := range parsed {
			ids = append(ids, key.KeyID)
		}
		got := strings.Join(ids, " ")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || (err == nil) != (got == c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%s: the error quotes the set: %s", c.name, got)
		}
	}
}

// FuzzParseKeys looks for a document that panics, or of which a key counts that is not public.
func FuzzParseKeys(f *testing.F) {
	i := newIssuer(f)
	f.Add(keys(f, i, issuer{rsaKey(), "rsa", ""}))
	f.Add(fmt.Appendf(nil, `{"keys":[%s]}`, aKey(f, jose.JSONWebKey{Key: i.key})))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		parsed, err := ParseKeys(document)
		if (err == nil) != (len(parsed) > 0) {
			t.Errorf("%d keys and the error %v", len(parsed), err)
		}
		for n := range parsed {
			if !parsed[n].IsPublic() || len(algorithmsOf(&parsed[n])) == 0 {
				t.Errorf("key %d counts", n)
			}
		}
	})
}
