package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// metricsToken is the token of an account that may read metrics.
var metricsToken string

// accountToken makes a ServiceAccount, and a token of it for an audience; "" is the API server's own.
func accountToken(ctx context.Context, namespace, name, audience string) string {
	GinkgoHelper()
	kubectl(ctx, "create", "serviceaccount", name, "--namespace", namespace)
	arguments := []string{"create", "token", name, "--namespace", namespace}
	if audience != "" {
		arguments = append(arguments, "--audience", audience)
	}
	return secretJWT("token of ServiceAccount "+namespace+"/"+name, strings.TrimSpace(kubectl(ctx, arguments...)))
}

// secretJWT notes a JSON Web Token, and its signature alone.
func secretJWT(what, token string) string {
	credentials.add(what, token[strings.LastIndex(token, ".")+1:])
	return secret(what, token)
}

// measurer reads metrics: their certificate is made up.
var measurer = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
}

// measure asks for the metrics with a token; "" is none.
func (s *server) measure(ctx context.Context, scheme, token string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+s.metrics+"/metrics", nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := measurer.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// Metrics returns the metrics as the account that may read them gets them.
func (s *server) Metrics(ctx context.Context) []byte {
	GinkgoHelper()
	var text []byte
	// They are not served yet when HookStorm is ready: their certificate is made up first.
	Eventually(ctx, func(g Gomega) {
		status, read, err := s.measure(ctx, "https", metricsToken)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(status).To(Equal(http.StatusOK), read)
		text = []byte(read)
	}).Should(Succeed())
	return text
}

var _ = Describe("Metrics", func() {
	It("are for accounts that may read them, over TLS", func(ctx context.Context) {
		stranger := accountToken(ctx, namespace, "stranger", "")
		for _, reader := range []struct {
			token  string
			status int
		}{
			{"", http.StatusUnauthorized},
			{canary("metrics token"), http.StatusInternalServerError}, // so says controller-runtime
			{systemToken, http.StatusInternalServerError},
			{stranger, http.StatusForbidden},
			{metricsToken, http.StatusOK},
		} {
			status, text, err := hookstorm.measure(ctx, "https", reader.token)
			Expect(err).NotTo(HaveOccurred())
			Expect(status).To(Equal(reader.status), text)
			Expect(strings.Contains(text, "go_goroutines")).To(Equal(status == http.StatusOK))
		}
		// The server answers 400 and resets the connection, which may overtake the answer.
		if status, text, err := hookstorm.measure(ctx, "http", metricsToken); err == nil {
			Expect(status).To(Equal(http.StatusBadRequest))
			Expect(text).NotTo(ContainSubstring("go_goroutines"))
		}
	})

	It("get no series from paths that nobody has", func(ctx context.Context) {
		Apply(ctx, namespace, webhook("hook", "url: "+namespace))
		ExpectReady(ctx, webhookNamed(namespace, "hook"))
		scan := func(times int) {
			for range times {
				path := fmt.Sprintf("%x", rand.Uint64())
				for _, r := range []request{post(short(path), `{}`), post(short(path), `{}`).as(""), get("/" + path), post(namespaced(path, path), `{}`)} {
					_, err := hookstorm.send(ctx, r)
					Expect(err).NotTo(HaveOccurred())
				}
			}
		}
		scan(1)
		before := series(hookstorm.Metrics(ctx))
		scan(50)
		Expect(series(hookstorm.Metrics(ctx))-before).To(BeNumerically("<", 10), "of the 200 paths, some became series")
	})
})

// series counts the series of HookStorm and of the server that it posts to.
func series(metrics []byte) int {
	count := 0
	for line := range strings.Lines(string(metrics)) {
		if !strings.HasPrefix(line, "#") {
			count++
		}
	}
	return count
}
