package webhookserver

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// Confirmer calls back a provider that asks for it.
type Confirmer interface {
	// Confirm calls a url that a subscription's message names. It ends with ctx; an error says that it may be tried again.
	Confirm(ctx context.Context, url string) error
}

// Handshakes are the questions of providers that a webhook answers, and that are no deliveries.
type Handshakes struct {
	// Slack answers a url_verification that Slack signed with its challenge.
	Slack bool
	// EventGrid answers SubscriptionValidation with its code.
	EventGrid bool
	// SNS confirms a subscription that Amazon SNS signed.
	SNS bool
	// Origins may send CloudEvents after asking with OPTIONS; "*" is any. None: OPTIONS is refused.
	Origins []string
	// RequestsPerMinute is the rate that is granted to them; 0: any.
	RequestsPerMinute int
}

// handshake is a question: who asks it and what is answered. It comes after authentication, and a webhook that does not
// answer it takes it for a delivery. Where a signature says who asks, no other way to be admitted does.
type handshake struct {
	enabled func(h *Handshakes) bool
	asked   func(x *exchange) bool
	// answer returns the type and the body of the 200, or a refusal.
	answer func(x *exchange) (contentType []string, body string, refused *refusal)
}

var handshakes = [...]handshake{
	{
		enabled: func(h *Handshakes) bool { return h.Slack },
		asked: func(x *exchange) bool {
			return x.proof.Scheme() == auth.SchemeSlack && x.member("type") == "url_verification"
		},
		answer: func(x *exchange) ([]string, string, *refusal) {
			return textType, x.member("challenge"), nil
		},
	},
	{
		enabled: func(h *Handshakes) bool { return h.EventGrid },
		asked:   func(x *exchange) bool { return x.r.Header.Get("Aeg-Event-Type") == "SubscriptionValidation" },
		answer:  (*exchange).validateEventGrid,
	},
	{
		enabled: func(h *Handshakes) bool { return h.SNS },
		asked: func(x *exchange) bool {
			return x.proof.Scheme() == auth.SchemeAWSSNS && x.member("Type") == "SubscriptionConfirmation"
		},
		answer: (*exchange).confirmSNS,
	},
}

// shakeHands answers a request that is a handshake.
func (x *exchange) shakeHands() *refusal {
	for _, h := range handshakes {
		if !h.enabled(&x.route.Handshakes) || !h.asked(x) {
			continue
		}
		contentType, body, refused := h.answer(x)
		if refused != nil {
			return refused
		}
		x.answer(http.StatusOK, contentType, []byte(body))
		return nil
	}
	return nil
}

// member returns a text that the body has at its top; "" where it has none.
func (x *exchange) member(name string) string {
	var text string
	if json.Unmarshal(x.object()[name], &text) != nil {
		return ""
	}
	return text
}

// object returns what the body has at its top, by name; nothing where it is no object. A map, because a struct's members would
// also match names that differ in case.
func (x *exchange) object() map[string]json.RawMessage {
	if x.members == nil {
		x.members = map[string]json.RawMessage{}
		// An error means a body that is no object: it is JSON.
		_ = json.Unmarshal(x.document, &x.members)
	}
	return x.members
}

// validateEventGrid answers Azure's SubscriptionValidationEvent. The url in it, which could be called instead, is not: it
// may lead anywhere.
func (x *exchange) validateEventGrid() ([]string, string, *refusal) {
	var events []struct {
		Data struct {
			ValidationCode string `json:"validationCode"`
		} `json:"data"`
	}
	if json.Unmarshal(x.document, &events) != nil || len(events) != 1 || events[0].Data.ValidationCode == "" {
		return nil, "", invalid("InvalidBody", "SubscriptionValidation needs one event with data.validationCode.")
	}
	answer := append([]byte(`{"validationResponse": `), appendString(nil, events[0].Data.ValidationCode)...)
	return jsonType, string(append(answer, '}')), nil
}

// confirmSNS calls the SubscribeURL of a message whose signature and topic have been verified.
func (x *exchange) confirmSNS() ([]string, string, *refusal) {
	if x.confirmer == nil || x.confirmer.Confirm(x.r.Context(), x.member("SubscribeURL")) != nil {
		return nil, "", &notConfirmed
	}
	return jsonType, "{}", nil
}

// permit answers the OPTIONS of the CloudEvents webhook specification, 4.1: that an origin may send. Its callback url is not
// called. Other requests go on.
func (x *exchange) permit() *refusal {
	origin := x.r.Header.Get("Webhook-Request-Origin")
	if x.r.Method != http.MethodOptions || x.route == nil || origin == "" {
		return nil
	}
	h := &x.route.Handshakes
	if !slices.Contains(h.Origins, origin) && !slices.Contains(h.Origins, "*") {
		return nil
	}
	rate := "*"
	if h.RequestsPerMinute > 0 {
		rate = strconv.Itoa(h.RequestsPerMinute)
	}
	header := x.w.Header()
	header["Allow"] = []string{http.MethodPost}
	header["Webhook-Allowed-Origin"] = []string{cut(origin, longestQuote)}
	header["Webhook-Allowed-Rate"] = []string{rate}
	x.answer(http.StatusOK, jsonType, nil)
	return nil
}
