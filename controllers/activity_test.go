package controllers

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

func TestWhatIsWrittenOfWhatWasSeen(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	keys := map[auth.Key]time.Time{
		{Namespace: "ci", Secret: "sender", Name: "token"}: noon,
		{Namespace: "ci", Secret: "sender", Name: "next"}:  noon.Add(time.Second),
	}
	tests := map[string]struct {
		seen seen
		want string
	}{
		"nothing":             {seen{written: noon}, `{}`},
		"a delivery":          {seen{delivered: noon}, `{"lastDeliveryTime":"2026-01-02T12:00:00Z"}`},
		"a request refused":   {seen{rejected: v1alpha1.Rejection{Time: metav1.NewTime(noon), Reason: "Unauthorized"}}, `{"lastRejection":{"time":"2026-01-02T12:00:00Z","reason":"Unauthorized"}}`},
		"keys that admitted":  {seen{keys: keys}, `{"keys":{"sender/next":"2026-01-02T12:00:01Z","sender/token":"2026-01-02T12:00:00Z"}}`},
		"a match":             {seen{matched: noon, instance: "push-1"}, `{"lastTriggerInstance":"push-1","lastTriggerTime":"2026-01-02T12:00:00Z"}`},
		"one without record":  {seen{matched: noon}, `{"lastTriggerInstance":null,"lastTriggerTime":"2026-01-02T12:00:00Z"}`}, // an earlier one's is removed
		"a failure":           {seen{failed: v1alpha1.Failure{Time: metav1.NewTime(noon), Message: "no"}}, `{"lastFailure":{"time":"2026-01-02T12:00:00Z","message":"no"}}`},
		"more than one thing": {seen{delivered: noon, matched: noon, instance: "push-1"}, `{"lastDeliveryTime":"2026-01-02T12:00:00Z","lastTriggerInstance":"push-1","lastTriggerTime":"2026-01-02T12:00:00Z"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(test.seen.fields())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatWasSeenOfAnObjectIsWrittenOnceAMinute(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	a := NewActivity(nil, nil, logr.Discard(), func() time.Time { return now })
	push := subject{kind: kindWebhook, NamespacedName: types.NamespacedName{Namespace: "ci", Name: "push"}}
	for _, step := range []struct {
		name   string
		after  time.Duration
		reason string // of a request that is refused; "" for none
		want   string // the reason that is written; "" for none
	}{
		{"what is seen first is written at once", 0, "Unauthorized", "Unauthorized"},
		{"what is seen soon after that waits", time.Second, "TooLarge", ""},
		{"of what waits the last is written", activityPeriod - time.Second, "NotJSON", "NotJSON"},
		{"nothing is written twice", activityPeriod, "", ""},
	} {
		now = now.Add(step.after)
		if step.reason != "" {
			a.Rejected("ci", "push", step.reason)
			a.Rejected("ci", "", step.reason) // is noted, and belongs to no object
		}
		due := a.due()
		if one := due[push]; (one != nil) != (step.want != "") || one != nil && one.rejected.Reason != step.want || len(due) > 1 {
			t.Errorf("%s: got %+v", step.name, due)
		}
	}
	if len(a.objects) > 0 {
		t.Errorf("what was not seen for a while is remembered: %v", a.objects)
	}
}

func TestWhatIsSeenWhileItIsWrittenWaitsForTheNextTime(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	a := NewActivity(nil, nil, logr.Discard(), func() time.Time { return now })
	a.Admitted("push", auth.Key{Namespace: "ci", Secret: "sender", Name: "token"})
	first := a.due()
	a.Admitted("push", auth.Key{Namespace: "ci", Secret: "sender", Name: "next"})
	now = now.Add(activityPeriod)
	for name, due := range map[string]map[subject]*seen{"token": first, "next": a.due()} {
		for _, one := range due {
			if _, used := one.keys[auth.Key{Namespace: "ci", Secret: "sender", Name: name}]; !used || len(one.keys) != 1 {
				t.Errorf("%s: got %v", name, one.keys)
			}
		}
		if len(due) != 1 {
			t.Errorf("%s: %d objects", name, len(due))
		}
	}
}
