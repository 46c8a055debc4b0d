package controllers

import (
	"cmp"
	"slices"
	"time"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// HistoryLimits bound what all histories hold together.
type HistoryLimits struct {
	// NamespaceObjects and NamespaceBytes bound one namespace.
	NamespaceObjects int
	NamespaceBytes   int64
	// TotalObjects and TotalBytes bound the cluster.
	TotalObjects int
	TotalBytes   int64
}

// DefaultHistoryLimits are the limits unless flags say otherwise.
var DefaultHistoryLimits = HistoryLimits{
	NamespaceObjects: 2_000, NamespaceBytes: 64 << 20,
	TotalObjects: 20_000, TotalBytes: 512 << 20,
}

// webhookHistoryBytes bounds the payloads that one webhook's history holds in a namespace.
const webhookHistoryBytes = 4 << 20

// entry is a record as history sees it.
type entry struct {
	namespace, name string
	webhook         string // spec.webhook
	outcome         string
	delivery        string // its id, which sorts by time
	created         time.Time
	bytes           int64
}

// surplus returns the entries that history drops, and when the next one of the others grows too old (zero: none does).
// settings returns a webhook's settings; nil means the defaults. Newer entries are kept before older ones, and every bound
// holds for what is kept.
func (l HistoryLimits) surplus(entries []entry, settings func(namespace, webhook string) *v1alpha1.WebhookHistory, now time.Time) (drop []entry, next time.Time) {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.delivery, a.delivery), cmp.Compare(a.namespace, b.namespace))
	})
	type series struct{ namespace, webhook, outcome string }
	count := map[series]*room{}
	webhooks, namespaces := map[series]*room{}, map[string]*room{}
	total := &room{objects: l.TotalObjects, bytes: l.TotalBytes}
	for _, e := range entries {
		history := settings(e.namespace, e.webhook)
		expires := e.created.Add(history.Age())
		ofOutcome := in(count, series{e.namespace, e.webhook, e.outcome}, room{objects: history.Limit(e.outcome), bytes: l.TotalBytes})
		ofWebhook := in(webhooks, series{namespace: e.namespace, webhook: e.webhook}, room{objects: l.TotalObjects, bytes: webhookHistoryBytes})
		ofNamespace := in(namespaces, e.namespace, room{objects: l.NamespaceObjects, bytes: l.NamespaceBytes})
		if !expires.After(now) || !take(e.bytes, ofOutcome, ofWebhook, ofNamespace, total) {
			drop = append(drop, e)
			continue
		}
		if next.IsZero() || expires.Before(next) {
			next = expires
		}
	}
	return drop, next
}

// room is what is left of a bound.
type room struct {
	objects int
	bytes   int64
}

// in returns the room under a key, which begins as full.
func in[K comparable](rooms map[K]*room, key K, full room) *room {
	if rooms[key] == nil {
		rooms[key] = &full
	}
	return rooms[key]
}

// take takes the room of one object, if each bound has it.
func take(bytes int64, rooms ...*room) bool {
	for _, r := range rooms {
		if r.objects < 1 || r.bytes < bytes {
			return false
		}
	}
	for _, r := range rooms {
		r.objects--
		r.bytes -= bytes
	}
	return true
}
