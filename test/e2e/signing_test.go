package e2e_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// mac returns what an algorithm makes of a text with a key.
func mac(algorithm func() hash.Hash, key, text string) []byte {
	m := hmac.New(algorithm, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

// hexMAC and base64MAC make signatures, which are credentials too.
func hexMAC(key, text string) string {
	return secret("signature", hex.EncodeToString(mac(sha256.New, key, text)))
}

func base64MAC(algorithm func() hash.Hash, key, text string) string {
	return secret("signature", base64.StdEncoding.EncodeToString(mac(algorithm, key, text)))
}

// now is the time as providers write it.
func now() string { return strconv.FormatInt(time.Now().Unix(), 10) }

// standardKey is a key as Standard Webhooks writes it, and its bytes.
func standardKey(what string) string {
	return secret(what, "whsec_"+base64.StdEncoding.EncodeToString([]byte(canary(what))))
}

func standardBytes(key string) string {
	decoded, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_")) // standardKey encoded it
	return string(decoded)
}

// provider is who signs requests: the fields of spec.auth.signature, and what is added to a request.
type provider struct {
	scheme string
	fields string // of spec.auth.signature beside scheme and secretRef, in YAML's flow style
	key    func(what string) string
	// sign returns the headers that prove a request to a target with a body; the first of them holds the signature.
	sign func(key, target, body string) []header
	// form says that the body is a form.
	form bool
}

// header is a header's name and value.
type header struct{ name, value string }

// hooks is where Twilio reaches the webhooks.
const hooks = "https://hooks.example.org"

var providers = []provider{
	{scheme: "GitHub", key: canary, sign: signHex("X-Hub-Signature-256", "sha256=")},
	{scheme: "GitLab", key: canary, sign: func(key, _, _ string) []header { return []header{{"X-Gitlab-Token", key}} }},
	{scheme: "GitLabSigning", key: standardKey, sign: signStandard("Webhook")},
	{scheme: "Stripe", key: canary, sign: func(key, _, body string) []header {
		t := now()
		return []header{{"Stripe-Signature", "t=" + t + ",v1=" + hexMAC(key, t+"."+body)}}
	}},
	{scheme: "Slack", key: canary, sign: signSlack},
	{scheme: "StandardWebhooks", key: standardKey, sign: signStandard("Svix")},
	{scheme: "Shopify", key: canary, sign: func(key, _, body string) []header {
		return []header{{"X-Shopify-Hmac-Sha256", base64MAC(sha256.New, key, body)}}
	}},
	{scheme: "Bitbucket", key: canary, sign: signHex("X-Hub-Signature", "sha256=")},
	{scheme: "Twilio", fields: ", publicURL: " + hooks, key: canary, sign: signTwilio, form: true},
	{scheme: "Sentry", key: canary, sign: signHex("Sentry-Hook-Signature", "")},
	{scheme: "PagerDuty", key: canary, sign: signHex("X-Pagerduty-Signature", "v1=")},
	{scheme: "Grafana", fields: ", timestampHeader: X-Grafana-Time", key: canary, sign: func(key, _, body string) []header {
		t := now()
		return []header{{"X-Grafana-Alerting-Signature", hexMAC(key, t+":"+body)}, {"X-Grafana-Time", t}}
	}},
	{
		scheme: "Custom", key: canary,
		fields: `, custom: {header: X-Signed, algorithm: HMAC-SHA512, encoding: Base64, prefix: "v9=",
			signed: "{id}/{timestamp}/{body}", idHeader: X-Id, timestampHeader: X-Time}`,
		sign: func(key, _, body string) []header {
			t := now()
			return []header{{"X-Signed", "v9=" + base64MAC(sha512.New, key, "7/"+t+"/"+body)}, {"X-Id", "7"}, {"X-Time", t}}
		},
	},
}

// github is the provider of specs that are about no provider.
var github = providerOf("GitHub")

func providerOf(scheme string) *provider {
	for i := range providers {
		if providers[i].scheme == scheme {
			return &providers[i]
		}
	}
	panic("no provider has the scheme " + scheme)
}

func signHex(name, prefix string) func(key, target, body string) []header {
	return func(key, _, body string) []header { return []header{{name, prefix + hexMAC(key, body)}} }
}

func signStandard(family string) func(key, target, body string) []header {
	return func(key, _, body string) []header {
		id, t := "msg_1", now()
		return []header{
			{family + "-Signature", "v1," + base64MAC(sha256.New, standardBytes(key), id+"."+t+"."+body)},
			{family + "-Id", id}, {family + "-Timestamp", t},
		}
	}
}

func signSlack(key, _, body string) []header {
	t := now()
	return []header{{"X-Slack-Signature", "v0=" + hexMAC(key, "v0:"+t+":"+body)}, {"X-Slack-Request-Timestamp", t}}
}

// signTwilio signs the url and the fields of the form, sorted.
func signTwilio(key, target, body string) []header {
	form, _ := url.ParseQuery(body) // the specs' own
	signed := hooks + target
	for _, name := range slices.Sorted(maps.Keys(form)) {
		signed += name + form.Get(name)
	}
	return []header{{"X-Twilio-Signature", base64MAC(sha1.New, key, signed)}}
}

// body returns a body that the provider could send.
func (p *provider) body(text string) (sent, recorded string) {
	if p.form {
		return url.Values{"Body": {text}, "To": {"+18005551212"}}.Encode(), fmt.Sprintf(`{"Body": [%q], "To": ["+18005551212"]}`, text)
	}
	body := fmt.Sprintf(`{"text": %q, "number": 9007199254740993.0}`, text)
	return body, body
}

// post returns a request that is signed with a key.
func (p *provider) post(key, path, body string) request {
	contentType := jsonType
	if p.form {
		contentType = formType
	}
	r := request{method: http.MethodPost, path: path, body: body, headers: map[string]string{"Content-Type": contentType}}
	for _, h := range p.sign(key, path, body) {
		r.headers[h.name] = h.value
	}
	return r
}

// name is the name of an object for the provider.
func (p *provider) name(suffix string) string { return strings.ToLower(p.scheme) + "-" + suffix }

// signatureHeader is the header that holds the provider's signature.
func (p *provider) signatureHeader() string { return p.sign(p.key("unused"), "", "")[0].name }

// auth returns the entry of spec.auth with the keys of a Secret.
func (p *provider) auth(name string) string {
	return fmt.Sprintf("{signature: {scheme: %s, secretRef: {name: %s}%s}}", p.scheme, name, p.fields)
}

// signingSecret returns the manifest of a Secret with signing keys: key, key1 and so on.
func signingSecret(name string, keys ...string) string {
	return labelledSecret(name, v1alpha1.AuthSignature, keys...)
}

// basicSecret returns the manifest of a Secret with a username and a password.
func basicSecret(name, username, password string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\ntype: kubernetes.io/basic-auth\nmetadata: {name: %q, labels: {%s: %s}}\n"+
		"stringData: {username: %q, password: %q}\n", name, v1alpha1.LabelAuth, v1alpha1.AuthBasic, username, password)
}

// labelledSecret returns the manifest of a Secret for one use.
func labelledSecret(name, use string, values ...string) string {
	var data []string
	for i, value := range values {
		key := "key"
		if i > 0 {
			key += strconv.Itoa(i)
		}
		data = append(data, fmt.Sprintf("%s: %q", key, value))
	}
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %q, labels: {%s: %s}}\nstringData: {%s}\n",
		name, v1alpha1.LabelAuth, use, strings.Join(data, ", "))
}
