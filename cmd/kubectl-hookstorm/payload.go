package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// withheld are the headers, in canonical form, that the server leaves out of payloads: credentials, signatures and the trace
// tag.
var withheld = []string{
	"Authorization", "Cookie", "Proxy-Authorization", "St2-Api-Key", "St2-Trace-Tag", "X-Auth-Token",
	"Sentry-Hook-Signature", "Stripe-Signature", "Svix-Signature", "Webhook-Signature", "X-Forgejo-Signature",
	"X-Gitea-Signature", "X-Gitlab-Token", "X-Gogs-Signature", "X-Grafana-Alerting-Signature", "X-Hub-Signature",
	"X-Hub-Signature-256", "X-Pagerduty-Signature", "X-Shopify-Hmac-Sha256", "X-Slack-Signature", "X-Twilio-Signature",
}

// webhookPayload is the payload of core.st2.webhook.
type webhookPayload struct {
	Headers      map[string]string `json:"headers"`
	HeadersLower map[string]string `json:"headers_lower"`
	Body         json.RawMessage   `json:"body"`
}

// newWebhookPayload returns the payload that the server makes of a request with this body and these headers, each written
// "Name: value".
func newWebhookPayload(body []byte, headers []string) ([]byte, error) {
	given := http.Header{}
	for _, header := range headers {
		name, value, found := strings.Cut(header, ":")
		if name = strings.TrimSpace(name); !found || name == "" {
			return nil, fmt.Errorf("--header: %q is not of the form 'Name: value'", header)
		}
		given.Add(name, strings.TrimSpace(value))
	}
	document, err := readBody(body, given.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("--body: %w", err)
	}
	given.Set("Content-Length", strconv.Itoa(len(body)))
	for name, value := range map[string]string{"Host": "localhost", "X-Request-Id": sampleID} {
		if given.Get(name) == "" {
			given.Set(name, value)
		}
	}
	payload := webhookPayload{Headers: map[string]string{}, HeadersLower: map[string]string{}, Body: document}
	for name, values := range given {
		if slices.Contains(withheld, name) || strings.Contains(name, "_") {
			continue
		}
		value := strings.Join(values, ",")
		payload.Headers[titleCase(name)] = value
		payload.HeadersLower[strings.ToLower(name)] = value
	}
	return json.Marshal(payload)
}

// readBody returns a body as JSON, as the server reads it.
func readBody(body []byte, contentType string) (json.RawMessage, error) {
	mediaType := "application/json"
	if contentType != "" {
		var err error
		if mediaType, _, err = mime.ParseMediaType(contentType); err != nil {
			return nil, fmt.Errorf("the header Content-Type: %w", err)
		}
	}
	switch mediaType {
	case "application/json":
		return readJSONBody(body)
	case "application/x-www-form-urlencoded":
		return readForm(string(body))
	default:
		return nil, fmt.Errorf("the content type %s cannot be tested; write the whole payload and name it with --payload", mediaType)
	}
}

func readJSONBody(body []byte) (json.RawMessage, error) {
	text := strings.TrimSpace(string(body))
	switch {
	case text == "":
		return json.RawMessage("{}"), nil
	case !json.Valid(body):
		return nil, errors.New("not a JSON document")
	case text[0] != '{' && text[0] != '[':
		return nil, errors.New("the server takes objects and lists only")
	}
	return body, nil
}

// readForm reads a form. As in StackStorm, every value is a list, and blank ones are left out.
func readForm(body string) (json.RawMessage, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, fmt.Errorf("reading the form: %w", err)
	}
	for name, values := range maps.Clone(form) {
		if form[name] = slices.DeleteFunc(values, func(value string) bool { return value == "" }); len(form[name]) == 0 {
			form.Del(name)
		}
	}
	return json.Marshal(form)
}

// titleCase spells a header's name as payloads show it: an upper-case letter after everything that is no letter.
func titleCase(name string) string {
	before := ' '
	return strings.Map(func(r rune) rune {
		letter := unicode.ToLower(r)
		if !unicode.IsLetter(before) {
			letter = unicode.ToUpper(r)
		}
		before = r
		return letter
	}, name)
}
