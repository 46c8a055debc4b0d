package controllers

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The timing of the lease. A leader that cannot renew it gives up, and has tried to release it, before another may take it:
// each of the two takes renewDeadline.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 6 * time.Second
	retryPeriod   = 2 * time.Second
	leaseName     = "hookstorm-leader"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=hookstorm-system,resources=leases,verbs=get;create;update

// Leadership says whether this replica leads. Losing the lease never ends the process: it competes again. It is safe for
// concurrent use.
type Leadership struct {
	lock  resourcelock.Interface
	won   []func(context.Context) error
	log   logr.Logger
	terms atomic.Int32 // leaderships under way: one is about to end where there are two
}

// NewLeadership returns a Leadership over the lease in a namespace. Each time this replica begins to lead it calls won, which
// enqueue what a leader has to look at.
func NewLeadership(config *rest.Config, namespace string, log logr.Logger, won ...func(context.Context) error) (*Leadership, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("naming this replica: %w", err)
	}
	identity := host + "_" + string(uuid.NewUUID())
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, leaseName,
		resourcelock.ResourceLockConfig{Identity: identity}, config, renewDeadline)
	if err != nil {
		return nil, fmt.Errorf("preparing the lease %s/%s: %w", namespace, leaseName, err)
	}
	return &Leadership{lock: lock, won: won, log: log}, nil
}

// Leading reports whether this replica leads now.
func (l *Leadership) Leading() bool { return l.terms.Load() > 0 }

// NeedLeaderElection says that the manager runs it on every replica.
func (l *Leadership) NeedLeaderElection() bool { return false }

// Start competes for the lease until ctx ends.
func (l *Leadership) Start(ctx context.Context) error {
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            l.lock,
		LeaseDuration:   leaseDuration,
		RenewDeadline:   renewDeadline,
		RetryPeriod:     retryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: l.lead,
			OnStoppedLeading: func() { l.log.V(1).Info("The lease is not held") },
		},
	})
	if err != nil {
		return fmt.Errorf("preparing leader election: %w", err)
	}
	for ctx.Err() == nil {
		elector.Run(ctx)
	}
	return nil
}

// lead is one term: it lasts until ctx ends, with the lease.
func (l *Leadership) lead(ctx context.Context) {
	l.terms.Add(1)
	defer l.terms.Add(-1)
	l.log.Info("This replica leads")
	for _, enqueue := range l.won {
		l.until(ctx, enqueue)
	}
	<-ctx.Done()
	l.log.Info("This replica leads no more")
}

// until enqueues what a leader has to look at, and tries again until that worked or the term ends.
func (l *Leadership) until(ctx context.Context, enqueue func(context.Context) error) {
	_ = wait.PollUntilContextCancel(ctx, retryPeriod, true, func(ctx context.Context) (bool, error) {
		err := enqueue(ctx)
		if err != nil && ctx.Err() == nil {
			l.log.Error(err, "Looking at everything failed, and is tried again")
		}
		return err == nil, nil
	}) // its error is the end of the term
}
