package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
	"github.com/hookstorm/hookstorm/internal/outbound"
)

// newActor returns what does the actions of Rules, and the client with which it and others call out. It reads Secrets from the
// manager's cache, which holds only labelled ones.
func newActor(ctx context.Context, mgr ctrl.Manager, o *options) (*action.Runner, *outbound.Client, error) {
	calls, err := newOutbound(ctx, mgr.GetConfig(), o)
	if err != nil {
		return nil, nil, err
	}
	runner, err := action.New(action.Options{
		Config:   mgr.GetConfig(),
		Account:  types.NamespacedName{Namespace: o.settings.SystemNamespace, Name: v1alpha1.ManagedByHookStorm},
		Secrets:  mgr.GetClient(),
		Outbound: calls,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("preparing actions: %w", err)
	}
	return runner, calls, nil
}
