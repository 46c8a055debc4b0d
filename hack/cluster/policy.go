package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// policyProbe is the user, and the name of his role, who tries whether the policy is in force.
const policyProbe = "hookstorm-policy-probe"

// applyPolicy applies the admission policy. The API server enforces it some time after it has stored it, without saying when,
// so a user who may create TriggerInstances, but not write an outcome, tries (without effect) until he is denied.
func (c *Cluster) applyPolicy(ctx context.Context) (err error) {
	if err := c.Kubectl.Apply(ctx, "config/policy"); err != nil {
		return err
	}
	admin, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return fmt.Errorf("connecting as the administrator: %w", err)
	}
	role, binding := probeRole()
	for _, object := range []client.Object{role, binding} {
		if err := client.IgnoreAlreadyExists(admin.Create(ctx, object)); err != nil {
			return fmt.Errorf("granting the probe: %w", err)
		}
		defer func() { err = errors.Join(err, client.IgnoreNotFound(admin.Delete(ctx, object))) }()
	}
	probe, err := client.New(c.As(policyProbe), client.Options{})
	if err != nil {
		return fmt.Errorf("connecting as the probe: %w", err)
	}
	return waitDenied(ctx, probe)
}

// waitDenied tries to forge a TriggerInstance until the policy denies it.
func waitDenied(ctx context.Context, probe client.Client) error {
	var last error
	denied := func(ctx context.Context) (bool, error) {
		last = probe.Create(ctx, forgery(), client.DryRunAll)
		// RBAC forbids too, as long as it does not know the probe.
		return apierrors.IsForbidden(last) && strings.Contains(last.Error(), "ValidatingAdmissionPolicy"), nil
	}
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, denied); err != nil {
		return fmt.Errorf("waiting for the admission policy: %w (last answer: %w)", err, last)
	}
	return nil
}

// forgery is a TriggerInstance that only HookStorm may write. It is unstructured, so that its client needs no scheme.
func forgery() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "TriggerInstance",
		"metadata":   map[string]any{"name": policyProbe, "namespace": metav1.NamespaceDefault},
		"spec":       map[string]any{"trigger": map[string]any{"type": policyProbe}, "deliveryID": policyProbe},
	}}
}

// probeRole lets the probe create TriggerInstances.
func probeRole() (*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding) {
	meta := metav1.ObjectMeta{Name: policyProbe}
	role := &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"triggerinstances"}, Verbs: []string{"create"},
	}}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: policyProbe},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: policyProbe}},
	}
	return role, binding
}
