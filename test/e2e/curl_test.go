package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// request is what a sender sends.
type request struct {
	method, path, body string
	headers            map[string]string
}

// post is a POST of JSON with the system token.
func post(path, body string) request {
	return request{method: http.MethodPost, path: path, body: body, headers: map[string]string{
		"Content-Type": "application/json", "X-Auth-Token": systemToken,
	}}
}

// get is a GET with the system token.
func get(path string) request {
	return request{method: http.MethodGet, path: path, headers: map[string]string{"X-Auth-Token": systemToken}}
}

// as returns the request with another token; "" is none.
func (r request) as(token string) request { return r.with("X-Auth-Token", token) }

// with returns the request with a header of another value; "" is none.
func (r request) with(header, value string) request {
	r.headers = maps.Clone(r.headers)
	r.headers[header] = value
	if value == "" {
		delete(r.headers, header)
	}
	return r
}

// short and namespaced return the paths of a webhook.
func short(url string) string { return "/v1/webhooks/" + url }

func namespaced(namespace, url string) string {
	return fmt.Sprintf("/v1/namespaces/%s/webhooks/%s", namespace, url)
}

// answer is what a sender gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// Delivery returns the id of the delivery.
func (a answer) Delivery() string { return a.header.Get("X-Delivery-Id") }

// send sends a request with curl, or where that is not installed with Go's client.
func send(ctx context.Context, r request) (answer, error) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		return hookstorm.send(ctx, r)
	}
	arguments := []string{
		"--disable", "--noproxy", "*", "--silent", "--show-error", "--include", "--path-as-is", "--max-time", "10", "--request", r.method,
	}
	for _, name := range slices.Sorted(maps.Keys(r.headers)) {
		arguments = append(arguments, "--header", name+": "+r.headers[name])
	}
	if r.body != "" {
		arguments = append(arguments, "--data", r.body)
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, curl, append(arguments, hookstorm.URL(r.path))...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return answer{}, fmt.Errorf("curl: %w: %s", err, stderr.String())
	}
	return read(http.ReadResponse(bufio.NewReader(&stdout), nil))
}

// send sends a request without curl.
func (s *server) send(ctx context.Context, r request) (answer, error) {
	sent, err := http.NewRequestWithContext(ctx, r.method, s.URL(r.path), strings.NewReader(r.body))
	if err != nil {
		return answer{}, fmt.Errorf("making the request: %w", err)
	}
	for name, value := range r.headers {
		sent.Header.Set(name, value)
	}
	return read(http.DefaultClient.Do(sent))
}

func read(response *http.Response, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}, err
}

// Send sends a request once.
func Send(ctx context.Context, r request) answer {
	GinkgoHelper()
	a, err := send(ctx, r)
	Expect(err).NotTo(HaveOccurred())
	return a
}

// ExpectAnswer sends a request until it is answered with a status, and returns that answer.
func ExpectAnswer(ctx context.Context, r request, status int) answer {
	GinkgoHelper()
	var last answer
	Eventually(ctx, func() (int, error) {
		var err error
		last, err = send(ctx, r)
		return last.status, err
	}).Should(Equal(status), func() string { return "the last answer was " + last.body })
	return last
}

// ExpectAccepted sends a request once, expects 202, and returns the delivery's id.
func ExpectAccepted(ctx context.Context, r request) string {
	GinkgoHelper()
	a := Send(ctx, r)
	Expect(a.status).To(Equal(http.StatusAccepted), a.body)
	Expect(a.Delivery()).To(HaveLen(26))
	return a.Delivery()
}

// ExpectRefused sends a request once, and expects a status.
func ExpectRefused(ctx context.Context, r request, status int) answer {
	GinkgoHelper()
	a := Send(ctx, r)
	Expect(a.status).To(Equal(status), a.body)
	Expect(a.Delivery()).To(BeEmpty())
	return a
}
