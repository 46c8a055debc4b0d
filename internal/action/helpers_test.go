package action_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
	"github.com/hookstorm/hookstorm/internal/outbound"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

var (
	// account is HookStorm's own ServiceAccount.
	account = types.NamespacedName{Namespace: "hookstorm-system", Name: "hookstorm"}
	// clock is when the tests are.
	clock = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
)

// secrets are the Secrets that a Runner reads.
type secrets []*corev1.Secret

func (s secrets) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	for _, secret := range s {
		if client.ObjectKeyFromObject(secret) == key {
			secret.DeepCopyInto(o.(*corev1.Secret))
			return nil
		}
	}
	return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
}

func (s secrets) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("nobody lists Secrets")
}

// aSecret builds a Secret of namespace ci that is for outbound use.
func aSecret(name string, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ci", Name: name, Labels: map[string]string{v1alpha1.LabelAuth: v1alpha1.AuthOutbound},
	}, Data: map[string][]byte{}}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}
	return s
}

// newRunner makes a Runner that reaches the loopback, and whose API server is nowhere unless one is given.
func newRunner(t *testing.T, change ...func(*action.Options)) *action.Runner {
	t.Helper()
	calls := outbound.New(outbound.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(calls.Close)
	o := action.Options{
		Config: &rest.Config{Host: "http://127.0.0.1:1"}, Account: account, Secrets: secrets{}, Outbound: calls,
		Now: func() time.Time { return clock },
	}
	for _, c := range change {
		c(&o)
	}
	r, err := action.New(o)
	if err != nil {
		t.Fatalf("making a Runner: %v", err)
	}
	return r
}

// aTask builds a task of Rule on-push of namespace ci.
func aTask(a v1alpha1.Action) *action.Task {
	if a.Name == "" {
		a.Name = "act"
	}
	return &action.Task{
		Namespace: "ci", Rule: "on-push", RuleUID: "7e1c9a52-4f6b-4d0e-9a53-5d1f6a2b8c44", ServiceAccount: "builder", Action: &a,
		DeliveryID: "01k0a8yv5n9m3c7q2x4r6t8w1z", Trigger: "core.st2.webhook",
		Webhook: action.Webhook{Namespace: "ci", Name: "github-push", URL: "github/push"}, Received: clock,
	}
}

// key is the IdempotencyKey of the actions that aTask builds.
const key = "01k0a8yv5n9m3c7q2x4r6t8w1z/7e1c9a52-4f6b-4d0e-9a53-5d1f6a2b8c44/act"

// run runs an action.
func run(t *testing.T, r *action.Runner, task *action.Task) (action.Result, *action.Failure) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := r.Run(ctx, task)
	return result, failureOf(t, err)
}

// failureOf returns the Failure that an error of Run is.
func failureOf(t *testing.T, err error) *action.Failure {
	t.Helper()
	if err == nil {
		return nil
	}
	failure, ok := errors.AsType[*action.Failure](err)
	if !ok {
		t.Fatalf("the error is no Failure: %v", err)
	}
	return failure
}

// serve starts a server with one handler for everything.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// raw is a JSON text as the API holds it.
func raw(text string) apiextensionsv1.JSON { return apiextensionsv1.JSON{Raw: []byte(text)} }

func ptr[T any](value T) *T { return &value }
