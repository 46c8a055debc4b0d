package controllers

import (
	"context"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// queue is a controller's work queue.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// feed lets one controller enqueue requests of another. Requests added before that one starts wait for it. Its zero value
// is ready; it is safe for concurrent use.
type feed struct {
	mu      sync.Mutex
	queue   queue
	waiting []reconcile.Request
}

// source is what the other controller watches.
func (f *feed) source() source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.queue = q
		for _, request := range f.waiting {
			q.Add(request)
		}
		f.waiting = nil
		return nil
	})
}

// add enqueues requests.
func (f *feed) add(requests ...reconcile.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queue == nil {
		f.waiting = append(f.waiting, requests...)
		return
	}
	for _, request := range requests {
		f.queue.Add(request)
	}
}
