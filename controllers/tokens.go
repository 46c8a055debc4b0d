package controllers

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// labelledSecrets are Secrets by the use that their label names, their namespace and their name.
type labelledSecrets map[string]map[string]map[string]*corev1.Secret

func sortSecrets(secrets []corev1.Secret) labelledSecrets {
	sorted := labelledSecrets{}
	for i := range secrets {
		secret := &secrets[i]
		use := secret.Labels[v1alpha1.LabelAuth]
		if sorted[use] == nil {
			sorted[use] = map[string]map[string]*corev1.Secret{}
		}
		if sorted[use][secret.Namespace] == nil {
			sorted[use][secret.Namespace] = map[string]*corev1.Secret{}
		}
		sorted[use][secret.Namespace][secret.Name] = secret
	}
	return sorted
}

// of returns the Secrets of a namespace for a use, by name.
func (s labelledSecrets) of(use, namespace string) map[string]*corev1.Secret {
	return s[use][namespace]
}

// tokens returns the tokens of all token Secrets.
func (s labelledSecrets) tokens() []auth.Token {
	var all []auth.Token
	for _, secrets := range s[v1alpha1.AuthToken] {
		for _, secret := range secrets {
			all = append(all, tokensOf(secret)...)
		}
	}
	slices.SortFunc(all, func(a, b auth.Token) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.Name, b.Name), bytes.Compare(a.Digest[:], b.Digest[:]))
	})
	return all
}

// tokensOf returns the tokens of a Secret: every key that is not empty.
func tokensOf(secret *corev1.Secret) []auth.Token {
	var tokens []auth.Token
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		value := tokenOf(secret.Data[key])
		if len(value) == 0 {
			continue
		}
		tokens = append(tokens, auth.Token{
			Digest:  auth.Digest(value),
			Key:     auth.Key{Namespace: secret.Namespace, Secret: secret.Name, Name: key},
			Scopes:  scopes(secret),
			Expires: expiry(secret),
		})
	}
	return tokens
}

// tokenOf returns the token that a Secret's value is. One line end after it does not count: no header could carry it.
func tokenOf(value []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
}

func scopes(secret *corev1.Secret) []auth.Scope {
	listed, ok := secret.Annotations[v1alpha1.AnnotationScopes]
	if !ok {
		return []auth.Scope{auth.ScopeSend}
	}
	var granted []auth.Scope
	for scope := range strings.SplitSeq(listed, ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			granted = append(granted, auth.Scope(scope))
		}
	}
	return granted
}

// expiry returns when the keys of a Secret stop being valid; zero: never. A time that cannot be read has passed.
func expiry(secret *corev1.Secret) time.Time {
	text, ok := secret.Annotations[v1alpha1.AnnotationExpiresAt]
	if !ok {
		return time.Time{}
	}
	expires, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Unix(1, 0)
	}
	return expires
}
