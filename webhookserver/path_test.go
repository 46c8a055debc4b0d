package webhookserver

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatAPathNames(t *testing.T) {
	outside := target{}
	for path, want := range map[string]target{
		"/v1/webhooks":                        {collection: true},
		"/v1/webhooks/":                       {collection: true},
		"/api/v1/webhooks":                    {collection: true},
		"/webhooks":                           {collection: true},
		"/v1/webhooks/git":                    {url: "git"},
		"/v1/webhooks/git/":                   {url: "git"},
		"/v1/webhooks/git//":                  {url: "git/"},
		"/v1/webhooks//git":                   {url: "/git"},
		"/v1/webhooks/a/b":                    {url: "a/b"},
		"/api/v1/webhooks/a/b/":               {url: "a/b"},
		"/webhooks/st2":                       {url: "st2"},
		"/v1/webhooks/a/../git":               {url: "a/../git"},
		"/v1/webhooks/%67it":                  {url: "%67it"},
		"/webhooks/webhooks":                  {url: "webhooks"},
		"/v1/namespaces/team/webhooks/git":    {namespaced: true, namespace: "team", url: "git"},
		"/v1/namespaces/team/webhooks/a/b/":   {namespaced: true, namespace: "team", url: "a/b"},
		"/v1/namespaces/t/webhooks/webhooks/": {namespaced: true, namespace: "t", url: "webhooks"},
		"/v1/namespaces/a/b/webhooks/git":     outside,
		"/v1/namespaces//webhooks/git":        outside,
		"/v1/namespaces/team/webhooks":        outside,
		"/v1/namespaces/team":                 outside,
		"/v1/webhooksgit":                     outside,
		"/V1/webhooks/git":                    outside,
		"/v2/webhooks/git":                    outside,
		"//v1/webhooks/git":                   outside,
		"/":                                   outside,
		"":                                    outside,
		"*":                                   outside,
	} {
		got, found := parsePath(path)
		if found != (want != outside) {
			t.Errorf("%q: found %v", path, found)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(target{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", path, diff)
		}
	}
}

// absoluteForm is a request target that names a path the long way (RFC 9112, 3.2.2).
var absoluteForm = regexp.MustCompile(`^(?i:https?)://(?:[^/]*@)?[^/@]+(/.*)$`)

// FuzzPath sends any request target, and finds that only a path that was claimed, byte for byte, reaches a webhook, and
// that nothing is ever a redirect.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/v1/webhooks/git", "/v1/webhooks/git/", "/webhooks/a/b?x", "/v1/webhooks/a%2fb", "/v1/webhooks/%67it", "/v1/webhooks/x/../git",
		"/v1/webhooks//git", "//v1/webhooks/git", "http://evil/v1/webhooks/git", "*", "/v1/webhooks/git;x", "/v1/webhooks/git%00",
		"/v1/namespaces/team/webhooks/a/b", "/v1/webhooks/g\u00eft", "/v1/webhooks/git#x", "/v1/webhooks/\\git", "/v1/./webhooks/git",
		"a:/v1/webhooks/git", "http:/v1/webhooks/git", "ftp://x/v1/webhooks/git", "http:///v1/webhooks/git", "http://u@/v1/webhooks/git",
	} {
		f.Add(seed)
	}
	h := benchmarkHandler()
	methods := []Hook{{Key: Key{Namespace: "team", URL: "git"}}, {Key: Key{Namespace: "team", URL: "a/b"}}}
	for i := range methods {
		methods[i].Auth = h.routes.Current().routes[Key{Namespace: "team", URL: "git"}].Auth
	}
	table, _ := Build(Input{Hooks: methods})
	table.keyring = h.routes.Current().keyring
	h.routes.Publish(table)

	claimed := map[string]bool{}
	for _, url := range []string{"git", "a/b"} {
		for _, prefix := range []string{"/v1/webhooks/", "/api/v1/webhooks/", "/webhooks/", "/v1/namespaces/team/webhooks/"} {
			claimed[prefix+url], claimed[prefix+url+"/"] = true, true
		}
	}
	f.Fuzz(func(t *testing.T, sent string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST " + sent + " HTTP/1.1\r\nHost: x\r\nX-Auth-Token: secret\r\n\r\n")))
		if err != nil || r.Method != http.MethodPost {
			return
		}
		w := httptest.NewRecorder()
		requestURI := r.RequestURI
		h.ServeHTTP(w, r)
		if 300 <= w.Code && w.Code < 400 {
			t.Fatalf("%q is redirected", sent)
		}
		path, _, _ := strings.Cut(requestURI, "?")
		if absolute := absoluteForm.FindStringSubmatch(path); absolute != nil {
			path = absolute[1]
		}
		if (w.Code == http.StatusAccepted) != claimed[path] {
			t.Fatalf("%q (path %q): %d", sent, path, w.Code)
		}
	})
}
