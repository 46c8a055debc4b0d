package controllers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

func TestHistoryDropsTheOldestBeyondEachBound(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	two := int32(2)
	settings := func(_, webhook string) *v1alpha1.WebhookHistory {
		if webhook == "small" {
			return &v1alpha1.WebhookHistory{Succeeded: &two, Failed: &two}
		}
		return nil
	}
	// record makes an entry whose delivery id and name are its number; a higher one is newer.
	record := func(number int, change func(*entry)) entry {
		e := entry{
			namespace: "ci", name: fmt.Sprint(number), webhook: "small", outcome: v1alpha1.OutcomeSucceeded,
			delivery: fmt.Sprintf("%03d", number), created: now.Add(-time.Hour), bytes: 10,
		}
		change(&e)
		return e
	}
	same := func(*entry) {}
	failed := func(e *entry) { e.outcome = v1alpha1.OutcomeFailed }
	large := func(e *entry) { e.webhook = "large" }
	big := func(e *entry) { e.webhook, e.bytes = "large", 3<<20 }
	old := func(e *entry) { e.created = now.Add(-25 * time.Hour) }
	away := func(e *entry) { e.namespace, e.webhook = "dev", "large" }
	wide := HistoryLimits{NamespaceObjects: 100, NamespaceBytes: 1 << 30, TotalObjects: 100, TotalBytes: 1 << 30}
	narrow := func(change func(*HistoryLimits)) HistoryLimits {
		limits := wide
		change(&limits)
		return limits
	}

	tests := map[string]struct {
		limits  HistoryLimits
		entries []entry
		want    []string
	}{
		"nothing beyond its bounds":     {wide, []entry{record(1, same), record(2, same)}, nil},
		"the count of a webhook":        {wide, []entry{record(3, same), record(1, same), record(2, same)}, []string{"1"}},
		"failures are counted apart":    {wide, []entry{record(1, failed), record(2, same), record(3, same)}, nil},
		"and have their own count":      {wide, []entry{record(1, failed), record(2, failed), record(3, failed)}, []string{"1"}},
		"the bytes of a webhook":        {wide, []entry{record(1, big), record(2, big)}, []string{"1"}},
		"the age":                       {wide, []entry{record(1, old), record(2, same)}, []string{"1"}},
		"the objects of a namespace":    {narrow(func(l *HistoryLimits) { l.NamespaceObjects = 1 }), []entry{record(1, large), record(2, same), record(3, away)}, []string{"1"}},
		"the bytes of a namespace":      {narrow(func(l *HistoryLimits) { l.NamespaceBytes = 10 }), []entry{record(1, large), record(2, same), record(3, away)}, []string{"1"}},
		"the objects of all namespaces": {narrow(func(l *HistoryLimits) { l.TotalObjects = 2 }), []entry{record(1, away), record(2, same), record(3, same)}, []string{"1"}},
		"the bytes of all namespaces":   {narrow(func(l *HistoryLimits) { l.TotalBytes = 20 }), []entry{record(1, away), record(2, same), record(3, same)}, []string{"1"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dropped, _ := test.limits.surplus(test.entries, settings, now)
			var got []string
			for _, e := range dropped {
				got = append(got, e.name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}

	t.Run("it looks again when the next grows too old", func(t *testing.T) {
		_, next := wide.surplus([]entry{record(1, same), record(2, func(e *entry) { e.created = now.Add(-23 * time.Hour) })}, settings, now)
		if want := now.Add(time.Hour); !next.Equal(want) {
			t.Errorf("got %s, want %s", next, want)
		}
	})
}
