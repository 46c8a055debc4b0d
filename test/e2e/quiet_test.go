package e2e_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Who may not post", func() {
	It("gets one answer, whatever is wrong", func(ctx context.Context) {
		key := canary("key")
		Apply(ctx, namespace, signingSecret("keys", key), tokenSecret("own", "token: "+canary("token"), ""),
			webhook("tokens", "url: "+namespace+"/tokens"),
			webhook("own", "url: "+namespace+"/own, auth: [{tokens: {secretRef: {name: own}}}]"),
			webhook("signed", "url: "+namespace+"/signed, auth: ["+github.auth("keys")+"]"),
			webhook("suspended", "url: "+namespace+"/suspended, suspend: true"),
			webhook("small", "url: "+namespace+"/small, limits: {maxBodySize: 1Ki}"))
		urls := []string{"nobody"}
		for _, name := range []string{"tokens", "own", "signed", "suspended", "small"} {
			ExpectReady(ctx, webhookNamed(namespace, name))
			urls = append(urls, name)
		}
		large := `{"a": "` + strings.Repeat("x", 2<<10) + `"}`
		var first *answer
		for _, url := range urls {
			for _, at := range []string{short(namespace + "/" + url), namespaced(namespace, namespace+"/"+url)} {
				plain := post(at, `{}`).as("")
				requests := []request{
					plain, plain.as(canary("wrong token")), plain.authorized("Bearer " + canary("wrong token")), plain.authorized(login("ci", canary("password"))),
					github.post(canary("wrong key"), at, `{}`), plain.with("X-Hub-Signature-256", "sha256=00"),
					plain.with("Content-Type", "text/html"), post(at, large).as(""), post(at, "{").as(""), post(at+"?x-auth-token="+canary("query token"), `{}`).as(""),
				}
				for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodTrace} {
					other := plain
					other.method = method
					requests = append(requests, other)
				}
				for _, r := range requests {
					a, err := hookstorm.send(ctx, r)
					Expect(err).NotTo(HaveOccurred())
					a.header.Del("X-Request-Id")
					a.header.Del("Date")
					if first == nil {
						first = &a
						Expect(a.status).To(Equal(http.StatusUnauthorized))
					}
					// What is larger than the largest body of all is not read to its end.
					a.header.Del("Connection")
					Expect(a).To(Equal(*first), "%s %s", r.method, r.path)
				}
			}
		}
	})
})

// sendRaw writes lines of a request as they are, and a body, and returns the status of the answer.
func sendRaw(ctx context.Context, body string, lines ...string) int {
	GinkgoHelper()
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", hookstorm.address)
	Expect(err).NotTo(HaveOccurred())
	defer connection.Close()
	Expect(connection.SetDeadline(time.Now().Add(10 * time.Second))).To(Succeed())
	_, err = fmt.Fprintf(connection, "%s\r\nHost: hookstorm\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		strings.Join(lines, "\r\n"), len(body), body)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	return response.StatusCode
}

// invisible returns the characters of a text that a terminal obeys instead of showing.
func invisible(text string) []string {
	var found []string
	for i, c := range text {
		if c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
			found = append(found, fmt.Sprintf("%U in %q", c, text[max(0, i-40):min(len(text), i+40)]))
		}
	}
	return found
}

var _ = Describe("Control characters", func() {
	// A new line, a color, an override of the direction of writing, NUL, and a control of 8-bit terminals.
	const hostile, escaped = "\n\x1b[31m\u202e\x00\u009b31m", `\n\u001b[31m\u202e\u0000\u009b31m`

	It("of senders reach no log, Event, condition or column", func(ctx context.Context) {
		_, mark := hookstorm.Log(0)
		hook, generic := short(namespace+"/hook"), short(namespace+"/generic")
		Apply(ctx, namespace,
			webhook("hook", "url: "+namespace+"/hook, history: {record: Event}, validation: Audit, "+
				"payloadSchema: {properties: {ok: {const: 1}}, additionalProperties: false}"),
			webhook("generic", "url: "+namespace+"/generic, type: Generic, history: {record: Event}"),
			ruleAt("saw", namespace+"/hook", "trigger.body.ok: {type: regex, pattern: x}"))
		ExpectReady(ctx, webhookNamed(namespace, "hook"), webhookNamed(namespace, "generic"), ruleNamed(namespace, "saw"))

		id := ExpectAccepted(ctx, post(hook, `{"ok": "`+escaped+`", "`+escaped+`": 1}`))
		record := ExpectRecord(ctx, namespace, id)
		Expect(string(payload(record).Body)).To(ContainSubstring(escaped))

		for _, trigger := range []string{escaped, `a\nb`, `a\u001b[31m`, `a\u202eb`, `a\u0000`, `a\u009b31m`} {
			ExpectRefused(ctx, post(generic, `{"trigger": "pack.`+trigger+`", "payload": {}}`), http.StatusBadRequest)
		}

		token := "X-Auth-Token: " + systemToken
		for _, header := range []string{"St2-Trace-Tag", "X-Request-Id", "User-Agent", "X-GitHub-Event"} {
			for _, c := range []string{"\x00", "\x1b[31m", "\n", "\r"} {
				Expect(sendRaw(ctx, `{}`, "POST "+hook+" HTTP/1.1", token, header+": a"+c+"b")).To(BeElementOf(http.StatusBadRequest, http.StatusAccepted))
			}
			for _, c := range []string{"\u202e", "\u009b31m", "\t"} {
				Expect(sendRaw(ctx, `{}`, "POST "+hook+" HTTP/1.1", token, header+": a"+c+"b")).To(Equal(http.StatusAccepted))
			}
		}
		for _, path := range []string{"%0a%1b[31m", "%e2%80%ae", "%00", "%c2%9b31m", "\x1b[31m", "\u202e", "\x00"} {
			Expect(sendRaw(ctx, `{}`, "POST "+hook+path+" HTTP/1.1", token)).To(BeElementOf(http.StatusBadRequest, http.StatusNotFound))
			Expect(sendRaw(ctx, `{}`, "POST "+hook+path+" HTTP/1.1")).To(BeElementOf(http.StatusBadRequest, http.StatusUnauthorized))
		}
		for _, line := range []string{"GET " + hook + "?x-auth-token=%1b[31m HTTP/1.1", "\x1b[31m " + hook + " HTTP/1.1", "POST " + hook + " HTTP/1.\u202e"} {
			Expect(sendRaw(ctx, "", line)).To(BeElementOf(http.StatusBadRequest, http.StatusUnauthorized))
		}
		ExpectRefused(ctx, post(hook, `{}`).authorized("Basic "+base64.StdEncoding.EncodeToString([]byte(hostile+":"+hostile))), http.StatusUnauthorized)
		ExpectRecord(ctx, namespace, ExpectAccepted(ctx, post(hook, `{"last": 1}`)))

		log, _ := hookstorm.Log(mark)
		for line := range strings.Lines(log) {
			Expect(json.Valid([]byte(line))).To(BeTrue(), line)
			Expect(invisible(line)).To(BeEmpty())
		}
		for _, arguments := range [][]string{
			{"get", "webhooks,rules,triggerinstances,events.events.k8s.io", "--output=wide"},
			{"get", "webhooks,rules,triggerinstances", "--output=custom-columns=NAME:.metadata.name,CONDITIONS:.status.conditions," +
				"RULES:.status.rules,VIOLATION:.status.violation,TAG:.spec.traceTag,LABELS:.metadata.labels"},
			{"events"},
			{"describe", "webhooks"},
			{"describe", "rules"},
		} {
			Expect(invisible(kubectl(ctx, append(arguments, "--namespace", namespace)...))).To(BeEmpty(), "kubectl %v", arguments)
		}
	})
})
