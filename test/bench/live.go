package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// ruleLive is the name of the result.
const ruleLive = "rule.live.p50"

const (
	// liveRules is how many Rules become live, one after the other, and liveBeside how many others there are.
	liveRules, liveBeside = 20, 1000
	// createAtOnce keeps the control plane busy while the others are created.
	createAtOnce = 16
	// statusInterval is how often all Rules are listed until they are ready, which takes longer the more often they are.
	statusInterval = time.Second
	// postInterval is how long the poster waits between its posts: it adds at most so much to a latency.
	postInterval = 10 * time.Millisecond
	// calm separates one Rule from the next.
	calm = 200 * time.Millisecond
	// liveTimeout bounds the wait for one Rule.
	liveTimeout = 30 * time.Second
)

// measureLive measures how long Rules take from their creation to the first record that says that they matched.
func (b *bench) measureLive(ctx context.Context, h *host) error {
	fmt.Fprintln(os.Stderr, ruleLive)
	latencies, err := b.timeRules(ctx, h)
	if err != nil {
		return fmt.Errorf("measuring how soon a Rule is live: %w", err)
	}
	b.results.add(ruleLive, unitMilliseconds, milliseconds(percentile(latencies, 50)))
	return nil
}

// timeRules makes Rules live beside many others, and returns how long each took.
func (b *bench) timeRules(ctx context.Context, h *host) (latencies []time.Duration, err error) {
	s, end, err := b.begin(ctx, h.startPlainly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := h.createOthers(ctx); err != nil {
		return nil, err
	}
	l, err := connect(s.address, webhookPath+liveURL, 1)
	if err != nil {
		return nil, err
	}
	defer l.close()
	ctx, cancel := context.WithCancelCause(ctx)
	var posting sync.WaitGroup
	posting.Go(func() { cancel(l.senders[0].keepPosting(ctx, postInterval)) })
	defer posting.Wait()
	defer cancel(nil)

	for i := range liveRules {
		latency, err := h.timeRule(ctx, rule(fmt.Sprintf("live-%02d", i), liveURL))
		if err != nil {
			return nil, errors.Join(err, context.Cause(ctx))
		}
		latencies = append(latencies, latency)
		time.Sleep(calm)
	}
	slices.Sort(latencies)
	return latencies, nil
}

// createOthers creates the other Rules and waits until they are live.
func (h *host) createOthers(ctx context.Context) error {
	if _, err := createAll(ctx, h.client, otherRules(liveBeside), createAtOnce); err != nil {
		return fmt.Errorf("creating the other Rules: %w", err)
	}
	if err := poll(ctx, statusInterval, h.allReady); err != nil {
		return fmt.Errorf("waiting until all Rules are ready: %w", err)
	}
	return nil
}

// allReady reports whether every Rule is.
func (h *host) allReady(ctx context.Context) (bool, error) {
	var rules v1alpha1.RuleList
	if err := h.client.List(ctx, &rules); err != nil {
		return false, err
	}
	notReady := func(r v1alpha1.Rule) bool {
		return !meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady)
	}
	return !slices.ContainsFunc(rules.Items, notReady), nil
}

// timeRule creates a Rule, returns how long its first match took, and deletes it.
func (h *host) timeRule(ctx context.Context, r *v1alpha1.Rule) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	records, err := h.watchRecords(ctx)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := h.client.Create(ctx, r); err != nil {
		return 0, fmt.Errorf("creating a Rule: %w", err)
	}
	for !seesMatch(records, r.Name) {
		// The API server ends a watch when it likes to; the next one begins with what there is.
		if records, err = h.watchRecords(ctx); err != nil {
			return 0, fmt.Errorf("waiting until the Rule %s matches: %w", r.Name, err)
		}
	}
	latency := time.Since(start)
	return latency, h.client.Delete(ctx, r)
}

// watchRecords watches the records of the webhook until ctx ends.
func (h *host) watchRecords(ctx context.Context) (watch.Interface, error) {
	records, err := h.client.Watch(ctx, &v1alpha1.TriggerInstanceList{}, client.InNamespace(namespace),
		client.MatchingLabels{v1alpha1.LabelWebhook: liveURL})
	if err != nil {
		return nil, fmt.Errorf("watching trigger instances: %w", err)
	}
	return records, nil
}

// seesMatch returns true at the first record of a match of the Rule, or false when the watch ends.
func seesMatch(records watch.Interface, name string) bool {
	defer records.Stop()
	matched := func(o v1alpha1.RuleOutcome) bool { return o.Name == name && o.Result == v1alpha1.ResultMatched }
	for event := range records.ResultChan() {
		instance, ok := event.Object.(*v1alpha1.TriggerInstance)
		if ok && instance.Status != nil && slices.ContainsFunc(instance.Status.Rules, matched) {
			return true
		}
	}
	return false
}
