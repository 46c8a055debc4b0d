package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// createAll creates objects with so many creates under way, and returns how long that took.
func createAll[T client.Object](
	ctx context.Context, c client.Client, objects []T, atOnce int, options ...client.CreateOption,
) (time.Duration, error) {
	errs := make([]error, atOnce)
	var next atomic.Int64
	var creating sync.WaitGroup
	start := time.Now()
	for worker := range atOnce {
		creating.Go(func() {
			for errs[worker] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(objects) {
					return
				}
				errs[worker] = c.Create(ctx, objects[i], options...)
			}
		})
	}
	creating.Wait()
	return time.Since(start), errors.Join(errs...)
}
