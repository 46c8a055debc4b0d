package convert

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// methods are those of an http action.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// notSet are the headers that an http action does not set, in lower case.
var notSet = []string{"host", "content-length", "transfer-encoding", "connection", "idempotency-key"}

// lost says why parameters of core.http have no counterpart, and what to do.
var lost = map[string]string{
	"username":        credentials,
	"password":        credentials,
	"auth":            credentials,
	"cookies":         "write a header Cookie",
	"verify_ssl_cert": "certificates are always verified",
	"allow_redirects": "redirects are not followed; write the url that they lead to",
	"http_proxy":      "there is no proxy for one action",
	"https_proxy":     "there is no proxy for one action",
}

const credentials = "credentials belong into a Secret with the label hookstorm.dev/auth: outbound, which auth names"

// defaults are the values of parameters in lost that change nothing.
var defaults = map[string]string{"verify_ssl_cert": "true", "allow_redirects": "false"}

// http converts the parameters of core.http.
func (c *conversion) http(parameters *yaml.Node) (*block, error) {
	address, err := c.address(parameters)
	if err != nil {
		return nil, err
	}
	method := strings.ToUpper(memberText(parameters, "method"))
	if method == "" {
		method = "GET"
	}
	if !slices.Contains(methods, method) {
		return nil, fmt.Errorf("method: %s is none of %s", short(method), strings.Join(methods, ", "))
	}
	action := newBlock()
	action.set("url", text(address))
	action.set("method", text(method))
	for key, value := range members(parameters) {
		if err := c.httpParameter(action, method, key, value, parameters); err != nil {
			return nil, fmt.Errorf("%s: %w", key.Value, err)
		}
	}
	return action, nil
}

// httpParameter converts a parameter other than those of the request's first line.
func (c *conversion) httpParameter(action *block, method string, key, value, parameters *yaml.Node) error {
	field := fieldParameters + "." + key.Value
	switch key.Value {
	case "url", "method", "params":
	case "headers":
		headers, err := c.headers(value)
		if err != nil {
			return err
		}
		action.adopt("headers", headers)
	case "body":
		if method == "GET" {
			c.leaveOut(action, key, value, field, "a GET has no body here")
			return nil
		}
		body, err := httpBody(value, contentType(member(parameters, "headers")))
		if err != nil || body == nil {
			return err
		}
		action.set("body", body)
	case "timeout":
		c.timeout(action, key, value)
	default:
		c.lostParameter(action, key, value)
	}
	return nil
}

// lostParameter leaves a comment for a parameter without a counterpart. A credential is not repeated.
func (c *conversion) lostParameter(action *block, key, value *yaml.Node) {
	reason, isKnown := lost[key.Value]
	if !isKnown {
		reason = "no parameter of an http action"
	}
	if isNull(value) || isKnown && defaults[key.Value] == value.Value && value.Value != "" {
		return
	}
	if reason == credentials {
		value = text("…")
	}
	c.leaveOut(action, key, value, fieldParameters+"."+key.Value, reason)
}

// address returns the url with the query parameters of params.
func (c *conversion) address(parameters *yaml.Node) (string, error) {
	source := member(parameters, "url")
	if isNull(source) {
		return "", errors.New("url: required; write the address")
	}
	address, err := scalarText(source)
	if err != nil {
		return "", fmt.Errorf("url: %w", err)
	}
	var query []string
	for key, value := range members(member(parameters, "params")) {
		pair, err := c.queryPair(key, value)
		if err != nil {
			return "", fmt.Errorf("params.%s: %w", key.Value, err)
		}
		query = append(query, pair...)
	}
	return join(address, query), nil
}

// queryPair returns a query parameter; one for each element of a list.
func (c *conversion) queryPair(key, value *yaml.Node) ([]string, error) {
	values := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		values = value.Content
	}
	var pairs []string
	for _, value := range values {
		if isNull(value) {
			continue
		}
		if value.Kind != yaml.ScalarNode {
			return nil, errors.New("write a text")
		}
		t, err := parseTemplate(value.Value, varTrigger)
		if err != nil {
			return nil, err
		}
		if t.dynamic() {
			c.problem(key, fieldParameters+".params."+key.Value,
				"StackStorm escapes what the template gives, HookStorm puts it into the url as it is; make sure that it holds no & or #")
		}
		for i := range t {
			t[i].text = url.QueryEscape(t[i].text)
		}
		pairs = append(pairs, url.QueryEscape(key.Value)+"="+t.String())
	}
	return pairs, nil
}

// join adds query parameters to a url.
func join(address string, query []string) string {
	if len(query) == 0 {
		return address
	}
	address, fragment, hasFragment := strings.Cut(address, "#")
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	address += separator + strings.Join(query, "&")
	if hasFragment {
		address += "#" + fragment
	}
	return address
}

func (c *conversion) headers(source *yaml.Node) (*block, error) {
	if isText(source) {
		if read, ok := readJSON(source.Value); ok {
			source = read
		}
	}
	if !isNull(source) && source.Kind != yaml.MappingNode {
		return nil, errors.New("write a mapping from names to values")
	}
	headers := newBlock()
	for key, value := range members(source) {
		field := fieldParameters + ".headers." + key.Value
		if slices.Contains(notSet, strings.ToLower(key.Value)) {
			c.leaveOut(headers, key, value, field, "HookStorm sets it itself")
			continue
		}
		header, err := scalarText(value)
		if err != nil {
			c.leaveOut(headers, key, value, field, err.Error())
			continue
		}
		headers.set(key.Value, text(header))
	}
	return headers, nil
}

// maxTimeout is the longest timeout of an http action, in seconds.
const maxTimeout = 60

func (c *conversion) timeout(action *block, key, value *yaml.Node) {
	var seconds float64
	if err := value.Decode(&seconds); err != nil || seconds <= 0 {
		c.leaveOut(action, key, value, fieldParameters+".timeout", "write a number of seconds")
		return
	}
	if seconds > maxTimeout {
		c.leaveOut(action, key, value, fieldParameters+".timeout", fmt.Sprintf("at most %d seconds", maxTimeout))
		seconds = maxTimeout
	}
	wait := time.Duration(seconds * float64(time.Second))
	written := fmt.Sprintf("%ds", wait/time.Second)
	if wait%time.Second != 0 {
		written = fmt.Sprintf("%dms", wait/time.Millisecond)
	}
	action.set("timeout", text(written))
}
