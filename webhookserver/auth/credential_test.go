package auth

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		{"a url that a proxy repeats is none, and goes", "", "X-Original-Uri: /v1/webhooks/git?x-auth-token=t|Referer: /?st2-api-key=t", ""},
	} {
		r := httptest.NewRequest("POST", "/v1/webhooks/git"+c.query, nil)
		for header := range strings.SplitSeq(c.headers, "|") {
			if name, value, found := strings.Cut(header, ": "); found {
				r.Header.Add(name, value)
			}
		}
		got, target := Take(r)
		if got.Token != c.want {
			t.Errorf("%s: %q, want %q", c.name, got.Token, c.want)
		}
		if want := "/v1/webhooks/git" + c.query; target != want {
			t.Errorf("%s: the target is %q, want %q", c.name, target, want)
		}
		if len(r.Header) != 0 || r.URL.String() != "/v1/webhooks/git" || r.RequestURI != "/v1/webhooks/git" {
			t.Errorf("%s: left in the request: %v %s %s", c.name, r.Header, r.URL, r.RequestURI)
		}
	}
}

func TestOtherCredentialsAreTakenBesideTheToken(t *testing.T) {
	certificate := &x509.Certificate{}
	for _, c := range []struct {
		name, authorization string
		want                Credentials
	}{
		{"none", "", Credentials{}},
		{"a bearer token is a token", "Bearer b", Credentials{Token: "b", Bearer: "b"}},
		{"a password", "Basic dTpwOnE=", Credentials{Username: "u", Password: "p:q", Basic: true}},
		{"its scheme in any case", "bASIC dTpw", Credentials{Username: "u", Password: "p", Basic: true}},
		{"no password", "Basic dTo=", Credentials{Username: "u", Basic: true}},
		{"no colon", "Basic dQ==", Credentials{}},
		{"no base64", "Basic ?", Credentials{}},
	} {
		r := httptest.NewRequest("POST", "/v1/webhooks/git", nil)
		r.Header.Set("Authorization", c.authorization)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
		c.want.Certificates = r.TLS.PeerCertificates
		got, _ := Take(r)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
