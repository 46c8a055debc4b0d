package main

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/webhookserver"
)

// newManager returns a manager without leader election: every replica serves and programs, and Leadership says who writes.
func newManager(config *rest.Config, o *options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building the scheme: %w", err)
	}
	// The API server's own fairness bounds what is sent; the recorders bound what is under way.
	config.QPS = -1
	labelled, err := labels.NewRequirement(v1alpha1.LabelAuth, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting secrets: %w", err)
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		// Longer than the server takes to answer what is under way after the delay.
		GracefulShutdownTimeout: ptr.To(o.shutdownDelay + webhookserver.DrainTimeout + 10*time.Second),
		Metrics:                 metricsOptions(o),
		HealthProbeBindAddress:  o.probeAddress,
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			// No Secret without the label is read, whatever refers to it.
			&corev1.Secret{}: {Label: labels.NewSelector().Add(*labelled)},
			recordMetadata(): {Transform: cache.TransformStripManagedFields()},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("creating the manager: %w", err)
	}
	return mgr, nil
}

// recordMetadata is how the cache knows TriggerInstances.
func recordMetadata() client.Object {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TriggerInstance"))
	return o
}
