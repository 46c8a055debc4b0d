package auth

import (
	"encoding/base64"
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

// credentialHeaders hold credentials, or may: the sender's own, those of systems on the way, and the urls that proxies repeat,
// in whose query a token may be.
var credentialHeaders = [...]string{
	tokenHeader, apiKeyHeader, "Authorization", "Proxy-Authorization", "Cookie",
	"X-Api-Key", "X-Amz-Security-Token", "X-Forwarded-Client-Cert", "X-Vault-Token",
	"Referer", "X-Envoy-Original-Path", "X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url", "X-Rewrite-Url",
}

// Take returns what a request shows of its sender, and its path and query as they were sent; and removes everything that is
// or may hold a credential, and the whole query, so that nothing after it can log, store or forward a secret. Signatures
// stay until they are verified.
//
// Of several tokens the first that is not empty decides, be it good or bad: StackStorm's order holds, with Authorization:
// Bearer after the two headers.
func Take(r *http.Request) (Credentials, string) {
	authorization := joined(r.Header["Authorization"])
	c := Credentials{Bearer: bearer(authorization)}
	c.Username, c.Password, c.Basic = basic(authorization)
	c.Token = token(r, c.Bearer)
	if r.TLS != nil {
		c.Certificates = r.TLS.PeerCertificates
	}
	for _, name := range credentialHeaders {
		delete(r.Header, name)
	}
	target := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	r.URL.RawQuery, r.URL.ForceQuery = "", false
	r.RequestURI, _, _ = strings.Cut(r.RequestURI, "?")
	return c, target
}

func token(r *http.Request, bearer string) string {
	for _, name := range [...]string{tokenHeader, apiKeyHeader} {
		if value := joined(r.Header[name]); value != "" {
			return value
		}
	}
	if bearer != "" || r.URL.RawQuery == "" {
		return bearer
	}
	// An error means that some pairs could not be read; the others are there.
	query, _ := url.ParseQuery(r.URL.RawQuery)
	if value := query.Get(tokenQuery); value != "" {
		return value
	}
	return query.Get(apiKeyQuery)
}

// basic returns the username and password of an Authorization header (RFC 7617).
func basic(authorization string) (username, password string, found bool) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	if username, password, found = strings.Cut(string(decoded), ":"); !found {
		return "", "", false
	}
	return username, password, true
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
