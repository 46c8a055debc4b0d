package auth

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// login makes a login of the Secret with a name.
func login(t *testing.T, secret, username, password string) Login {
	t.Helper()
	made, err := NewLogin(Key{Namespace: "team", Secret: secret, Name: "password"}, []byte(username), []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestWhichLoginsAdmit(t *testing.T) {
	two := &Basic{Logins: []Login{login(t, "a", "ann", "apple"), login(t, "b", "bob", "berry")}}
	rotating := &Basic{Logins: []Login{login(t, "old", "ann", "apple"), login(t, "new", "ann", "apricot")}}
	nameless := &Basic{Logins: []Login{login(t, "a", "", "apple")}}
	half := &Basic{Logins: []Login{login(t, "a", "ann", "apple")}, Unavailable: true}
	missing := &Basic{Unavailable: true}
	admittedBy := func(secret string) Result {
		return Result{Verdict: Admitted, Key: Key{Namespace: "team", Secret: secret, Name: "password"}}
	}
	for _, c := range []struct {
		name     string
		basic    *Basic
		username string
		password string
		want     Result
	}{
		{"the first login", two, "ann", "apple", admittedBy("a")},
		{"the second login", two, "bob", "berry", admittedBy("b")},
		{"the password of another", two, "ann", "berry", Result{}},
		{"a username with another case", two, "Ann", "apple", Result{}},
		{"a password that is longer", two, "ann", "apples", Result{}},
		{"what joined is a login", two, "anna", "pple", Result{}},
		{"no password", two, "ann", "", Result{}},
		{"neither", two, "", "", Result{}},
		{"the old password during a rotation", rotating, "ann", "apple", admittedBy("old")},
		{"the new one", rotating, "ann", "apricot", admittedBy("new")},
		{"a password without a username", nameless, "", "apple", admittedBy("a")},
		{"a username where there is none", nameless, "ann", "apple", Result{}},
		{"a login where another Secret is missing", half, "ann", "apple", admittedBy("a")},
		{"an unknown one there", half, "bob", "berry", Result{Verdict: Unavailable}},
		{"a login where the Secret is missing", missing, "ann", "apple", Result{Verdict: Unavailable}},
		{"no password where the Secret is missing", missing, "ann", "", Result{Verdict: Unavailable}},
		{"a login that admits nobody", &Basic{Logins: []Login{{}}}, "", "", Result{}},
	} {
		r := &Request{Credentials: Credentials{Basic: true, Username: c.username, Password: c.password}, Now: now}
		if diff := cmp.Diff(c.want, c.basic.Admit(t.Context(), r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		r.Basic = false
		if got := c.basic.Admit(t.Context(), r); got != (Result{}) {
			t.Errorf("%s, of a request without a login: %v", c.name, got)
		}
	}
}

func TestAnEmptyPasswordIsNoLogin(t *testing.T) {
	_, err := NewLogin(Key{Namespace: "team", Secret: "a", Name: "password"}, []byte("ann"), nil)
	if err == nil || !strings.Contains(err.Error(), `basic.secretRef: key "password" of Secret "a"`) {
		t.Errorf("the error does not name the key: %v", err)
	}
}
