package webhookserver

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// webhookTrigger is the trigger that a custom webhook dispatches, and nobody else may.
const webhookTrigger = "core.st2.webhook"

// defaultMaxBodySize is the limit where no webhook says one.
const defaultMaxBodySize = 1 << 20

// Key is the identity of a route.
type Key struct {
	// Namespace is the namespace of the webhook.
	Namespace string
	// URL is its url without outer slashes.
	URL string
}

// Hook is one webhook as the controllers resolved it. It must not change once it is in a table.
type Hook struct {
	Key
	// Name, UID and Description are those of the Webhook.
	Name, UID, Description string
	// Generic says that the body names the trigger.
	Generic bool
	// Suspended says that whoever is authenticated gets 503.
	Suspended bool
	// Auth are the ways to be admitted that need no body, and Signatures those that do; any one admits, and without any
	// nobody is.
	Auth       []auth.Method
	Signatures []*auth.Signature
	// Sources are the networks from which requests are taken; none: any.
	Sources []netip.Prefix
	// Rate bounds the deliveries that are taken.
	Rate Rate
	// Deduplicate says which requests are the same; nil: none are.
	Deduplicate *Deduplication
	// Handshakes are the questions that are answered.
	Handshakes Handshakes
	// MaxBodySize is the largest body in bytes; 0: the default.
	MaxBodySize int64
	// Bodies says how bodies are read beyond StackStorm's ways.
	Bodies Bodies
	// Schema is for the body of a custom webhook; nil: any.
	Schema *Schema
	// Audit says that schema violations are recorded, not refused.
	Audit bool
	// TriggerSchemas are, for a generic webhook, the triggers that are described; a nil schema takes any payload.
	TriggerSchemas map[string]*Schema
	// KnownTriggers, when not nil, are with those of TriggerSchemas the only ones that a generic webhook takes.
	KnownTriggers map[string]bool
	// Since is the age of the claim on the short url.
	Since time.Time
	// ShortURLLost says that the claim lost its short url and its owner has not edited it since: it takes no part.
	ShortURLLost bool
	// ShortURLHeld says that the claim has had the short url so far: it comes before all others.
	ShortURLHeld bool
}

// Input is everything that a table is made of.
type Input struct {
	// Hooks are all webhooks, at most one for a Key, in any order.
	Hooks []Hook
	// Tokens are all valid tokens.
	Tokens []auth.Token
	// SystemNamespace is where the tokens for everything are.
	SystemNamespace string
	// ShortURLNamespaces may own a short url; nil: every namespace may.
	ShortURLNamespaces []string
	// RuleVersion is the highest resourceVersion of a Rule that was seen.
	RuleVersion uint64
}

// Outcome is what a claim got.
type Outcome struct {
	// ShortURL says that the webhook is served on its short path.
	ShortURL bool
	// NotAllowed says that its namespace may not own a short url.
	NotAllowed bool
	// Owner is the namespace that has the short url; "" where none has.
	Owner string
}

// Table is every route, as a value: readers need no lock.
type Table struct {
	keyring     *auth.Keyring
	decoys      *auth.Decoys
	routes      map[Key]*route
	short       map[string]*route
	sorted      []*route // by url, then namespace
	largestBody int64
	ruleVersion uint64
}

// route is a webhook with what each of its deliveries shares.
type route struct {
	Hook
	trigger    string            // of a custom webhook
	parameters map[string]string // of a custom webhook
	// signatureHeaders hold the signatures of its own schemes.
	signatureHeaders []string
}

// Build makes a table. Every webhook is served on its namespaced path; of those that claim one short url whoever has
// had it so far keeps it; otherwise the oldest has it, and of equally old ones the first by namespace. The order of the input
// does not matter.
func Build(in Input) (*Table, map[Key]Outcome) {
	t := &Table{
		keyring:     auth.NewKeyring(in.Tokens, in.SystemNamespace),
		decoys:      auth.NewDecoys(),
		routes:      make(map[Key]*route, len(in.Hooks)),
		short:       make(map[string]*route, len(in.Hooks)),
		ruleVersion: in.RuleVersion,
	}
	hooks := slices.Clone(in.Hooks)
	slices.SortFunc(hooks, stronger)
	for _, hook := range hooks {
		t.add(hook, mayOwn(in.ShortURLNamespaces, hook.Namespace))
	}
	if t.largestBody == 0 {
		t.largestBody = defaultMaxBodySize
	}
	slices.SortFunc(t.sorted, func(a, b *route) int {
		return cmp.Or(cmp.Compare(a.URL, b.URL), cmp.Compare(a.Namespace, b.Namespace))
	})
	return t, t.outcomes(in.ShortURLNamespaces)
}

// stronger orders claims: who has the short url, then by age, then namespace; the rest only makes the order total.
func stronger(a, b Hook) int {
	if a.ShortURLHeld != b.ShortURLHeld {
		if a.ShortURLHeld {
			return -1
		}
		return 1
	}
	return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.URL, b.URL),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}

func mayOwn(namespaces []string, namespace string) bool {
	return namespaces == nil || slices.Contains(namespaces, namespace)
}

// add takes the next claim, the strongest first.
func (t *Table) add(hook Hook, mayOwnShort bool) {
	if t.routes[hook.Key] != nil {
		return
	}
	if hook.MaxBodySize <= 0 {
		hook.MaxBodySize = defaultMaxBodySize
	}
	hook.Sources = canonicalPrefixes(hook.Sources)
	t.decoys.Add(hook.Auth, hook.Signatures)
	r := &route{Hook: hook}
	for _, signature := range hook.Signatures {
		r.signatureHeaders = append(r.signatureHeaders, signature.Headers()...)
	}
	if !hook.Generic {
		r.trigger, r.parameters = webhookTrigger, map[string]string{"url": hook.URL}
	}
	t.routes[hook.Key] = r
	t.sorted = append(t.sorted, r)
	t.largestBody = max(t.largestBody, hook.MaxBodySize)
	if mayOwnShort && !hook.ShortURLLost && t.short[hook.URL] == nil {
		t.short[hook.URL] = r
	}
}

func (t *Table) outcomes(shortURLNamespaces []string) map[Key]Outcome {
	outcomes := make(map[Key]Outcome, len(t.routes))
	for key, r := range t.routes {
		owner := t.short[key.URL]
		outcome := Outcome{ShortURL: owner == r, NotAllowed: !mayOwn(shortURLNamespaces, key.Namespace)}
		if owner != nil {
			outcome.Owner = owner.Namespace
		}
		outcomes[key] = outcome
	}
	return outcomes
}

// find returns the webhook that owns what a path names, or nil.
func (t *Table) find(at target) *route {
	if at.namespaced {
		return t.routes[Key{Namespace: at.namespace, URL: at.url}]
	}
	return t.short[at.url]
}

// Routes holds the current table. The zero value holds none; it is safe for concurrent use.
type Routes struct{ current atomic.Pointer[Table] }

// Publish replaces the table.
func (r *Routes) Publish(t *Table) { r.current.Store(t) }

// Current returns the table; nil before the first.
func (r *Routes) Current() *Table { return r.current.Load() }
