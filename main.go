// Command hookstorm is the webhook server of HookStorm with its controllers, queue and dispatcher in one process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"os"
	"runtime/debug"
	"time"
	_ "time/tzdata" // expressions may name a time zone, and images have no database of their own

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/controllers"
	"github.com/hookstorm/hookstorm/internal/dispatch"
	"github.com/hookstorm/hookstorm/internal/queue"
	"github.com/hookstorm/hookstorm/internal/rule"
	"github.com/hookstorm/hookstorm/webhookserver"
)

// gcPercent is how much garbage may be made beside what lives before it is collected, unless GOGC says otherwise. Nearly all
// that a request allocates is dead at its answer, and what lives is small beside the memory of a Pod, which GOMEMLIMIT keeps
// to.
const gcPercent = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
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
	klog.SetLogger(log)          // client-go speaks through klog
	stdlog.SetOutput(io.Discard) // net/http speaks there, and quotes what targets answer

	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}

	o.queue.Log = log.WithName("queue")
	deliveries, err := queue.Open(ctx, o.queue)
	if err != nil {
		return fmt.Errorf("opening the queue: %w", err)
	}
	defer func() { err = errors.Join(err, deliveries.Close()) }()

	books, routes := rule.NewBooks(), &webhookserver.Routes{}
	recorder := mgr.GetEventRecorder(v1alpha1.ManagedByHookStorm)
	activity := controllers.NewActivity(mgr.GetClient(), recorder, log.WithName("activity"), time.Now)
	actor, calls, err := newActor(ctx, mgr, o)
	if err != nil {
		return err
	}
	dispatcher := &dispatch.Dispatcher{
		Source: deliveries, Store: deliveries, Books: books, Actor: actor, Client: mgr.GetClient(), Observer: activity,
		Log: log.WithName("dispatch"), Now: time.Now,
	}
	programmer, confirmer, err := newProgrammer(mgr, o, calls, books, routes)
	if err != nil {
		return err
	}
	leadership, err := setupControllers(mgr, o, programmer, &dispatch.Injector{Queue: deliveries})
	if err != nil {
		return err
	}
	server, err := listen(mgr, o, webhookserver.Options{
		Routes: routes, Publisher: deliveries, Observer: activity, Confirmer: confirmer, Log: log.WithName("webhookserver"),
	})
	if err != nil {
		return err
	}
	for _, runnable := range []manager.Runnable{&intake{server, dispatcher}, activity, leadership, untilBroken(deliveries)} {
		if err := mgr.Add(runnable); err != nil {
			return fmt.Errorf("adding to the manager: %w", err)
		}
	}
	if err := addChecks(mgr, server, deliveries); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// untilBroken ends the process when its queue is broken, which a start mends.
func untilBroken(deliveries *queue.Queue) manager.RunnableFunc {
	return func(ctx context.Context) error {
		select {
		case <-deliveries.Broken():
			return errors.New("the NATS servers have lost the end of a stream: starting anew")
		case <-ctx.Done():
			return nil
		}
	}
}

// setupControllers registers the controllers, and returns the leadership that their writers ask.
func setupControllers(
	mgr ctrl.Manager, o *options, programmer *controllers.Programmer, injector controllers.Injector,
) (*controllers.Leadership, error) {
	c := mgr.GetClient()
	keeper := &controllers.KeptWebhookReconciler{Client: c}
	history := &controllers.HistoryReconciler{Client: c, Limits: o.history, Now: time.Now}
	recorder := mgr.GetEventRecorder(v1alpha1.ManagedByHookStorm)
	secrets := &controllers.SecretReconciler{Client: c, Events: recorder}
	injection := &controllers.InjectionReconciler{Client: c, Live: mgr.GetAPIReader(), Injector: injector}
	leadership, err := controllers.NewLeadership(mgr.GetConfig(), o.settings.SystemNamespace, ctrl.Log.WithName("leader"),
		programmer.ReportAll, keeper.KeepAll, history.LookAgain, secrets.LookAtAll, injection.LookAtAll)
	if err != nil {
		return nil, err
	}
	keeper.Leader, history.Leader, secrets.Leader, injection.Leader = leadership, leadership, leadership, leadership
	for _, controller := range []interface{ SetupWithManager(ctrl.Manager) error }{
		programmer, keeper, history, secrets, injection,
		controllers.NewGrantReconciler(c, programmer),
		controllers.NewRuleReconciler(c, leadership, programmer),
		controllers.NewWebhookReconciler(c, leadership, programmer, recorder),
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
