package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// The names of the results: how many deliveries a second HookStorm records that were posted as fast as it takes them, and
// how many of the same objects a plain client creates, with the same rights and as many creates under way.
const (
	drainHookStorm = "drain.hookstorm"
	drainCreate    = "drain.create"
)

const (
	// drainTenants is how many namespaces there are, each with a history of drainHistory, the most that a webhook may keep:
	// what is posted is all recorded, and nothing of it is dropped.
	drainTenants = 4
	drainHistory = 1000
	// drainSenders post to each namespace at once, and drainWarmUp deliveries of each are not measured.
	drainSenders = 8
	drainWarmUp  = 13
	drainEach    = 112
	// drainCreators is how many records HookStorm writes at once.
	drainCreators = 32
)

// measureDrain measures HookStorm first, and then the plain client with the objects that HookStorm made.
func (b *bench) measureDrain(ctx context.Context, h *host) error {
	for i := range drainTenants {
		if err := h.create(ctx, tenant(drainTenant(i), &v1alpha1.WebhookHistory{Succeeded: ptr.To[int32](drainHistory)})); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stderr, drainHookStorm)
	rate, err := b.drainHookStorm(ctx, h)
	if err != nil {
		return fmt.Errorf("measuring %s: %w", drainHookStorm, err)
	}
	b.results.add(drainHookStorm, unitRecordRate, rate)
	fmt.Fprintln(os.Stderr, drainCreate)
	if rate, err = h.drainCreate(ctx); err != nil {
		return fmt.Errorf("measuring %s: %w", drainCreate, err)
	}
	b.results.add(drainCreate, unitRecordRate, rate)
	return h.deleteRecords(ctx)
}

func drainTenant(i int) string { return fmt.Sprintf("drain-%d", i) }

// drainHookStorm posts, and returns the records a second from the first post to the last record.
func (b *bench) drainHookStorm(ctx context.Context, h *host) (rate float64, err error) {
	s, end, err := b.begin(ctx, h.startPlainly)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end()) }()
	l := &load{}
	defer l.close()
	for i := range drainTenants {
		of, err := connect(s.address, webhookPath+drainTenant(i), drainSenders)
		if err != nil {
			return 0, err
		}
		l.senders = append(l.senders, of.senders...)
	}
	if err := errors.Join(l.post(drainWarmUp), s.awaitRecords(ctx, len(l.senders)*drainWarmUp)); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := errors.Join(l.post(drainEach), s.awaitRecords(ctx, len(l.senders)*(drainWarmUp+drainEach))); err != nil {
		return 0, err
	}
	return float64(len(l.senders)*drainEach) / time.Since(start).Seconds(), nil
}

// post lets every client post so many times.
func (l *load) post(times int) error {
	errs := make([]error, len(l.senders))
	var posting sync.WaitGroup
	for i, s := range l.senders {
		posting.Go(func() {
			for n := 0; n < times && errs[i] == nil; n++ {
				errs[i] = s.post()
			}
		})
	}
	posting.Wait()
	return errors.Join(errs...)
}

// awaitRecords waits until so many records are written. It notices pollInterval later at most, where seconds are measured.
func (s *server) awaitRecords(ctx context.Context, records int) error {
	err := poll(ctx, pollInterval, func(ctx context.Context) (bool, error) {
		m, err := s.scrape(ctx)
		if skipped := m["hookstorm_records_skipped_total"]; skipped > 0 {
			return false, fmt.Errorf("%g records were skipped, and all are to be measured", skipped)
		}
		return m["hookstorm_records_written_total"] >= float64(records), err
	})
	if err != nil {
		return fmt.Errorf("waiting for %d records: %w", records, err)
	}
	return nil
}

// drainCreate creates what HookStorm recorded once more, without HookStorm, and returns the creates a second.
func (h *host) drainCreate(ctx context.Context) (float64, error) {
	records, err := h.copyRecords(ctx)
	if err != nil {
		return 0, err
	}
	if err := h.deleteRecords(ctx); err != nil {
		return 0, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", h.kubeconfig)
	if err != nil {
		return 0, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS = -1
	plain, err := client.New(config, client.Options{Scheme: h.client.Scheme()})
	if err != nil {
		return 0, fmt.Errorf("connecting to the control plane: %w", err)
	}
	warmUp, owner := drainTenants*drainSenders*drainWarmUp, client.FieldOwner(v1alpha1.ManagedByHookStorm)
	if _, err := createAll(ctx, plain, records[:warmUp], drainCreators, owner); err != nil {
		return 0, err
	}
	elapsed, err := createAll(ctx, plain, records[warmUp:], drainCreators, owner)
	return float64(len(records)-warmUp) / elapsed.Seconds(), err
}

// copyRecords returns what HookStorm recorded, in the order in which it was accepted, as it is before it is created.
func (h *host) copyRecords(ctx context.Context) ([]*v1alpha1.TriggerInstance, error) {
	var records []*v1alpha1.TriggerInstance
	for i := range drainTenants {
		var list v1alpha1.TriggerInstanceList
		if err := h.client.List(ctx, &list, client.InNamespace(drainTenant(i))); err != nil {
			return nil, fmt.Errorf("listing trigger instances: %w", err)
		}
		for _, r := range list.Items {
			records = append(records, &v1alpha1.TriggerInstance{
				ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name, Labels: r.Labels, Annotations: r.Annotations},
				Spec:       r.Spec,
				Status:     r.Status,
			})
		}
	}
	if want := drainTenants * drainSenders * (drainWarmUp + drainEach); len(records) != want {
		return nil, fmt.Errorf("there are %d trigger instances, want %d", len(records), want)
	}
	slices.SortFunc(records, func(a, b *v1alpha1.TriggerInstance) int { return cmp.Compare(a.Spec.DeliveryID, b.Spec.DeliveryID) })
	return records, nil
}

// deleteRecords deletes what was recorded.
func (h *host) deleteRecords(ctx context.Context) error {
	for i := range drainTenants {
		if err := h.client.DeleteAllOf(ctx, &v1alpha1.TriggerInstance{}, client.InNamespace(drainTenant(i))); err != nil {
			return fmt.Errorf("deleting trigger instances: %w", err)
		}
	}
	return nil
}
