package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
	"github.com/hookstorm/hookstorm/webhookserver"
)

// Settings are what an administrator decides.
type Settings struct {
	// SystemNamespace is the namespace that HookStorm runs in.
	SystemNamespace string
	// ShortURLNamespaces are the namespaces that may own a short url; nil: any.
	ShortURLNamespaces []string
	// ExternalURL is where senders reach the server, such as https://hooks.example.org; empty: not known.
	ExternalURL string
	// TLS says that webhooks are served with TLS, without which nobody can show a certificate.
	TLS bool
}

// snapshot is everything that a program is built from, as the caches hold it. It is not changed.
type snapshot struct {
	rules        []v1alpha1.Rule
	webhooks     []v1alpha1.Webhook
	triggerTypes []v1alpha1.TriggerType
	secrets      []corev1.Secret
	namespaces   []corev1.Namespace
}

// program is what a snapshot amounts to: the two values to publish, and what to tell each object's owner. A status here
// has no times; it depends on the snapshot alone, so that every replica comes to the same.
type program struct {
	book         *rule.Book
	table        *webhookserver.Table
	rules        map[types.UID]*v1alpha1.RuleStatus
	webhooks     map[types.UID]*v1alpha1.WebhookStatus
	triggerTypes map[types.UID]*v1alpha1.TriggerTypeStatus
	next         time.Time // when it is to be built again though nothing changed; zero: never
}

// compiler builds programs, and remembers what it compiled. It serves one goroutine.
type compiler struct {
	settings       Settings
	grants         Grants
	rules          compilations[*rule.Rule]
	identity       Identity
	webhooks       compilations[*webhookParts]
	triggerSchemas compilations[*webhookserver.Schema]
	version        uint64 // the highest resourceVersion of a Rule seen so far
}

// build builds the program of a snapshot.
func (c *compiler) build(s *snapshot) *program {
	p := &program{
		rules:        make(map[types.UID]*v1alpha1.RuleStatus, len(s.rules)),
		webhooks:     make(map[types.UID]*v1alpha1.WebhookStatus, len(s.webhooks)),
		triggerTypes: make(map[types.UID]*v1alpha1.TriggerTypeStatus, len(s.triggerTypes)),
	}
	c.observe(s.rules)
	schemas := c.compileTriggerTypes(s.triggerTypes, p)
	compiled, failures := c.compileRules(s.rules)
	secrets := sortSecrets(s.secrets)
	hooks, next := c.resolve(s, secrets)
	p.next = next
	used := usedTriggers(s.rules)

	input := webhookserver.Input{
		Tokens:             secrets.tokens(),
		SystemNamespace:    c.settings.SystemNamespace,
		ShortURLNamespaces: c.settings.ShortURLNamespaces,
		RuleVersion:        c.version,
	}
	webhooks := make([]rule.Webhook, 0, len(hooks))
	for _, h := range hooks {
		input.Hooks = append(input.Hooks, h.serverHook(schemas[h.key.Namespace], used))
		webhooks = append(webhooks, h.ruleWebhook())
	}
	p.book = rule.NewBook(compiled, webhooks, c.version)
	table, outcomes := webhookserver.Build(input)
	p.table = table

	reporter := &reporter{
		program: p, settings: c.settings, failures: failures,
		references: references{secrets: newOutboundSecrets(s.secrets), grants: &c.grants, system: c.settings.SystemNamespace},
	}
	for _, h := range hooks {
		reporter.reportHook(h, outcomes[h.key])
	}
	for i := range s.rules {
		if r := &s.rules[i]; r.WebhookURL() == "" {
			reporter.reportRule(r, nil)
		}
	}
	c.rules.sweep()
	c.webhooks.sweep()
	c.triggerSchemas.sweep()
	return p
}

// observe notes the highest resourceVersion of a Rule. They are comparable numbers (KEP-5504).
func (c *compiler) observe(rules []v1alpha1.Rule) {
	for i := range rules {
		if version, err := strconv.ParseUint(rules[i].ResourceVersion, 10, 64); err == nil {
			c.version = max(c.version, version)
		}
	}
}

// compileTriggerTypes returns the payload schemas by namespace and trigger; nil stands for a trigger that takes any payload.
func (c *compiler) compileTriggerTypes(list []v1alpha1.TriggerType, p *program) map[string]map[string]*webhookserver.Schema {
	schemas := map[string]map[string]*webhookserver.Schema{}
	first := map[types.NamespacedName]string{}
	for _, i := range oldestFirst(list) {
		t := &list[i]
		var schema *webhookserver.Schema
		var err error
		if t.Spec.PayloadSchema != nil {
			schema, err = c.triggerSchemas.get(t, func() (*webhookserver.Schema, error) {
				return webhookserver.CompileSchema(t.Spec.PayloadSchema.Raw)
			})
		}
		described := types.NamespacedName{Namespace: t.Namespace, Name: t.Spec.Type}
		switch older, taken := first[described]; {
		case err != nil:
			p.triggerTypes[t.UID] = triggerTypeStatus(t, v1alpha1.ReasonInvalid, fmt.Sprintf("spec.payloadSchema: %v", err))
		case taken:
			p.triggerTypes[t.UID] = triggerTypeStatus(t, v1alpha1.ReasonConflicted, fmt.Sprintf(
				"spec.type: TriggerType %s, which is older, describes this trigger; delete one of the two", older))
		default:
			first[described] = t.Name
			p.triggerTypes[t.UID] = triggerTypeStatus(t, v1alpha1.ReasonAccepted, "the trigger type is enforced")
			if schemas[t.Namespace] == nil {
				schemas[t.Namespace] = map[string]*webhookserver.Schema{}
			}
			schemas[t.Namespace][t.Spec.Type] = schema
		}
	}
	return schemas
}

// oldestFirst returns the indexes of trigger types by age, then name.
func oldestFirst(list []v1alpha1.TriggerType) []int {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &list[i], &list[j]
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return order
}

// compileRules returns the enabled rules that compile, and the errors of all rules that do not.
func (c *compiler) compileRules(rules []v1alpha1.Rule) ([]*rule.Rule, map[types.UID]error) {
	compiled := make([]*rule.Rule, 0, len(rules))
	failures := map[types.UID]error{}
	for i := range rules {
		r := &rules[i]
		one, err := c.rules.get(r, func() (*rule.Rule, error) { return rule.Compile(r) })
		switch {
		case err != nil:
			failures[r.UID] = err
		case r.IsEnabled():
			compiled = append(compiled, one)
		}
	}
	return compiled, failures
}

// resolve resolves all claims; next is when that may come to something else by itself.
func (c *compiler) resolve(s *snapshot, secrets labelledSecrets) (hooks []*hook, next time.Time) {
	r := &resolver{
		system:      c.settings.SystemNamespace,
		externalURL: c.settings.ExternalURL,
		tls:         c.settings.TLS,
		identity:    &c.identity,
		reviewer:    c.identity.Reviewer(audiences(s.webhooks)),
		secrets:     secrets,
		namespaces:  labelSets(s.namespaces),
		webhooks:    &c.webhooks,
		names:       map[string]map[string]bool{},
		now:         time.Now(),
	}
	for i := range s.webhooks {
		w := &s.webhooks[i]
		if r.names[w.Namespace] == nil {
			r.names[w.Namespace] = map[string]bool{}
		}
		r.names[w.Namespace][w.Name] = true
	}
	all := claims(s.webhooks, s.rules)
	hooks = make([]*hook, 0, len(all))
	for _, one := range all {
		hooks = append(hooks, r.resolve(one))
	}
	return hooks, r.next
}

// usedTriggers returns the trigger types of enabled Rules by namespace.
func usedTriggers(rules []v1alpha1.Rule) map[string]map[string]bool {
	used := map[string]map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if !r.IsEnabled() {
			continue
		}
		if used[r.Namespace] == nil {
			used[r.Namespace] = map[string]bool{}
		}
		used[r.Namespace][r.Spec.Trigger.Type] = true
	}
	return used
}
