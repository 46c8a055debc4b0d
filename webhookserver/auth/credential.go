package auth

import (
	"net/http"
	"net/url"
	"strings"
)

// The places of a credential, in canonical form.
const (
	tokenHeader  = "X-Auth-Token"
	apiKeyHeader = "St2-Api-Key"
	tokenQuery   = "x-auth-token"
	apiKeyQuery  = "st2-api-key"
)

// Take returns the credential of a request and removes everything that is or may hold one, and the whole query, so that
// nothing after it can log, store or forward a secret. StackStorm's order holds, with Authorization: Bearer after the two
// headers; the first that is not empty decides, be it good or bad.
func Take(r *http.Request) string {
	credential := find(r)
	for _, name := range [...]string{tokenHeader, apiKeyHeader, "Authorization", "Proxy-Authorization", "Cookie"} {
		delete(r.Header, name)
	}
	r.URL.RawQuery, r.URL.ForceQuery = "", false
	r.RequestURI, _, _ = strings.Cut(r.RequestURI, "?")
	return credential
}

func find(r *http.Request) string {
	for _, name := range [...]string{tokenHeader, apiKeyHeader} {
		if value := joined(r.Header[name]); value != "" {
			return value
		}
	}
	if value := bearer(joined(r.Header["Authorization"])); value != "" {
		return value
	}
	if r.URL.RawQuery == "" {
		return ""
	}
	// An error means that some pairs could not be read; the others are there.
	query, _ := url.ParseQuery(r.URL.RawQuery)
	if value := query.Get(tokenQuery); value != "" {
		return value
	}
	return query.Get(apiKeyQuery)
}

// joined is a header's value as WSGI has it. A credential that was sent twice is none that is valid, which keeps a proxy
// and this server from picking different ones.
func joined(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values, ",")
}

// bearer returns the token of an Authorization header; other schemes carry none.
func bearer(authorization string) string {
	scheme, token, found := strings.Cut(authorization, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
