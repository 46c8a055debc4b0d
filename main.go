// Command hookstorm is the webhook server of HookStorm with its controllers, queue and dispatcher in one process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/controllers"
	"github.com/hookstorm/hookstorm/internal/dispatch"
	"github.com/hookstorm/hookstorm/internal/queue"
	"github.com/hookstorm/hookstorm/internal/rule"
	"github.com/hookstorm/hookstorm/webhookserver"
)

func main() {
	err := run(ctrl.SetupSignalHandler(), os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hookstorm:", err)
		os.Exit(1)
	}
}

// run parses the flags, builds everything in the order of dependency and runs it until ctx ends. What it opened it closes
// in the opposite order: the queue last, because requests and deliveries under way still use it.
func run(ctx context.Context, args []string) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	log := o.logger()
	ctrl.SetLogger(log)
	klog.SetLogger(log) // client-go speaks through klog

	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}

	deliveries, err := queue.Open(ctx, queue.Options{Dir: o.dataDir, MaxBytes: o.queueBytes, Log: log.WithName("queue")})
	if err != nil {
		return fmt.Errorf("opening the queue: %w", err)
	}
	defer func() { err = errors.Join(err, deliveries.Close()) }()

	books, routes := rule.NewBooks(), &webhookserver.Routes{}
	activity := controllers.NewActivity(mgr.GetClient(), log.WithName("activity"), time.Now)
	server, err := webhookserver.Listen(o.webhookAddress, webhookserver.Options{
		Routes: routes, Publisher: deliveries, Observer: activity, Log: log.WithName("webhookserver"), ShutdownDelay: o.shutdownDelay,
	})
	if err != nil {
		return err
	}
	dispatcher := &dispatch.Dispatcher{
		Source: deliveries, Books: books, Client: mgr.GetClient(), Observer: activity, Log: log.WithName("dispatch"), Now: time.Now,
	}
	leadership, err := setupControllers(mgr, o, books, routes)
	if err != nil {
		return err
	}
	for _, runnable := range []manager.Runnable{&intake{server, dispatcher}, activity, leadership} {
		if err := mgr.Add(runnable); err != nil {
			return fmt.Errorf("adding to the manager: %w", err)
		}
	}
	if err := addChecks(mgr, server, deliveries); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// intake is the server with the dispatcher, which goes on until the server has answered its last request.
type intake struct {
	server     *webhookserver.Server
	dispatcher *dispatch.Dispatcher
}

// NeedLeaderElection says that every replica has one.
func (i *intake) NeedLeaderElection() bool { return false }

// Start serves and dispatches until ctx ends; an end of one ends the other.
func (i *intake) Start(ctx context.Context) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	dispatching, stopDispatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDispatching()
	ended := make(chan error, 1)
	go func() {
		defer stopServing()
		ended <- i.dispatcher.Start(dispatching)
	}()
	err := i.server.Start(serving)
	stopDispatching()
	return errors.Join(err, <-ended)
}

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
		Metrics:                 metricsserver.Options{BindAddress: o.metricsAddress},
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

// setupControllers registers the controllers, and returns the leadership that their writers ask.
func setupControllers(mgr ctrl.Manager, o *options, books *rule.Books, routes *webhookserver.Routes) (*controllers.Leadership, error) {
	c := mgr.GetClient()
	programmer := controllers.NewProgrammer(c, o.settings, books, routes)
	keeper := &controllers.KeptWebhookReconciler{Client: c}
	history := &controllers.HistoryReconciler{Client: c, Limits: o.history, Now: time.Now}
	secrets := &controllers.SecretReconciler{Client: c, Events: mgr.GetEventRecorder(v1alpha1.ManagedByHookStorm)}
	leadership, err := controllers.NewLeadership(mgr.GetConfig(), o.settings.SystemNamespace, ctrl.Log.WithName("leader"),
		programmer.ReportAll, keeper.KeepAll, history.LookAgain, secrets.LookAtAll)
	if err != nil {
		return nil, err
	}
	keeper.Leader, history.Leader, secrets.Leader = leadership, leadership, leadership
	for _, controller := range []interface{ SetupWithManager(ctrl.Manager) error }{
		programmer, keeper, history, secrets,
		controllers.NewRuleReconciler(c, leadership, programmer),
		controllers.NewWebhookReconciler(c, leadership, programmer),
		controllers.NewTriggerTypeReconciler(c, leadership, programmer),
	} {
		if err := controller.SetupWithManager(mgr); err != nil {
			return nil, fmt.Errorf("setting up %T: %w", controller, err)
		}
	}
	return leadership, nil
}

// addChecks registers the probes: alive while the process answers, ready while requests are taken and the queue is sound.
func addChecks(mgr ctrl.Manager, server *webhookserver.Server, deliveries *queue.Queue) error {
	return errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("routes", server.Ready),
		mgr.AddReadyzCheck("queue", func(*http.Request) error { return deliveries.Healthy() }),
	)
}
