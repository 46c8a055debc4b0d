package action

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// minSigningKey is the least length of a key that signs, in bytes: what is shorter can be guessed from one signature.
const minSigningKey = 16

// authorize puts the credential of a request into its headers.
func (r *Runner) authorize(ctx context.Context, t *Task, a *v1alpha1.HTTPAuth, header http.Header) error {
	switch {
	case a == nil:
		return nil
	case a.Bearer != nil:
		token, err := r.credential(ctx, t, a.Bearer)
		if err != nil {
			return err
		}
		header.Set("Authorization", "Bearer "+token)
	case a.Basic != nil:
		return r.authorizeBasic(ctx, t, a.Basic.Name, header)
	case a.Header != nil:
		if err := checkHeader(a.Header.Header, ""); err != nil {
			return err
		}
		value, err := r.credential(ctx, t, &a.Header.SecretKeyReference)
		if err != nil {
			return err
		}
		header.Set(a.Header.Header, value)
	default:
		return final(ReasonInvalid, "http.auth: set one of bearer, basic and header")
	}
	return nil
}

func (r *Runner) authorizeBasic(ctx context.Context, t *Task, secret string, header http.Header) error {
	user, err := r.value(ctx, t, secret, corev1.BasicAuthUsernameKey)
	if err != nil {
		return err
	}
	if bytes.ContainsRune(user, ':') {
		return passing(ReasonSecretInvalid, "Secret %s/%s, key %s: a user name has no colon", t.Namespace, secret, corev1.BasicAuthUsernameKey)
	}
	password, err := r.value(ctx, t, secret, corev1.BasicAuthPasswordKey)
	if err != nil {
		return err
	}
	pair := string(user) + ":" + string(password)
	header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	return nil
}

// credential returns a value that a header can carry.
func (r *Runner) credential(ctx context.Context, t *Task, ref *v1alpha1.SecretKeyReference) (string, error) {
	value, err := r.value(ctx, t, ref.Name, ref.Key)
	if err != nil {
		return "", err
	}
	if !httpguts.ValidHeaderFieldValue(string(value)) {
		return "", passing(ReasonSecretInvalid, "Secret %s/%s, key %s: it has characters that no header can carry", t.Namespace, ref.Name, ref.Key)
	}
	return string(value), nil
}

// signingKey returns the key of a reference as bytes.
func (r *Runner) signingKey(ctx context.Context, t *Task, ref *v1alpha1.SecretKeyReference) ([]byte, error) {
	key, err := r.value(ctx, t, ref.Name, ref.Key)
	if err != nil {
		return nil, err
	}
	if encoded, ok := strings.CutPrefix(string(key), "whsec_"); ok {
		key, err = base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, passing(ReasonSecretInvalid, "Secret %s/%s, key %s: what follows whsec_ is not base64", t.Namespace, ref.Name, ref.Key)
		}
	}
	if len(key) < minSigningKey {
		return nil, passing(ReasonSecretInvalid, "Secret %s/%s, key %s: a key that signs has at least %d bytes", t.Namespace, ref.Name, ref.Key, minSigningKey)
	}
	return key, nil
}

// value returns the value of a Secret of the Rule's namespace, without one line end after it. A Secret that is not labeled
// for outbound use is as one that does not exist, so that no Rule sends away what was meant for something else.
func (r *Runner) value(ctx context.Context, t *Task, name, key string) ([]byte, error) {
	var secret corev1.Secret
	err := r.secrets.Get(ctx, types.NamespacedName{Namespace: t.Namespace, Name: name}, &secret)
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return nil, unavailable(err)
	case err != nil || secret.Labels[v1alpha1.LabelAuth] != v1alpha1.AuthOutbound:
		return nil, passing(ReasonSecretNotFound, "no Secret %s/%s with the label %s: %s", t.Namespace, name, v1alpha1.LabelAuth, v1alpha1.AuthOutbound)
	}
	value, ok := secret.Data[key]
	if !ok {
		return nil, passing(ReasonSecretNotFound, "Secret %s/%s has no key %s", t.Namespace, name, key)
	}
	value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	if len(value) == 0 {
		return nil, passing(ReasonSecretInvalid, "Secret %s/%s, key %s: it is empty", t.Namespace, name, key)
	}
	return value, nil
}
