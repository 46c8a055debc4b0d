package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/hack/cluster"
)

const (
	systemNamespace = "hookstorm-system"
	serviceAccount  = "hookstorm"
	leaseName       = "hookstorm-leader"
	// webhookPath is what a webhook's url follows.
	webhookPath = "/v1/webhooks/"
)

// host is a control plane with all that HookStorm needs there.
type host struct {
	binary     string
	kubeconfig string // of HookStorm's ServiceAccount
	cluster    *cluster.Cluster
	client     client.WithWatch // the administrator's
}

// startHost starts a control plane and installs HookStorm as config/default does, but for the process itself.
func startHost(ctx context.Context, binary string) (*host, error) {
	c, err := cluster.Start(ctx, cluster.Options{Policy: true})
	if err != nil {
		return nil, err
	}
	h := &host{binary: binary, cluster: c, kubeconfig: filepath.Join(filepath.Dir(c.Kubectl.Kubeconfig), "manager.kubeconfig")}
	if err := h.install(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return h, nil
}

func (h *host) install(ctx context.Context) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("building the scheme: %w", err)
	}
	var err error
	if h.client, err = client.NewWithWatch(h.cluster.Config(), client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("connecting to the control plane: %w", err)
	}
	if err := h.cluster.Kubectl.Apply(ctx, "config/default"); err != nil {
		return err
	}
	if err := h.cluster.Kubectl.WriteServiceAccountKubeconfig(ctx, systemNamespace, serviceAccount, h.kubeconfig); err != nil {
		return err
	}
	return h.create(ctx, fixtures())
}

// create creates objects one after the other, because the later ones may need the earlier.
func (h *host) create(ctx context.Context, objects []client.Object) error {
	for _, object := range objects {
		if err := h.client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %s: %w", object.GetName(), err)
		}
	}
	return nil
}

// startQuiet starts HookStorm; what is posted is not recorded.
func (h *host) startQuiet(ctx context.Context, dir string) (*server, error) {
	return h.start(ctx, dir, quietURL, func(m metrics) float64 { return m["hookstorm_deliveries_dispatched_total"] })
}

// startRecording starts HookStorm; what is posted is recorded, as far as history keeps it. It has settled when the records
// that history does not keep are gone again: their end belongs to what they cost, and must not burden the next server.
func (h *host) startRecording(ctx context.Context, dir string) (*server, error) {
	s, err := h.start(ctx, dir, recordedURL, func(m metrics) float64 {
		return m["hookstorm_records_written_total"] + m["hookstorm_records_skipped_total"]
	})
	if err != nil {
		return nil, err
	}
	s.settled = h.historySettled
	return s, nil
}

// startPlainly starts HookStorm, for who knows himself where to post and when it is done.
func (h *host) startPlainly(ctx context.Context, dir string) (*server, error) {
	return h.start(ctx, dir, "", nil)
}

// historySettled reports whether there are no more records than history keeps.
func (h *host) historySettled(ctx context.Context) (bool, error) {
	var records metav1.PartialObjectMetadataList
	records.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TriggerInstanceList"))
	err := h.client.List(ctx, &records, client.InNamespace(namespace), client.Limit(v1alpha1.DefaultHistorySucceeded+1))
	return len(records.Items) <= v1alpha1.DefaultHistorySucceeded, err
}

// start starts HookStorm on a data directory and waits until it leads, so that the leader's work is measured too.
func (h *host) start(ctx context.Context, dir, url string, processed func(metrics) float64) (*server, error) {
	addresses, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	process, err := cluster.Launch("hookstorm", os.Stderr, h.binary,
		"--kubeconfig="+h.kubeconfig,
		"--webhook-bind-address="+addresses[0],
		"--health-probe-bind-address="+addresses[1],
		"--metrics-bind-address="+addresses[2],
		"--metrics-secure=false",
		"--data-dir="+dir,
		"--system-namespace="+systemNamespace,
		"--outbound-allow=127.0.0.1", // where the targets of http actions are
		"--zap-log-level=error",
		"--zap-stacktrace-level=panic",
	)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, process, "http://"+addresses[1]+"/readyz"); err != nil {
		return nil, err
	}
	s := &server{
		process: process, address: addresses[0], path: webhookPath + url,
		metrics: "http://" + addresses[2] + "/metrics", processed: processed,
	}
	if err := poll(ctx, pollInterval, h.isLed); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for a leader: %w", err), process.Stop())
	}
	return s, nil
}

// isLed reports whether somebody leads; HookStorm gives the lease back when it stops.
func (h *host) isLed(ctx context.Context) (bool, error) {
	var lease coordinationv1.Lease
	key := client.ObjectKey{Namespace: systemNamespace, Name: leaseName}
	if err := h.client.Get(ctx, key, &lease); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	holder := lease.Spec.HolderIdentity
	return holder != nil && *holder != "", nil
}
