package auth

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheFirstCredentialThatIsNotEmptyDecides(t *testing.T) {
	const query = "?x-auth-token=qt&st2-api-key=qk"
	for _, c := range []struct {
		name, query, headers, want string
	}{
		{"nothing", "", "", ""},
		{"X-Auth-Token first", query, "X-Auth-Token: t|St2-Api-Key: k|Authorization: Bearer b", "t"},
		{"then St2-Api-Key", query, "X-Auth-Token: |St2-Api-Key: k|Authorization: Bearer b", "k"},
		{"then a bearer token", query, "Authorization: Bearer b", "b"},
		{"its scheme in any case", "", "Authorization: bEARER  b ", "b"},
		{"then the query's token", query, "Authorization: Basic b", "qt"},
		{"then the query's key", "?x-auth-token=&st2-api-key=qk", "", "qk"},
		{"names in the query have a case", "?X-Auth-Token=qt", "", ""},
		{"a query is decoded", "?x-auth-token=a%2Bb+c", "", "a+b c"},
		{"a query that is partly broken", "?%zz=1&x-auth-token=qt", "", "qt"},
		{"a header that was sent twice is another credential", "", "X-Auth-Token: a|X-Auth-Token: b", "a,b"},
		{"no scheme", "", "Authorization: Bearer", ""},
		{"a cookie is none", "", "Cookie: auth-token=t", ""},
	} {
		r := httptest.NewRequest("POST", "/v1/webhooks/git"+c.query, nil)
		for header := range strings.SplitSeq(c.headers, "|") {
			if name, value, found := strings.Cut(header, ": "); found {
				r.Header.Add(name, value)
			}
		}
		if got := Take(r); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if len(r.Header) != 0 || r.URL.String() != "/v1/webhooks/git" || r.RequestURI != "/v1/webhooks/git" {
			t.Errorf("%s: left in the request: %v %s %s", c.name, r.Header, r.URL, r.RequestURI)
		}
	}
}
