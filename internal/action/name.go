package action

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	// maxName bounds the names of created objects. A CronJob's name has at most 52 characters, the least of all kinds.
	maxName = 52
	// hashLength is the part of a name that tells deliveries, Rules and actions apart: 50 bits.
	hashLength = 10
	// maxPrefix is what is left for people.
	maxPrefix = maxName - hashLength
	// annotationAction on a created object is the IdempotencyKey of the action that created it.
	annotationAction = "hookstorm.dev/action"
)

// IdempotencyKey returns what names the action among all actions of all deliveries, the same on every attempt. It is the
// Idempotency-Key of an HTTP request, the id of a CloudEvent and of a signed webhook.
func (t *Task) IdempotencyKey() string {
	return t.DeliveryID + "/" + string(t.RuleUID) + "/" + t.Action.Name
}

// ObjectName returns the name of the object that the action creates, where its template has none: a DNS label of at most 52
// characters that begins with generateName, or else with the names of Rule and action, cut where need be, and ends with a
// hash of the delivery, the Rule's UID and the action.
func (t *Task) ObjectName(generateName string) string {
	prefix := slug(generateName)
	if prefix == "" {
		prefix = slug(t.Rule + "-" + t.Action.Name)
		prefix = strings.TrimRight(prefix[:min(len(prefix), maxPrefix-1)], "-") + "-"
	}
	sum := sha256.Sum256([]byte(t.IdempotencyKey()))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))
	return prefix[:min(len(prefix), maxPrefix)] + hash[:hashLength]
}

// slug makes of a text the beginning of a DNS label.
func slug(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, text)
	return strings.TrimLeft(text, "-")
}

// labels are what tells of an object whose it is, by their keys. A value is as a person would write it.
func (t *Task) labels() map[string]string {
	labels := map[string]string{v1alpha1.LabelRule: t.Rule, v1alpha1.LabelDelivery: t.DeliveryID}
	switch t.Webhook.Namespace {
	case "": // no webhook
	case t.Namespace:
		labels[v1alpha1.LabelWebhook] = t.Webhook.Name
	default:
		labels[v1alpha1.LabelWebhook] = t.Webhook.Namespace + "/" + t.Webhook.Name
	}
	return labels
}
