package webhookserver

import (
	"net/url"
	"strings"
)

// collections are the paths of the collection of webhooks; a webhook is at one of them, a slash and its url.
var collections = [...]string{"/v1/webhooks", "/api/v1/webhooks", "/webhooks"}

// target is what a path names. It is what the sender wrote: that there is such a webhook is the table's to say.
type target struct {
	collection bool   // the collection itself
	namespaced bool   // the namespaced path of one webhook
	namespace  string // only if namespaced
	url        string
}

// parsePath takes a path apart as it was sent, without decoding or cleaning it: %2f, "..", and doubled slashes are bytes
// of a url that nobody owns. One trailing slash is cut, as StackStorm does. The result is false outside of the prefixes.
func parsePath(path string) (target, bool) {
	path = strings.TrimSuffix(path, "/")
	for _, collection := range collections {
		rest, found := strings.CutPrefix(path, collection)
		switch {
		case found && rest == "":
			return target{collection: true}, true
		case found && rest[0] == '/':
			return target{url: rest[1:]}, true
		}
	}
	rest, found := strings.CutPrefix(path, "/v1/namespaces/")
	if !found {
		return target{}, false
	}
	namespace, url, found := strings.Cut(rest, "/webhooks/")
	if !found || namespace == "" || strings.Contains(namespace, "/") {
		return target{}, false
	}
	return target{namespaced: true, namespace: namespace, url: url}, true
}

// ownScheme reports whether a request's target is one that a server over HTTP can have: a path, or the absolute form of it,
// which RFC 9112 (3.2.2) has every server accept. Other schemes have paths of their own.
func ownScheme(target *url.URL) bool {
	switch target.Scheme {
	case "":
		return true
	case "http", "https":
		return target.Host != ""
	default:
		return false
	}
}
