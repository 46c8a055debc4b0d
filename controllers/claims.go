package controllers

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/webhookserver"
)

// claim is a namespace's claim on a url: its Webhook, if there is one, and the Rules that name it.
type claim struct {
	key     webhookserver.Key
	webhook *v1alpha1.Webhook // the one that counts; nil where only Rules name the url
	others  []*v1alpha1.Webhook
	rules   []*v1alpha1.Rule
}

// claims groups Webhooks and Rules by namespace and url, in order. Among Webhooks of one url a user's comes before one that
// HookStorm keeps, then the older, then the name.
func claims(webhooks []v1alpha1.Webhook, rules []v1alpha1.Rule) []*claim {
	byKey := map[webhookserver.Key]*claim{}
	at := func(namespace, url string) *claim {
		key := webhookserver.Key{Namespace: namespace, URL: url}
		if byKey[key] == nil {
			byKey[key] = &claim{key: key}
		}
		return byKey[key]
	}
	for i := range webhooks {
		w := &webhooks[i]
		c := at(w.Namespace, v1alpha1.TrimURL(w.Spec.URL))
		c.others = append(c.others, w)
	}
	for i := range rules {
		if url := rules[i].WebhookURL(); url != "" {
			c := at(rules[i].Namespace, url)
			c.rules = append(c.rules, &rules[i])
		}
	}
	all := make([]*claim, 0, len(byKey))
	for _, c := range byKey {
		if len(c.others) > 0 {
			slices.SortFunc(c.others, compareWebhooks)
			c.webhook, c.others = c.others[0], c.others[1:]
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *claim) int {
		return cmp.Or(cmp.Compare(a.key.Namespace, b.key.Namespace), cmp.Compare(a.key.URL, b.key.URL))
	})
	return all
}

func compareWebhooks(a, b *v1alpha1.Webhook) int {
	if kept(a) != kept(b) {
		if kept(b) {
			return -1
		}
		return 1
	}
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// since is the age of the claim: that of the oldest of its Webhooks and Rules.
func (c *claim) since() time.Time {
	var oldest time.Time
	older := func(created metav1.Time) {
		if oldest.IsZero() || created.Time.Before(oldest) {
			oldest = created.Time
		}
	}
	if c.webhook != nil {
		older(c.webhook.CreationTimestamp)
	}
	for _, w := range c.others {
		older(w.CreationTimestamp)
	}
	for _, r := range c.rules {
		older(r.CreationTimestamp)
	}
	return oldest
}

// lost reports whether the claim has lost its short url to another namespace and its owner has not edited the Webhook
// since. Such a claim takes no part, so that a url which is given up passes to nobody silently.
func (c *claim) lost() bool {
	if c.webhook == nil {
		return false
	}
	condition := meta.FindStatusCondition(c.webhook.Status.Conditions, v1alpha1.ConditionShortURL)
	return condition != nil && condition.Status == metav1.ConditionFalse && condition.Reason == v1alpha1.ReasonConflicted &&
		condition.ObservedGeneration == c.webhook.Generation
}

// holds reports whether the claim had the short url of its present url when its status was written. It keeps it then,
// whatever else turns up: the age of a claim is no secret, and an old object can be given any url.
func (c *claim) holds() bool {
	return c.webhook != nil && c.webhook.Status.Path == shortPath+c.key.URL &&
		meta.IsStatusConditionTrue(c.webhook.Status.Conditions, v1alpha1.ConditionShortURL)
}

// kept reports whether HookStorm keeps a Webhook: it made it, and nobody else has written to it since. HookStorm never
// writes the spec again, so that a second generation is somebody else's.
func kept(w *v1alpha1.Webhook) bool {
	if w.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedByHookStorm || w.Generation > 1 {
		return false
	}
	return !slices.ContainsFunc(w.ManagedFields, func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager != v1alpha1.ManagedByHookStorm
	})
}

const (
	// maxSlug is the length of the readable part of a kept Webhook's name.
	maxSlug = 40
	// hashLength is the length of the part that makes it unique.
	hashLength = 8
)

// keptName returns the name of the Webhook that HookStorm keeps for a url: a slug of it, and a hash unless the slug is the
// whole url and no Webhook has that name.
func keptName(url string, taken func(name string) bool) string {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, url)
	slug = strings.Trim(slug[:min(len(slug), maxSlug)], "-")
	if slug == url && !taken(slug) {
		return slug
	}
	sum := sha256.Sum256([]byte(url))
	return strings.TrimLeft(slug+"-"+hex.EncodeToString(sum[:])[:hashLength], "-")
}
