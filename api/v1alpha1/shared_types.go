package v1alpha1

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// maxLabelValue is the length of a label's value.
const maxLabelValue = 63

// SetLabel sets a label of an object. A value that is no label value as it is stands whole in an annotation of the same
// key: "/" becomes ".", and what is too long is cut.
func SetLabel(object metav1.Object, key, value string) {
	short := strings.ReplaceAll(value, "/", ".")
	if len(short) > maxLabelValue {
		short = strings.TrimRight(short[:maxLabelValue], "-_.")
	}
	object.SetLabels(with(object.GetLabels(), key, short))
	if short != value {
		object.SetAnnotations(with(object.GetAnnotations(), key, value))
	}
}

// LabelValue returns what SetLabel was given.
func LabelValue(object metav1.Object, key string) string {
	if value, ok := object.GetAnnotations()[key]; ok {
		return value
	}
	return object.GetLabels()[key]
}

func with(values map[string]string, key, value string) map[string]string {
	if values == nil {
		values = map[string]string{}
	}
	values[key] = value
	return values
}

// ActionsRole is the ClusterRole that lets HookStorm act as the ServiceAccounts of a namespace that binds it.
const ActionsRole = "hookstorm-actions"

// GrantCommand returns the line that lets HookStorm, which runs in a system namespace, act as the ServiceAccounts of another.
func GrantCommand(namespace, system string) string {
	return "kubectl create rolebinding " + ActionsRole + " -n " + namespace + " --clusterrole=" + ActionsRole +
		" --serviceaccount=" + system + ":" + ManagedByHookStorm
}
