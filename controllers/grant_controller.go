package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	// deniedInterval is how often it is asked again whether HookStorm may act, where it may not: somebody is about to allow it.
	deniedInterval = 5 * time.Second
	// allowedInterval is how often it is asked again where it may; that it may no more also shows in what fails.
	allowedInterval = time.Minute
)

// Grants says as which ServiceAccounts HookStorm may act. Its zero value knows of none that it may not; it is safe for
// concurrent use.
type Grants struct {
	mu     sync.Mutex
	denied map[types.NamespacedName]bool
}

// allows reports whether HookStorm may act as a ServiceAccount, as far as is known.
func (g *Grants) allows(account types.NamespacedName) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.denied[account]
}

// set notes an answer and reports whether it is news.
func (g *Grants) set(account types.NamespacedName, allowed bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.denied[account] == !allowed {
		return false
	}
	if g.denied == nil {
		g.denied = map[types.NamespacedName]bool{}
	}
	if g.denied[account] = !allowed; allowed {
		delete(g.denied, account)
	}
	return true
}

// +kubebuilder:rbac:groups=authorization.k8s.io,resources=selfsubjectaccessreviews,verbs=create

// GrantReconciler asks the API server whether HookStorm may act as the ServiceAccounts that Rules name, for their statuses.
// A request names a ServiceAccount. What is really allowed shows when an action is done.
type GrantReconciler struct {
	client     client.Client
	grants     *Grants
	programmer *Programmer
}

// NewGrantReconciler returns the reconciler that fills a Programmer's grants.
func NewGrantReconciler(c client.Client, p *Programmer) *GrantReconciler {
	return &GrantReconciler{client: c, grants: &p.compiler.grants, programmer: p}
}

// SetupWithManager registers the reconciler.
func (r *GrantReconciler) SetupWithManager(mgr ctrl.Manager) error {
	account := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
		if account, acts := actsAs(object.(*v1alpha1.Rule)); acts {
			return []reconcile.Request{{NamespacedName: account}}
		}
		return nil
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("grant").
		Watches(&v1alpha1.Rule{}, account, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile asks about one ServiceAccount.
func (r *GrantReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	account := request.NamespacedName
	needed, err := r.needed(ctx, account)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !needed {
		r.grants.set(account, true)
		return ctrl.Result{}, nil
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "impersonate", Resource: "serviceaccounts", Namespace: account.Namespace, Name: account.Name,
		},
	}}
	if err := r.client.Create(ctx, review); err != nil {
		return ctrl.Result{}, fmt.Errorf("asking whether HookStorm may act as %s: %w", account, err)
	}
	if r.grants.set(account, review.Status.Allowed) {
		r.programmer.again.add(programRequest)
	}
	if review.Status.Allowed {
		return ctrl.Result{RequeueAfter: allowedInterval}, nil
	}
	return ctrl.Result{RequeueAfter: deniedInterval}, nil
}

// needed reports whether a Rule acts as a ServiceAccount.
func (r *GrantReconciler) needed(ctx context.Context, account types.NamespacedName) (bool, error) {
	var rules v1alpha1.RuleList
	if err := r.client.List(ctx, &rules, client.InNamespace(account.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("listing rules: %w", err)
	}
	return slices.ContainsFunc(rules.Items, func(rule v1alpha1.Rule) bool {
		named, acts := actsAs(&rule)
		return acts && named == account
	}), nil
}
