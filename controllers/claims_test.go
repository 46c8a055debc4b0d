package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

func TestKeptNamesAreReadableUniqueAndShort(t *testing.T) {
	tests := map[string]struct{ url, want string }{
		"a url that is a name":         {"sample", "sample"},
		"a name that is taken":         {"taken", "taken-99341d56"},
		"a url with slashes":           {"github/pr", "github-pr-54bcb19f"},
		"upper case is another url":    {"GitHub/pr", "github-pr-c245cefc"},
		"a url of odd characters":      {"~._", "5442a6e7"},
		"a long url":                   {strings.Repeat("a", 99), strings.Repeat("a", 40) + "-13284468"},
		"a url that ends in a hyphen":  {"a-", "a-9baf4407"},
		"a cut that ends in a hyphen":  {strings.Repeat("a", 39) + "/b", strings.Repeat("a", 39) + "-5b0492cb"},
		"a url that begins with a dot": {".hidden", "hidden-16924190"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := keptName(test.url, func(name string) bool { return name == "taken" })
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestAUsersWebhookComesBeforeAKeptOneThenTheOlder(t *testing.T) {
	webhook := func(name string, age time.Duration, keptByUs bool) v1alpha1.Webhook {
		w := v1alpha1.Webhook{Spec: v1alpha1.WebhookSpec{URL: "/x/"}}
		w.Namespace, w.Name, w.Generation = "ci", name, 1
		w.CreationTimestamp = metav1.NewTime(time.Unix(1_000_000, 0).Add(-age))
		if keptByUs {
			w.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByHookStorm}
		}
		return w
	}
	all := claims([]v1alpha1.Webhook{webhook("kept", 3*time.Hour, true), webhook("b", time.Hour, false), webhook("a", time.Minute, false)}, nil)
	if len(all) != 1 {
		t.Fatalf("%d claims", len(all))
	}
	got := []string{all[0].webhook.Name, all[0].others[0].Name, all[0].others[1].Name}
	if diff := cmp.Diff([]string{"b", "a", "kept"}, got); diff != "" {
		t.Error(diff)
	}
	if want := time.Unix(1_000_000, 0).Add(-3 * time.Hour); !all[0].since().Equal(want) {
		t.Errorf("the claim is as old as the oldest: got %s, want %s", all[0].since(), want)
	}
}

func TestWhoKeepsAWebhook(t *testing.T) {
	ours := func(change func(*v1alpha1.Webhook)) *v1alpha1.Webhook {
		w := &v1alpha1.Webhook{}
		w.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByHookStorm}
		w.Generation = 1
		w.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "hookstorm"}, {Manager: "hookstorm", Subresource: "status"}}
		change(w)
		return w
	}
	tests := map[string]struct {
		change func(*v1alpha1.Webhook)
		want   bool
	}{
		"HookStorm, as it made it": {func(*v1alpha1.Webhook) {}, true},
		"a user who applied over it": {func(w *v1alpha1.Webhook) {
			w.ManagedFields = append(w.ManagedFields, metav1.ManagedFieldsEntry{Manager: "kubectl"})
		}, false},
		"a user who changed the spec":        {func(w *v1alpha1.Webhook) { w.Generation = 2 }, false},
		"a user whose it was from the start": {func(w *v1alpha1.Webhook) { w.Labels = nil }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := kept(ours(test.change)); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
