package controllers

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// StatusReconciler writes the status of one kind, as the Programmer found it. Only the leader's does.
type StatusReconciler[O conditioned] struct {
	client     client.Client
	leader     Leader
	programmer *Programmer
	feed       *feed
	empty      func() O
	// apply brings an object's status to what a program says; false: the program does not know this generation yet.
	apply func(p *program, object O) bool
	// tell tells the owner what became of it; nil: the status says enough.
	tell func(was, is O)
}

// SetupWithManager registers the reconciler.
func (r *StatusReconciler[O]) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		// Without a predicate: a status that was computed from an older one, or that somebody altered, is put right.
		For(r.empty()).
		WatchesRawSource(r.feed.source()).
		Complete(r)
}

// Reconcile writes the status of one object. A generation that is not programmed yet is reported when it is.
func (r *StatusReconciler[O]) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !r.leader.Leading() {
		return ctrl.Result{}, nil
	}
	object := r.empty()
	if err := r.client.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	was := object.DeepCopyObject().(O)
	program := r.programmer.current.Load()
	if program == nil || !r.apply(program, object) {
		return ctrl.Result{}, nil
	}
	if err := patchStatus(ctx, r.client, was, object); err != nil {
		return ctrl.Result{}, err
	}
	if r.tell != nil {
		r.tell(was, object)
	}
	return ctrl.Result{}, nil
}
