package rule

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// Key identifies a webhook: its namespace and its url without outer slashes.
type Key struct{ Namespace, URL string }

// Webhook is what dispatch needs to know of a webhook.
type Webhook struct {
	Key
	// Name of the Webhook resource, or the name that it will have.
	Name string
	// History is what is recorded; nil means the defaults.
	History *v1alpha1.WebhookHistory
	// Sees reports whether the Rules of a namespace may see the triggers; nil means only those of the webhook's own.
	Sees func(namespace string) bool
}

// Target is a namespace that a trigger is dispatched to, with its rules for that trigger.
type Target struct {
	Namespace string
	Rules     []*Rule
}

// Book is the rule book: which rules and which webhooks there are. It is immutable.
type Book struct {
	// version is the highest resourceVersion of a Rule that the book was built from.
	version  uint64
	rules    map[subject]map[string][]*Rule // subject → namespace → rules by name
	named    map[types.NamespacedName]*Rule
	webhooks map[Key]Webhook
}

// subject is what rules are found by: a trigger's type and, where they name one, the url among its parameters.
type subject struct{ trigger, url string }

// NewBook builds a book from enabled rules and from webhooks. version is the highest resourceVersion of a Rule seen.
func NewBook(rules []*Rule, webhooks []Webhook, version uint64) *Book {
	b := &Book{
		version:  version,
		rules:    map[subject]map[string][]*Rule{},
		named:    make(map[types.NamespacedName]*Rule, len(rules)),
		webhooks: make(map[Key]Webhook, len(webhooks)),
	}
	byName := func(a, c *Rule) int { return strings.Compare(a.Name, c.Name) }
	for _, r := range slices.SortedFunc(slices.Values(rules), byName) {
		about := subject{trigger: r.trigger, url: r.parameters[v1alpha1.ParameterURL]}
		if b.rules[about] == nil {
			b.rules[about] = map[string][]*Rule{}
		}
		b.rules[about][r.Namespace] = append(b.rules[about][r.Namespace], r)
		b.named[types.NamespacedName{Namespace: r.Namespace, Name: r.Name}] = r
	}
	for _, w := range webhooks {
		b.webhooks[w.Key] = w
	}
	return b
}

// Rule returns the enabled rule of a name, or nil.
func (b *Book) Rule(namespace, name string) *Rule {
	return b.named[types.NamespacedName{Namespace: namespace, Name: name}]
}

// Webhook returns a webhook; for one that is gone, a Webhook with the defaults.
func (b *Book) Webhook(key Key) Webhook {
	if w, ok := b.webhooks[key]; ok {
		return w
	}
	return Webhook{Key: key}
}

// Targets returns the namespaces that a trigger of a webhook goes to: those whose rules may see it and that have a rule for
// it, in order; where there is none, the webhook's own namespace without rules.
func (b *Book) Targets(w Webhook, trigger string, parameters map[string]string) []Target {
	if w.Sees == nil {
		return []Target{{Namespace: w.Namespace, Rules: b.taking(w.Namespace, trigger, parameters)}}
	}
	var targets []Target
	for _, namespace := range b.candidates(w.Sees, trigger, parameters) {
		if rules := b.taking(namespace, trigger, parameters); len(rules) > 0 {
			targets = append(targets, Target{Namespace: namespace, Rules: rules})
		}
	}
	if len(targets) == 0 {
		return []Target{{Namespace: w.Namespace}}
	}
	return targets
}

// candidates returns the namespaces that see a trigger and may have a rule for it, in order.
func (b *Book) candidates(sees func(namespace string) bool, trigger string, parameters map[string]string) []string {
	seen := map[string]bool{}
	for _, about := range subjects(trigger, parameters) {
		for namespace := range b.rules[about] {
			if sees(namespace) {
				seen[namespace] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// taking returns the rules of a namespace that take a trigger with these parameters.
func (b *Book) taking(namespace, trigger string, parameters map[string]string) []*Rule {
	var taken []*Rule
	for _, about := range subjects(trigger, parameters) {
		for _, r := range b.rules[about][namespace] {
			if r.Takes(trigger, parameters) {
				taken = append(taken, r)
			}
		}
	}
	return taken
}

// subjects returns what the rules for a trigger can be found by.
func subjects(trigger string, parameters map[string]string) []subject {
	all := append(make([]subject, 0, 2), subject{trigger: trigger}) // room for both, which keeps it on the stack
	if url := parameters[v1alpha1.ParameterURL]; url != "" {
		all = append(all, subject{trigger: trigger, url: url})
	}
	return all
}
