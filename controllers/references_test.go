package controllers_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

func withActions(actions ...v1alpha1.Action) func(*v1alpha1.Rule) {
	return func(r *v1alpha1.Rule) { r.Spec.Actions = actions }
}

var _ = Describe("A Rule with actions", func() {
	call := withActions(v1alpha1.Action{Name: "tell", HTTP: &v1alpha1.HTTPAction{
		URL: "https://chat.example/", Auth: &v1alpha1.HTTPAuth{Bearer: &v1alpha1.SecretKeyReference{Name: "chat", Key: "token"}},
	}})
	secret := func(use string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "chat", Labels: map[string]string{v1alpha1.LabelAuth: use}},
			StringData: map[string]string{"token": "0123456789abcdef"},
		}
	}

	It("says which Secret is missing, and is live all the same", func(ctx context.Context) {
		r := aRule("one", namespace, call)
		ExpectCreated(ctx, r)
		ExpectCondition(ctx, r, "ResolvedRefs", no, "SecretNotFound", `spec.actions[0].http.auth.bearer: this namespace has no Secret "chat"`)
		ExpectCondition(ctx, r, "Programmed", yes, "Programmed", "")
		ExpectCreated(ctx, secret(v1alpha1.AuthOutbound))
		ExpectCondition(ctx, r, "Ready", yes, "Ready", "")
	})

	It("takes no Secret that is for another use", func(ctx context.Context) {
		r := aRule("one", namespace, call)
		ExpectCreated(ctx, secret(v1alpha1.AuthToken), r)
		ExpectCondition(ctx, r, "ResolvedRefs", no, "SecretNotFound", "hookstorm.dev/auth: outbound")
	})

	It("names a template that is wrong", func(ctx context.Context) {
		r := aRule("one", namespace, withActions(v1alpha1.Action{Name: "make", Create: &v1alpha1.CreateAction{
			Template: apiextensionsv1.JSON{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"${trigger.a +}"}}`)},
		}}))
		ExpectCreated(ctx, r)
		ExpectCondition(ctx, r, "Accepted", no, "Invalid", "spec.actions[0] (make): create.template.data.a")
	})

	It("names an expression that is wrong", func(ctx context.Context) {
		r := aRule("one", namespace, func(r *v1alpha1.Rule) { r.Spec.When = []v1alpha1.Expression{"body.a == 1"} })
		ExpectCreated(ctx, r)
		ExpectCondition(ctx, r, "Accepted", no, "Invalid", "spec.when[0]")
	})
})
