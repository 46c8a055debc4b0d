package controllers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

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
	methods []auth.Method
	schema  *webhookserver.Schema
	invalid error      // the spec is wrong: the hook is closed
	refs    *refsError // a reference is bad: that way in is closed
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
	system     string // HookStorm's own namespace
	keyring    *keyring
	namespaces map[string]labels.Set
	schemas    *compilations[*webhookserver.Schema]
	names      map[string]map[string]bool // namespace → names of its Webhooks
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
	var errs []error
	for i, entry := range h.spec.Authentication() {
		method, err := r.method(h, i, entry)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		h.methods = append(h.methods, method)
	}
	errs = append(errs, r.resolveNamespaces(h), r.resolveSchema(h))
	if h.invalid = errors.Join(errs...); h.invalid != nil {
		h.methods = nil
	}
	return h
}

// method resolves one entry of spec.auth.
func (r *resolver) method(h *hook, index int, entry v1alpha1.WebhookAuth) (auth.Method, error) {
	field := fmt.Sprintf("spec.auth[%d].tokens", index)
	switch {
	case entry.Anonymous != nil:
		return auth.Anonymous{}, nil
	case entry.Tokens == nil:
		return nil, fmt.Errorf("spec.auth[%d]: set one of tokens, anonymous", index)
	case entry.Tokens.SecretRef != nil:
		return r.secretMethod(h, field+".secretRef", entry.Tokens.SecretRef.Name), nil
	case entry.Tokens.SecretSelector != nil:
		return r.selectorMethod(h, field+".secretSelector", entry.Tokens.SecretSelector)
	default:
		if len(r.keyring.byObject[h.key.Namespace]) == 0 && len(r.keyring.byObject[r.system]) == 0 {
			h.unresolved(v1alpha1.ReasonSecretNotFound,
				"%s: neither this namespace nor %s has a Secret labelled %s: %s; create one", field, r.system, v1alpha1.LabelAuth, v1alpha1.AuthToken)
		}
		return &auth.Tokens{}, nil
	}
}

// secretMethod admits the tokens of one Secret.
func (r *resolver) secretMethod(h *hook, field, name string) auth.Method {
	secret, found := r.keyring.byObject[h.key.Namespace][name]
	switch {
	case !found:
		h.unresolved(v1alpha1.ReasonSecretNotFound,
			"%s: this namespace has no Secret %q with the label %s: %s; create or label it", field, name, v1alpha1.LabelAuth, v1alpha1.AuthToken)
	case len(tokensOf(secret)) == 0:
		h.unresolved(v1alpha1.ReasonSecretInvalid,
			"%s: Secret %q holds no token; add a key whose value is the token", field, name)
	default:
		return &auth.Tokens{Secrets: map[string]bool{name: true}}
	}
	return &auth.Tokens{Secrets: map[string]bool{}, Unavailable: true}
}

// selectorMethod admits the tokens of the Secrets that a selector selects.
func (r *resolver) selectorMethod(h *hook, field string, selector *metav1.LabelSelector) (auth.Method, error) {
	selects, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	selected := map[string]bool{}
	for name, secret := range r.keyring.byObject[h.key.Namespace] {
		if selects.Matches(labels.Set(secret.Labels)) {
			selected[name] = true
		}
	}
	if len(selected) == 0 {
		h.unresolved(v1alpha1.ReasonSecretNotFound,
			"%s: selects no Secret of this namespace with the label %s: %s; create or label one", field, v1alpha1.LabelAuth, v1alpha1.AuthToken)
	}
	return &auth.Tokens{Secrets: selected}, nil
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

// resolveSchema compiles spec.payloadSchema.
func (r *resolver) resolveSchema(h *hook) error {
	if h.spec.PayloadSchema == nil {
		return nil
	}
	schema, err := r.schemas.get(h.webhook, func() (*webhookserver.Schema, error) {
		return webhookserver.CompileSchema(h.spec.PayloadSchema.Raw)
	})
	if err != nil {
		return fmt.Errorf("spec.payloadSchema: %w", err)
	}
	h.schema = schema
	return nil
}

// generic reports whether the body names the trigger.
func (h *hook) generic() bool { return h.spec.Type == v1alpha1.WebhookGeneric }

// authentication lists the ways in, for status.
func (h *hook) authentication() string {
	var ways []string
	for _, entry := range h.spec.Authentication() {
		way := "tokens"
		if entry.Anonymous != nil {
			way = "anonymous"
		}
		if !slices.Contains(ways, way) {
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
		MaxBodySize:  h.spec.MaxBodySize(),
		Schema:       h.schema,
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
