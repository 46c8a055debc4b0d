package controllers

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// hook is a claim with everything it refers to resolved.
type hook struct {
	*claim
	name    string
	spec    *v1alpha1.WebhookSpec
	sees    func(namespace string) bool // nil: its own namespace only
	parts   *webhookParts
	sources []netip.Prefix
	invalid error      // the spec is wrong: the hook is closed
	refs    *refsError // a reference is bad: that way in is closed

	// What spec.auth comes to.
	methods    []auth.Method
	signatures []*auth.Signature
	keys       []string // that may be used, as status names them
	handshakes webhookserver.Handshakes
	bodies     webhookserver.Bodies
}

// refsError is the references that do not lead to what they should: the reason of the first, the messages of all.
type refsError struct{ reason, message string }

// unresolved notes a reference that does not lead to what it should.
func (h *hook) unresolved(reason, format string, arguments ...any) {
	message := fmt.Sprintf(format, arguments...)
	if h.refs != nil {
		h.refs.message += "; " + message
		return
	}
	h.refs = &refsError{reason: reason, message: message}
}

// resolver resolves claims against what the caches hold.
type resolver struct {
	system      string // HookStorm's own namespace
	externalURL string
	tls         bool
	identity    *Identity
	reviewer    auth.Reviewer
	secrets     labelledSecrets
	namespaces  map[string]labels.Set
	webhooks    *compilations[*webhookParts]
	names       map[string]map[string]bool // namespace → names of its Webhooks
	now         time.Time
	next        time.Time // when something may be different by itself; zero: never
}

// rebuildAt notes that something may be different at a time.
func (r *resolver) rebuildAt(at time.Time) {
	if r.next.IsZero() || at.Before(r.next) {
		r.next = at
	}
}

// expired reports whether the keys of a Secret have stopped being valid, and notes when they will.
func (r *resolver) expired(secret *corev1.Secret) bool {
	at := expiry(secret)
	switch {
	case at.IsZero():
		return false
	case !r.now.Before(at):
		return true
	}
	r.rebuildAt(at)
	return false
}

// resolve resolves a claim. What is wrong with it closes this hook and no other.
func (r *resolver) resolve(c *claim) *hook {
	h := &hook{claim: c}
	if c.webhook == nil {
		h.name = keptName(c.key.URL, func(name string) bool { return r.names[c.key.Namespace][name] })
		h.spec = &v1alpha1.WebhookSpec{URL: c.key.URL}
	} else {
		h.name, h.spec = c.webhook.Name, &c.webhook.Spec
	}
	h.readOptions()
	parts, err := r.compile(h)
	h.parts = parts
	_, authErr := guarded(func() (struct{}, error) { return struct{}{}, r.authenticate(h, parts) })
	h.invalid = errors.Join(err, authErr, r.resolveNamespaces(h), h.resolveSources())
	if h.invalid != nil {
		h.methods, h.signatures, h.handshakes = nil, nil, webhookserver.Handshakes{}
	}
	return h
}

// compile returns the compiled parts of a hook's spec.
func (r *resolver) compile(h *hook) (*webhookParts, error) {
	if h.webhook == nil {
		return compileWebhook(h.spec)
	}
	parts, err := r.webhooks.get(h.webhook, func() (*webhookParts, error) { return compileWebhook(h.spec) })
	if parts == nil {
		parts = &webhookParts{} // compiling panicked
	}
	return parts, err
}

// readOptions reads the options of the spec that need no resolving.
func (h *hook) readOptions() {
	if body := h.spec.Body; body != nil {
		h.bodies.FormField, h.bodies.JSONSuffix = body.FormField, body.JSONSuffix
	}
	handshakes := h.spec.Handshakes
	if handshakes == nil {
		return
	}
	h.handshakes.EventGrid = handshakes.EventGrid != nil
	if asked := handshakes.CloudEvents; asked != nil {
		h.handshakes.Origins = asked.AllowedOrigins
		h.handshakes.RequestsPerMinute = int(ptr.Deref(asked.RequestsPerMinute, 0))
	}
}

// resolveNamespaces resolves spec.allowedRules.
func (r *resolver) resolveNamespaces(h *hook) error {
	allowed := h.spec.RuleNamespaces()
	if allowed.From == v1alpha1.FromSame {
		return nil
	}
	if h.key.Namespace != r.system {
		return fmt.Errorf("spec.allowedRules.namespaces.from: %s is only for Webhooks in namespace %s; write Same", allowed.From, r.system)
	}
	if allowed.From == v1alpha1.FromAll {
		h.sees = func(string) bool { return true }
		return nil
	}
	selects, err := metav1.LabelSelectorAsSelector(allowed.Selector)
	if err != nil {
		return fmt.Errorf("spec.allowedRules.namespaces.selector: %w", err)
	}
	seen := map[string]bool{}
	for name, set := range r.namespaces {
		if selects.Matches(set) {
			seen[name] = true
		}
	}
	h.sees = func(namespace string) bool { return seen[namespace] }
	return nil
}

// resolveSources reads spec.limits.sourceRanges.
func (h *hook) resolveSources() error {
	if h.spec.Limits == nil {
		return nil
	}
	for i, text := range h.spec.Limits.SourceRanges {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("spec.limits.sourceRanges[%d]: %q is no network such as 192.0.2.0/24", i, text)
		}
		h.sources = append(h.sources, network)
	}
	return nil
}

// generic reports whether the body names the trigger.
func (h *hook) generic() bool { return h.spec.Type == v1alpha1.WebhookGeneric }

// authentication lists the ways in, for status.
func (h *hook) authentication() string {
	var ways []string
	for _, entry := range h.spec.Authentication() {
		if way := way(&entry); !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return strings.Join(ways, ", ")
}

// serverHook returns what the route table needs of the hook.
// triggerSchemas are those of its namespace; used are the trigger types of the enabled Rules, by namespace.
func (h *hook) serverHook(triggerSchemas map[string]*webhookserver.Schema, used map[string]map[string]bool) webhookserver.Hook {
	server := webhookserver.Hook{
		Key:          h.key,
		Name:         h.name,
		Description:  h.spec.Description,
		Generic:      h.generic(),
		Suspended:    h.spec.Suspend,
		Auth:         h.methods,
		Signatures:   h.signatures,
		Sources:      h.sources,
		MaxBodySize:  h.spec.MaxBodySize(),
		Bodies:       h.bodies,
		Rate:         webhookserver.Rate{PerSecond: h.spec.RequestsPerSecond(), Burst: h.spec.Burst()},
		Deduplicate:  h.parts.deduplicate,
		Handshakes:   h.handshakes,
		Schema:       h.parts.schema,
		Audit:        h.spec.Validation == v1alpha1.ValidationAudit,
		Since:        h.since(),
		ShortURLLost: h.lost(),
		ShortURLHeld: h.holds(),
	}
	if h.webhook != nil {
		server.UID = string(h.webhook.UID)
	}
	if !h.generic() {
		return server
	}
	server.TriggerSchemas = triggerSchemas
	if h.spec.KnownTriggersOnly {
		server.KnownTriggers = map[string]bool{}
		for namespace, triggers := range used {
			if h.seenFrom(namespace) {
				maps.Copy(server.KnownTriggers, triggers)
			}
		}
	}
	return server
}

// seenFrom reports whether the Rules of a namespace may see the triggers.
func (h *hook) seenFrom(namespace string) bool {
	if h.sees == nil {
		return namespace == h.key.Namespace
	}
	return h.sees(namespace)
}

// ruleWebhook returns what dispatch needs of the hook.
func (h *hook) ruleWebhook() rule.Webhook {
	return rule.Webhook{Key: rule.Key(h.key), Name: h.name, History: h.spec.History, Sees: h.sees}
}

// labelSets returns the labels of namespaces by name.
func labelSets(namespaces []corev1.Namespace) map[string]labels.Set {
	sets := make(map[string]labels.Set, len(namespaces))
	for i := range namespaces {
		sets[namespaces[i].Name] = namespaces[i].Labels
	}
	return sets
}
