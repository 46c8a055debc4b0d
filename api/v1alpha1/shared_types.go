package v1alpha1

import (
	"strings"
	"time"
)

// TriggerWebhook is the type of the trigger that a custom webhook dispatches, as in StackStorm.
const TriggerWebhook = "core.st2.webhook"

// ParameterURL is the parameter of TriggerWebhook that names the webhook's url.
const ParameterURL = "url"

// Duration is a length of time in the format of Gateway API (GEP-2257): one to four numbers of at most five digits, each
// with a unit h, m, s or ms, such as "1h30m".
//
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
// +kubebuilder:validation:MaxLength=32
type Duration string

// Or returns the duration, or fallback where d is nil.
func (d *Duration) Or(fallback time.Duration) time.Duration {
	if d == nil {
		return fallback
	}
	parsed, err := time.ParseDuration(string(*d))
	if err != nil {
		return fallback
	}
	return parsed
}

// LocalSecretReference names a Secret of the same namespace.
type LocalSecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// TrimURL returns a webhook's url as it is compared everywhere: without its outer slashes.
func TrimURL(url string) string {
	return strings.Trim(url, "/")
}
