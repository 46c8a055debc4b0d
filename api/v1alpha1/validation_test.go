package v1alpha1_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func webhook(fields string) string { return "kind: Webhook\nspec: {url: hook" + fields + "}" }

func webhookAt(url string) string { return fmt.Sprintf("kind: Webhook\nspec: {url: %q}", url) }

func ruleAt(url string) string {
	return fmt.Sprintf("kind: Rule\nspec: {trigger: {type: core.st2.webhook, parameters: {url: %q}}}", url)
}

func rule(fields string) string {
	return "kind: Rule\nspec: {trigger: {type: mypack.mytrigger}" + fields + "}"
}

// manyActions returns so many actions.
func manyActions(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "{name: a%d, dispatch: {trigger: b}},", i)
	}
	return all.String()
}

// badURLs are refused for Webhooks and Rules alike.
var badURLs = map[string]string{
	"a segment ..":          "a/../b",
	"a segment .":           "./a",
	"an encoded slash":      "a%2fb",
	"an inner double slash": "a//b",
	"a blank":               "a b",
	"a query":               "a?b",
	"another alphabet":      "żółw",
	"nothing but slashes":   "//",
}

var _ = Describe("What the API server takes", func() {
	DescribeTable("it takes", func(ctx context.Context, manifest string) {
		ExpectAccepted(ctx, manifest)
	},
		Entry("a Webhook with nothing but a url", webhookAt("github/pr")),
		Entry("outer slashes around a url", webhookAt("/with/mixed/slash/")),
		Entry("a url of all characters that may be in one", webhookAt("A.b_c~d-1/...")),
		Entry("two ways to be admitted", webhook(", auth: [{tokens: {}}, {anonymous: {}}]")),
		Entry("tokens of a Secret", webhook(", auth: [{tokens: {secretRef: {name: mine}}}]")),
		Entry("every way to be admitted", webhook(`, auth: [
			{tokens: {}}, {signature: {scheme: GitHub, secretRef: {name: a}, tolerance: 10m}},
			{signature: {scheme: Twilio, secretRef: {name: a}, publicURL: "https://hooks.example.org"}},
			{signature: {scheme: Grafana, secretRef: {name: a}, timestampHeader: X-Time}},
			{signature: {scheme: AWSSNS, sns: {topicARNs: ["arn:aws:sns:eu-west-1:1:t"], confirm: true}}},
			{signature: {scheme: Custom, secretRef: {name: a}, custom: {header: X-Signature, algorithm: HMAC-SHA512, encoding: Base64, prefix: "v1=",
			  signed: "{id}.{timestamp}.{body}", idHeader: X-Id, timestampHeader: X-Time}}},
			{basic: {secretRef: {name: a}}}, {kubernetes: {}}, {clientCertificate: {secretRef: {name: a}, names: [ci]}}, {anonymous: {}},
			{jwt: {issuer: "https://i", audiences: [a], jwksURL: "https://i/keys", requiredClaims: [claims.sub == "x"], clockSkew: 30s}}]`)),
		Entry("a body, a handshake and limits of its own", webhook(`, body: {formField: payload, jsonSuffix: true},
			handshakes: {eventGrid: {}, cloudEvents: {allowedOrigins: [eventgrid.azure.net], requestsPerMinute: 120}},
			deduplicate: {by: Header, header: X-GitHub-Delivery},
			limits: {requestsPerSecond: 100, burst: 200, sourceRanges: [192.0.2.0/24, "2001:db8::/32"]}`)),
		Entry("namespaces by selector", webhook(", allowedRules: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}")),
		Entry("limits and history", webhook(", limits: {maxBodySize: 2Mi}, history: {record: Event, succeeded: 0, failed: 1000, ttl: 1h30m, payload: Omit}")),
		Entry("a size in bytes", webhook(", limits: {maxBodySize: 65536}")),
		Entry("any JSON Schema", webhook(", payloadSchema: {type: object, properties: {a: {type: string}}}")),
		Entry("a schema for the bodies of a Custom webhook", webhook(", type: Custom, payloadSchema: {type: object}")),
		Entry("a Generic webhook that knows its triggers", webhook(", type: Generic, knownTriggersOnly: true")),
		Entry("a Custom webhook that says it knows none", webhook(", knownTriggersOnly: false")),
		Entry("a Rule of any trigger", rule("")),
		Entry("a Rule that registers a webhook", ruleAt("/github/pr/")),
		Entry("criteria with any pattern", rule(", criteria: {trigger.a: {type: eq, pattern: 1}, 'trigger.a#2': {type: contains, pattern: [x]}, trigger.b: {type: exists}}")),
		Entry("a search with its condition", rule(", criteria: {trigger.a: {type: search, condition: any, pattern: {item.b: {type: eq, pattern: 1}}}}")),
		Entry("expressions beside criteria", rule(", when: [trigger.a == 1, 'true']")),
		Entry("every kind of action", rule(`, serviceAccountName: builder, retry: {attempts: 3, backoff: {initial: 500ms, factor: 3, max: 1h}}, actions: [
  {name: a, create: {template: {apiVersion: v1, kind: ConfigMap, data: {a: "${trigger.a}"}}, ifExists: Keep}},
  {name: b, apply: {template: {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}, force: true}},
  {name: c, patch: {target: {apiVersion: v1, kind: ConfigMap, name: c}, type: JSON, patch: [{op: remove, path: /data}]}},
  {name: d, delete: {target: {apiVersion: v1, kind: ConfigMap, name: "${trigger.name}", namespace: other}}},
  {name: e, http: {url: "https://chat.example/${trigger.a}", headers: {X-Team: ci}, body: {json: {text: "${trigger.a}"}}, timeout: 30s,
    cloudEvents: Structured, auth: {bearer: {name: s, key: k}}, sign: {name: s, key: k}}},
  {name: f, http: {url: "http://chat.example", method: PUT, body: {form: {a: b}}, auth: {header: {header: X-Api-Key, name: s, key: k}}}},
  {name: g, http: {url: "http://chat.example", method: GET, auth: {basic: {name: s}}}},
  {name: h, dispatch: {trigger: "mypack.${trigger.a}", payload: {a: "${trigger.a}"}}}]`)),
		Entry("a request to replay", "kind: TriggerInstance\nspec: {replayOf: another}"),
		Entry("a TriggerType", "kind: TriggerType\nspec: {type: my_pack.PR_merged, payloadSchema: {type: object}}"),
		Entry("a request to dispatch", "kind: TriggerInstance\nspec: {trigger: {type: mypack.mytrigger}, payload: '{}'}"),
	)

	DescribeTable("it refuses", func(ctx context.Context, manifest, why string) {
		ExpectRefused(ctx, manifest, why)
	},
		Entry("an unknown field", webhook(", colour: red"), `unknown field "spec.colour"`),
		Entry("an unknown field of a Rule", rule(", unless: [x]"), `unknown field "spec.unless"`),
		Entry("a wrong type", webhook(", suspend: 5"), "spec.suspend"),
		Entry("a Webhook without a url", "kind: Webhook\nspec: {}", "spec.url: Required value"),
		Entry("an empty list of ways in", webhook(", auth: []"), "spec.auth: Invalid value"),
		Entry("a way in that is none", webhook(", auth: [{}]"), "each entry has exactly one of tokens, signature, basic, jwt, kubernetes, clientCertificate, anonymous"),
		Entry("a way in that is two", webhook(", auth: [{tokens: {}, anonymous: {}}]"), "each entry has exactly one of tokens, signature, basic, jwt, kubernetes, clientCertificate, anonymous"),
		Entry("a scheme that is none", webhook(", auth: [{signature: {scheme: Gitea, secretRef: {name: a}}}]"), "spec.auth[0].signature.scheme: Unsupported value"),
		Entry("a signature without keys", webhook(", auth: [{signature: {scheme: GitHub}}]"), "spec.auth.signature.secretRef: every scheme but AWSSNS needs the Secret"),
		Entry("SNS without a topic", webhook(", auth: [{signature: {scheme: AWSSNS}}]"), "spec.auth.signature.sns: needed with scheme: AWSSNS"),
		Entry("a custom scheme that is not described", webhook(", auth: [{signature: {scheme: Custom, secretRef: {name: a}}}]"), "spec.auth.signature.custom: needed"),
		Entry("a custom scheme that leaves out the body", webhook(", auth: [{signature: {scheme: Custom, secretRef: {name: a}, custom: {header: X, signed: '{id}'}}}]"), "must contain {body}"),
		Entry("a time that is never over", webhook(", auth: [{signature: {scheme: Slack, secretRef: {name: a}, tolerance: 25h}}]"), "spec.auth.signature.tolerance: 1s to 24h"),
		Entry("a token for nobody", webhook(", auth: [{jwt: {issuer: i, audiences: []}}]"), "spec.auth[0].jwt.audiences"),
		Entry("keys over http", webhook(", auth: [{jwt: {issuer: i, audiences: [a], jwksURL: 'http://i/keys'}}]"), "spec.auth[0].jwt.jwksURL"),
		Entry("keys from two places", webhook(", auth: [{jwt: {issuer: i, audiences: [a], jwksURL: 'https://i/keys', secretRef: {name: a}}}]"), "at most one of jwksURL, secretRef"),
		Entry("clocks far apart", webhook(", auth: [{jwt: {issuer: i, audiences: [a], clockSkew: 6m}}]"), "spec.auth.jwt.clockSkew: at most 5m"),
		Entry("the same by a header without a name", webhook(", deduplicate: {by: Header}"), "spec.deduplicate.header: needed"),
		Entry("the same by an expression that is missing", webhook(", deduplicate: {by: Expression}"), "spec.deduplicate.expression: needed"),
		Entry("a burst of nothing", webhook(", limits: {burst: 5}"), "spec.limits.burst: needs requestsPerSecond"),
		Entry("a network that is none", webhook(", limits: {sourceRanges: [localhost]}"), "spec.limits.sourceRanges: write networks such as"),
		Entry("both a Secret and a selector", webhook(", auth: [{tokens: {secretRef: {name: a}, secretSelector: {}}}]"), "at most one of secretRef, secretSelector"),
		Entry("17 ways in", webhook(", auth: ["+strings.Repeat("{tokens: {}},", 17)+"]"), "must have at most 16 items"),
		Entry("a selector that is not asked for", webhook(", allowedRules: {namespaces: {from: All, selector: {}}}"), "selector is needed with from: Selector, and only there"),
		Entry("a selector that is missing", webhook(", allowedRules: {namespaces: {from: Selector}}"), "selector is needed with from: Selector, and only there"),
		Entry("a body of no size", webhook(", limits: {maxBodySize: 0}"), "a quantity above 0 and at most 7Mi"),
		Entry("a body of any size", webhook(", limits: {maxBodySize: 8Mi}"), "a quantity above 0 and at most 7Mi"),
		Entry("a schema for the bodies of a Generic webhook", webhook(", type: Generic, payloadSchema: {type: object}"),
			"spec.payloadSchema: only for a Custom webhook; describe the triggers of a Generic one with TriggerTypes in its namespace"),
		Entry("known triggers of a Custom webhook", webhook(", type: Custom, knownTriggersOnly: true"),
			"spec.knownTriggersOnly: only for a Generic webhook; leave it out, or set type: Generic"),
		Entry("known triggers of a webhook that does not say its type", webhook(", knownTriggersOnly: true"), "spec.knownTriggersOnly: only for a Generic webhook"),
		Entry("a schema that is no object", webhook(", payloadSchema: true"), "spec.payloadSchema"),
		Entry("a history that forgets at once", webhook(", history: {ttl: 30s}"), "spec.history.ttl: at least 1m"),
		Entry("a time without a unit", webhook(", history: {ttl: '90'}"), "spec.history.ttl"),
		Entry("a history without failures", webhook(", history: {failed: 0}"), "spec.history.failed"),
		Entry("an endless history", webhook(", history: {succeeded: 1001}"), "spec.history.succeeded"),
		Entry("a long url", webhookAt(strings.Repeat("a", 201)), "Too long: may not be more than 200"),
		Entry("a long name", "kind: Webhook\nmetadata: {name: "+strings.Repeat("a", 64)+"}\nspec: {url: a}", "a Webhook's name has at most 63 characters"),
		Entry("a webhook trigger without its url", "kind: Rule\nspec: {trigger: {type: core.st2.webhook}}", "spec.trigger.parameters.url: core.st2.webhook needs the url"),
		Entry("a long url of a Rule", ruleAt(strings.Repeat("a", 201)), "at most 200 characters"),
		Entry("a criterion without its operator", rule(", criteria: {trigger.a: {pattern: 1}}"), "type: Required value"),
		Entry("a criterion without a key", rule(", criteria: {'': {type: exists}}"), "a key is a path of 1 to 512 characters"),
		Entry("17 expressions", rule(", when: ["+strings.Repeat("'true',", 17)+"]"), "must have at most 16 items"),
		Entry("an expression without text", rule(", when: ['']"), "spec.when[0]"),
		Entry("an action that does nothing", rule(", actions: [{name: a}]"), "set exactly one of create, apply, patch, delete, http, dispatch"),
		Entry("an action that does two things", rule(", actions: [{name: a, http: {url: 'https://x'}, dispatch: {trigger: b}}]"), "set exactly one of create"),
		Entry("two actions of one name", rule(", actions: [{name: a, dispatch: {trigger: b}}, {name: a, dispatch: {trigger: c}}]"), "Duplicate value"),
		Entry("an action without a name", rule(", actions: [{dispatch: {trigger: b}}]"), "name: Required value"),
		Entry("a name that no object can have", rule(", actions: [{name: A_b, dispatch: {trigger: b}}]"), "spec.actions[0].name"),
		Entry("21 actions", rule(", actions: ["+manyActions(21)+"]"), "must have at most 20 items"),
		Entry("a body of a GET", rule(", actions: [{name: a, http: {url: 'https://x', method: GET, body: {text: a}}}]"), "a GET has no body"),
		Entry("a body that is two", rule(", actions: [{name: a, http: {url: 'https://x', body: {text: a, form: {b: c}}}}]"), "set exactly one of json, form, text"),
		Entry("a credential that is two", rule(", actions: [{name: a, http: {url: 'https://x', auth: {basic: {name: s}, bearer: {name: s, key: k}}}}]"), "set exactly one of bearer, basic, header"),
		Entry("a header that is HookStorm's", rule(", actions: [{name: a, http: {url: 'https://x', headers: {Idempotency-Key: mine}}}]"), "are HookStorm's to set"),
		Entry("a header that is none", rule(", actions: [{name: a, http: {url: 'https://x', headers: {'a b': c}}}]"), "a name has 1 to 128 letters"),
		Entry("another method", rule(", actions: [{name: a, http: {url: 'https://x', method: TRACE}}]"), "method: Unsupported value"),
		Entry("no attempt at all", rule(", retry: {attempts: 0}"), "spec.retry.attempts"),
		Entry("a wait without a unit", rule(", retry: {backoff: {initial: '5'}}"), "spec.retry.backoff.initial"),
		Entry("a call without end", rule(", actions: [{name: a, http: {url: 'https://x', timeout: 5m}}]"), "spec.actions.http.timeout: from 100ms to 1m"),
		Entry("no wait at all", rule(", retry: {backoff: {initial: 0s}}"), "spec.retry.backoff.initial: from 100ms to 1h"),
		Entry("a wait of days", rule(", retry: {backoff: {max: 99h}}"), "spec.retry.backoff.max: from 100ms to 1h"),
		Entry("a request for nothing", "kind: TriggerInstance\nspec: {payload: '{}'}", "set exactly one of trigger, replayOf"),
		Entry("a request for two things", "kind: TriggerInstance\nspec: {replayOf: a, trigger: {type: a.b}}", "set exactly one of trigger, replayOf"),
		Entry("a trigger instance with a status of its own", "kind: TriggerInstance\nspec: {trigger: {type: a.b}}\nstatus: {phase: Processed}", "a trigger instance has a status only with spec.deliveryID"),
	)

	for name, url := range badURLs {
		It("refuses in a url "+name, func(ctx context.Context) {
			ExpectRefused(ctx, webhookAt(url), "spec.url: write segments of letters, digits")
			ExpectRefused(ctx, ruleAt(url), "spec.trigger.parameters.url: write segments of letters, digits")
		})
	}

	It("keeps a record as it is", func(ctx context.Context) {
		o := ExpectAccepted(ctx, "kind: TriggerInstance\nspec: {trigger: {type: a.b}, deliveryID: d}\nstatus: {phase: Processed}")
		o.Object["spec"].(map[string]any)["payload"] = "{}"
		Expect(admin.Update(ctx, o)).To(MatchError(ContainSubstring("immutable once spec.deliveryID is set")))
	})

	It("keeps a trigger type's name as it is", func(ctx context.Context) {
		o := ExpectAccepted(ctx, "kind: TriggerType\nspec: {type: a.b}")
		o.Object["spec"].(map[string]any)["type"] = "a.c"
		Expect(admin.Update(ctx, o)).To(MatchError(ContainSubstring("spec.type: immutable")))
	})
})
