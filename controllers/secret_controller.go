package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// minToken is the length in bytes below which a token is easily guessed. A shorter one works.
const minToken = 16

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SecretReconciler warns, in an Event, about token Secrets whose tokens are short. Only the leader's does, once for each
// version of a Secret.
type SecretReconciler struct {
	Client client.Client
	Leader Leader
	Events events.EventRecorder

	feed   feed
	mu     sync.Mutex
	warned map[types.NamespacedName]string // the resourceVersion that was warned about
}

// SetupWithManager registers the reconciler.
func (r *SecretReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&corev1.Secret{}, builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		WatchesRawSource(r.feed.source()).
		Complete(r)
}

// LookAtAll has every Secret looked at again, which a new leader does.
func (r *SecretReconciler) LookAtAll(ctx context.Context) error {
	var secrets corev1.SecretList
	if err := r.Client.List(ctx, &secrets, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing secrets: %w", err)
	}
	for i := range secrets.Items {
		r.feed.add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&secrets.Items[i])})
	}
	return nil
}

// Reconcile looks at one Secret.
func (r *SecretReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !r.Leader.Leading() {
		return ctrl.Result{}, nil
	}
	var secret corev1.Secret
	if err := r.Client.Get(ctx, request.NamespacedName, &secret); err != nil {
		r.forget(request.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if secret.Labels[v1alpha1.LabelAuth] == v1alpha1.AuthToken && hasShortToken(&secret) && r.first(&secret) {
		r.Events.Eventf(&secret, nil, corev1.EventTypeWarning, "ShortToken", "Check",
			fmt.Sprintf("a token of this Secret has fewer than %d bytes and is easily guessed; replace it", minToken))
	}
	return ctrl.Result{}, nil
}

// hasShortToken reports whether a Secret holds a token that is easily guessed.
func hasShortToken(secret *corev1.Secret) bool {
	for _, value := range secret.Data {
		if token := tokenOf(value); len(token) > 0 && len(token) < minToken {
			return true
		}
	}
	return false
}

// first reports whether this version of a Secret was not warned about before.
func (r *SecretReconciler) first(secret *corev1.Secret) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := client.ObjectKeyFromObject(secret)
	if r.warned[key] == secret.ResourceVersion {
		return false
	}
	if r.warned == nil {
		r.warned = map[types.NamespacedName]string{}
	}
	r.warned[key] = secret.ResourceVersion
	return true
}

// forget drops what was noted of a Secret that is gone.
func (r *SecretReconciler) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.warned, key)
}
