package controllers

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// outboundSecrets are the Secrets that http actions may send, by name.
type outboundSecrets map[types.NamespacedName]*corev1.Secret

func newOutboundSecrets(secrets []corev1.Secret) outboundSecrets {
	found := outboundSecrets{}
	for i := range secrets {
		if s := &secrets[i]; s.Labels[v1alpha1.LabelAuth] == v1alpha1.AuthOutbound {
			found[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}] = s
		}
	}
	return found
}

// references says whether everything that a Rule's actions refer to is there.
type references struct {
	secrets outboundSecrets
	grants  *Grants
	system  string // HookStorm's own namespace
}

// condition is the Rule's ResolvedRefs.
func (r *references) condition(rule *v1alpha1.Rule) metav1.Condition {
	if text := r.missingGrant(rule); text != "" {
		return no(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonActionsNotAllowed, text)
	}
	var missing []string
	for i := range rule.Spec.Actions {
		for _, reference := range secretReferences(&rule.Spec.Actions[i]) {
			if text := r.missingSecret(rule.Namespace, reference); text != "" {
				missing = append(missing, fmt.Sprintf("spec.actions[%d].http.%s", i, text))
			}
		}
	}
	if len(missing) > 0 {
		return no(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonSecretNotFound, strings.Join(missing, "; "))
	}
	return yes(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "every reference is good")
}

// missingGrant says how to let HookStorm act as the Rule's ServiceAccount, if it may not.
func (r *references) missingGrant(rule *v1alpha1.Rule) string {
	account, acts := actsAs(rule)
	if !acts || r.grants.allows(account) {
		return ""
	}
	return fmt.Sprintf("HookStorm may not act as ServiceAccount %s of this namespace; allow it with: %s", account.Name,
		v1alpha1.GrantCommand(rule.Namespace, r.system))
}

// actsAs returns the ServiceAccount as which a Rule's actions write objects, and whether one does.
func actsAs(rule *v1alpha1.Rule) (account types.NamespacedName, acts bool) {
	account = types.NamespacedName{Namespace: rule.Namespace, Name: rule.Spec.ServiceAccountName}
	if account.Name == "" {
		account.Name = v1alpha1.DefaultServiceAccount
	}
	return account, slices.ContainsFunc(rule.Spec.Actions, func(a v1alpha1.Action) bool {
		return a.Create != nil || a.Apply != nil || a.Patch != nil || a.Delete != nil
	})
}

// secretReference is a Secret that an http action refers to, and the keys it needs.
type secretReference struct {
	field, name string
	keys        []string
}

func secretReferences(a *v1alpha1.Action) []secretReference {
	if a.HTTP == nil {
		return nil
	}
	var all []secretReference
	add := func(field string, r *v1alpha1.SecretKeyReference) {
		if r != nil {
			all = append(all, secretReference{field, r.Name, []string{r.Key}})
		}
	}
	add("sign", a.HTTP.Sign)
	if auth := a.HTTP.Auth; auth != nil {
		add("auth.bearer", auth.Bearer)
		if auth.Header != nil {
			add("auth.header", &auth.Header.SecretKeyReference)
		}
		if auth.Basic != nil {
			all = append(all, secretReference{"auth.basic", auth.Basic.Name, []string{corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey}})
		}
	}
	return all
}

// missingSecret says what a reference does not lead to, if so.
func (r *references) missingSecret(namespace string, reference secretReference) string {
	secret := r.secrets[types.NamespacedName{Namespace: namespace, Name: reference.name}]
	if secret == nil {
		return fmt.Sprintf("%s: this namespace has no Secret %q with the label %s: %s; create or label it",
			reference.field, reference.name, v1alpha1.LabelAuth, v1alpha1.AuthOutbound)
	}
	for _, key := range reference.keys {
		if len(secret.Data[key]) == 0 {
			return fmt.Sprintf("%s: Secret %q has no key %q; add it", reference.field, reference.name, key)
		}
	}
	return ""
}
