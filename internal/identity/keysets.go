package identity

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"
)

// discoveryPath is where an issuer has its discovery document (OpenID Connect Discovery 1.0, section 4).
const discoveryPath = "/.well-known/openid-configuration"

// KeySetsOptions say how key sets are had.
type KeySetsOptions struct {
	// Client makes the calls.
	Client Client
	// Parse returns the keys of a JSON Web Key Set that count, at least one.
	Parse func(document []byte) ([]jose.JSONWebKey, error)
	// Changed is called when the Problem of a set came or went; it must not block.
	Changed func()
	// Logger hears of issuers that cannot be asked, and that they can be again.
	Logger logr.Logger
	// Now is the clock.
	Now func() time.Time
}

// KeySets has the key sets that are in use, one for each place.
type KeySets struct {
	o KeySetsOptions

	mu   sync.Mutex
	sets map[source]weak.Pointer[KeySet]
}

// NewKeySets returns key sets; it asks nobody yet.
func NewKeySets(o KeySetsOptions) *KeySets {
	return &KeySets{o: o, sets: map[source]weak.Pointer[KeySet]{}}
}

// Of returns the key set at a url, and if that is "" the one that the issuer's discovery document names. Whoever asks for
// the same place gets the same set, as long as anybody holds it. It asks for the keys of a set that has none, and does not
// wait for them.
func (k *KeySets) Of(issuer, location string) (*KeySet, error) {
	from := source{url: location}
	if location == "" {
		from = source{issuer: issuer}
		if err := checkURL(issuer); err != nil {
			return nil, fmt.Errorf("jwt.issuer: its keys cannot be found by discovery, because %w; set jwksURL or secretRef", err)
		}
	} else if err := checkURL(location); err != nil {
		return nil, fmt.Errorf("jwt.jwksURL: %w", err)
	}
	set := k.set(from)
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.keys == nil {
		set.ask()
	}
	return set, nil
}

// set returns the set of a place, a new one if nobody holds one.
func (k *KeySets) set(from source) *KeySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	if set := k.sets[from].Value(); set != nil {
		return set
	}
	set := &KeySet{source: from, sets: k}
	k.sets[from] = weak.Make(set)
	runtime.AddCleanup(set, k.forget, from)
	return set
}

// forget drops the set of a place that nobody holds any more, unless somebody asked for it again.
func (k *KeySets) forget(from source) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sets[from].Value() == nil {
		delete(k.sets, from)
	}
}

// load returns the keys of a place, and the digest of the document that they are of.
func (k *KeySets) load(ctx context.Context, from source) (digest [sha256.Size]byte, keys []jose.JSONWebKey, err error) {
	defer guard(k.o.Logger, &err)
	document, err := k.document(ctx, from)
	if err != nil {
		return digest, nil, err
	}
	keys, err = k.o.Parse(document)
	return sha256.Sum256(document), keys, err
}

// document returns the JSON Web Key Set of a place.
func (k *KeySets) document(ctx context.Context, from source) ([]byte, error) {
	location := from.url
	if location == "" {
		var err error
		if location, err = k.discover(ctx, from.issuer); err != nil {
			return nil, fmt.Errorf("discovering them: %w", err)
		}
	}
	return fetch(ctx, k.o.Client, location)
}

// discover returns where an issuer's keys are.
func (k *KeySets) discover(ctx context.Context, issuer string) (string, error) {
	document, err := fetch(ctx, k.o.Client, strings.TrimSuffix(issuer, "/")+discoveryPath)
	if err != nil {
		return "", err
	}
	var found struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if json.Unmarshal(document, &found) != nil {
		return "", errors.New("the discovery document is no JSON object")
	}
	if found.Issuer != issuer {
		return "", errors.New("the discovery document is that of another issuer")
	}
	if err := checkURL(found.Keys); err != nil {
		return "", fmt.Errorf("its jwks_uri: %w", err)
	}
	return found.Keys, nil
}

// checkURL reports why keys cannot be had from a url. Whoever can change them on their way can sign: http will not do.
func checkURL(text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "https" || parsed.Hostname() == "" || parsed.User != nil || parsed.Fragment != "" {
		return errors.New("it is no url such as https://issuer.example/keys, without a user name and a fragment")
	}
	return nil
}

// change is what an answer changed about a set.
type change struct {
	failure       error
	failed        bool // the answer before was a failure
	lacked, lacks bool // there were no keys because of failures, and are none now
}

// report tells of a change.
func (k *KeySets) report(from source, c change) {
	switch {
	case c.failure != nil && (!c.failed || c.lacked != c.lacks):
		k.o.Logger.Error(c.failure, "An issuer's keys cannot be had", "issuer", from.String(), "kept", !c.lacks)
	case c.failure == nil && c.failed:
		k.o.Logger.Info("An issuer's keys can be had", "issuer", from.String())
	}
	if c.lacked != c.lacks {
		k.o.Changed()
	}
}
