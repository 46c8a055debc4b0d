package auth

import (
	"testing"
	"time"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

func TestWhoIsAdmitted(t *testing.T) {
	send, read := []Scope{ScopeSend}, []Scope{ScopeRead}
	keyring := NewKeyring([]Token{
		{Digest: Digest([]byte("team")), Key: Key{Namespace: "team", Secret: "a"}, Scopes: send},
		{Digest: Digest([]byte("other")), Key: Key{Namespace: "other", Secret: "a"}, Scopes: send},
		{Digest: Digest([]byte("system")), Key: Key{Namespace: "system", Secret: "a"}, Scopes: send},
		{Digest: Digest([]byte("reader")), Key: Key{Namespace: "team", Secret: "a"}, Scopes: read},
		{Digest: Digest([]byte("ended")), Key: Key{Namespace: "team", Secret: "a"}, Scopes: send, Expires: now},
		{Digest: Digest([]byte("shared")), Key: Key{Namespace: "other", Secret: "b"}, Scopes: read},
		{Digest: Digest([]byte("shared")), Key: Key{Namespace: "team", Secret: "b"}, Scopes: send},
	}, "system")
	all := []Method{&Tokens{}}
	onlyA := []Method{&Tokens{Secrets: map[string]bool{"a": true}}}
	missing := &Tokens{Secrets: map[string]bool{}, Unavailable: true}
	for _, c := range []struct {
		name       string
		methods    []Method
		credential string
		want       Verdict
	}{
		{"a token of the namespace", all, "team", Admitted},
		{"a system token", all, "system", Admitted},
		{"a token of another namespace", all, "other", Refused},
		{"a token without the scope", all, "reader", Refused},
		{"a token that has ended", all, "ended", Refused},
		{"a token that two Secrets hold", all, "shared", Admitted},
		{"no token", all, "", Refused},
		{"an unknown token", all, "nope", Refused},
		{"a token of the Secret", onlyA, "team", Admitted},
		{"a token of another Secret", onlyA, "shared", Refused},
		{"a token of a Secret with that name elsewhere", onlyA, "other", Refused},
		{"a system token where a Secret is named", onlyA, "system", Refused},
		{"a token where the Secret is missing", []Method{missing}, "team", Unavailable},
		{"an unknown token where the Secret is missing", []Method{missing}, "nope", Unavailable},
		{"no token where the Secret is missing", []Method{missing}, "", Refused},
		{"a token where another method admits it", []Method{missing, all[0]}, "team", Admitted},
		{"a token that the other method refuses", []Method{all[0], missing}, "nope", Unavailable},
		{"anybody", []Method{missing, Anonymous{}}, "", Admitted},
		{"no method", nil, "team", Refused},
	} {
		r := &Request{Caller: keyring.Identify(c.credential, now), Namespace: "team", Now: now}
		if got := Admit(t.Context(), c.methods, r); got.Verdict != c.want {
			t.Errorf("%s: %v, want %v", c.name, got.Verdict, c.want)
		}
	}
}

func TestWhatACallerMayDo(t *testing.T) {
	keyring := NewKeyring([]Token{
		{Digest: Digest([]byte("team")), Key: Key{Namespace: "team"}, Scopes: []Scope{ScopeList}},
		{Digest: Digest([]byte("system")), Key: Key{Namespace: "system"}, Scopes: []Scope{ScopeList}},
	}, "system")
	for _, c := range []struct {
		credential, namespace string
		scope                 Scope
		want                  bool
	}{
		{"team", "team", ScopeList, true},
		{"team", "other", ScopeList, false},
		{"team", "", ScopeList, false},
		{"team", "team", ScopeRead, false},
		{"team", "team", ScopeAny, true},
		{"system", "team", ScopeList, true},
		{"system", "", ScopeAny, true},
		{"nope", "team", ScopeAny, false},
	} {
		if got := keyring.Identify(c.credential, now).May(c.scope, c.namespace); got != c.want {
			t.Errorf("%s may %q in %q: %v", c.credential, c.scope, c.namespace, got)
		}
	}
	if keyring.Identify("team", now).MaySomewhere(ScopeReplay) || !keyring.Identify("team", now).MaySomewhere(ScopeList) {
		t.Error("a caller may what no token of it allows, or not what one does")
	}
}
