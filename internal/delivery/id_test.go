package delivery

import (
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
)

func TestIDsThatDerive(t *testing.T) {
	at := time.Date(2026, 3, 14, 15, 9, 26, 535e6, time.UTC)
	asked := IDAt(at, "uid")
	parsed, err := ulid.ParseStrict(strings.ToUpper(asked))
	if err != nil || !parsed.Timestamp().Equal(at) {
		t.Errorf("%s is no ULID of %s: %v, %v", asked, at, parsed.Timestamp(), err)
	}
	child := ChildID(asked, "rule", "action")
	if _, err := ulid.ParseStrict(strings.ToUpper(child)); err != nil || child[:timeLength] != asked[:timeLength] {
		t.Errorf("%s is no ULID of the time of %s: %v", child, asked, err)
	}
	if child != ChildID(asked, "rule", "action") {
		t.Error("the same is dispatched under another id")
	}
	for name, other := range map[string]string{
		"another parent":        ChildID(IDAt(at, "other"), "rule", "action"),
		"another action":        ChildID(asked, "rule", "other"),
		"another cut of texts":  ChildID(asked, "rulea", "ction"),
		"a parent that is none": ChildID("short", "rule", "action"),
		"another asker":         IDAt(at, "other"),
	} {
		if other == child || other == asked || len(other) != len(child) {
			t.Errorf("%s has the id %s", name, other)
		}
	}
}
