package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// Leader says whether this replica writes.
type Leader interface {
	// Leading reports whether it does now.
	Leading() bool
}

// conditioned is a resource with conditions.
type conditioned interface {
	client.Object
	GetConditions() *[]metav1.Condition
}

// setConditions brings conditions to what is wanted; a time changes only with its status.
func setConditions(object conditioned, wanted []metav1.Condition) {
	for _, condition := range wanted {
		meta.SetStatusCondition(object.GetConditions(), condition)
	}
}

// patchStatus is the one status writer: it writes what differs from the object as it was read, and nothing if nothing does.
func patchStatus(ctx context.Context, c client.Client, was, is client.Object) error {
	if equality.Semantic.DeepEqual(was, is) {
		return nil
	}
	err := c.Status().Patch(ctx, is, client.MergeFrom(was), client.FieldOwner(v1alpha1.ManagedByHookStorm))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}
