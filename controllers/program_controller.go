package controllers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
	"github.com/hookstorm/hookstorm/webhookserver"
)

// +kubebuilder:rbac:groups=hookstorm.dev,resources=rules;webhooks;triggertypes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets;namespaces,verbs=get;list;watch

// buildInterval is the least time between the end of a build and the next: a thousand objects that are applied one after the
// other must not cost a thousand builds of everything.
const buildInterval = 50 * time.Millisecond

// askAgain is after how long the program is built again because an issuer's keys could not be had.
const askAgain = 30 * time.Second

// Programmer is the one place that publishes the rule book and the route table. It rebuilds both, in that order, from one
// look at the caches whenever anything that they depend on has changed; changes that come while it builds make one more
// build. Every replica has one.
type Programmer struct {
	client   client.Reader
	books    *rule.Books
	routes   *webhookserver.Routes
	compiler compiler
	built    time.Time // when the last build ended; the one worker's

	again    feed // builds that no watched object asks for
	current  atomic.Pointer[program]
	rules    feed
	webhooks feed
	types    feed
}

// NewProgrammer returns a Programmer that reads from the caches behind a client.
func NewProgrammer(c client.Reader, settings Settings, identity Identity, books *rule.Books, routes *webhookserver.Routes) *Programmer {
	return &Programmer{client: c, books: books, routes: routes, compiler: compiler{settings: settings, identity: identity}}
}

// Rebuild has the program built again, because something has changed that no watched object tells.
func (p *Programmer) Rebuild() { p.again.add(programRequest) }

// programRequest is the one request.
var programRequest = reconcile.Request{NamespacedName: types.NamespacedName{Name: "program"}}

// SetupWithManager registers the Programmer and what it watches. All of it leads to one request, so that there is one
// worker, and the work queue coalesces what comes while it builds.
func (p *Programmer) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{programRequest}
	})
	specs := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("program").
		Watches(&v1alpha1.Rule{}, all, specs).
		Watches(&v1alpha1.Webhook{}, all, builder.WithPredicates(predicate.Funcs{UpdateFunc: webhookMatters})).
		Watches(&v1alpha1.TriggerType{}, all, specs).
		Watches(&corev1.Secret{}, all).
		Watches(&corev1.Namespace{}, all, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(p.again.source()).
		Complete(p)
}

// webhookMatters reports whether a change of a Webhook can change the program: its spec, who keeps it, and what its status
// says of the short url. The times at which something was last seen do not.
func webhookMatters(e event.UpdateEvent) bool {
	was, is := e.ObjectOld.(*v1alpha1.Webhook), e.ObjectNew.(*v1alpha1.Webhook)
	before, after := &claim{webhook: was}, &claim{webhook: is}
	before.key.URL, after.key.URL = v1alpha1.TrimURL(was.Spec.URL), v1alpha1.TrimURL(is.Spec.URL)
	return was.UID != is.UID || was.Generation != is.Generation || kept(was) != kept(is) ||
		before.lost() != after.lost() || before.holds() != after.holds()
}

// Reconcile builds and publishes a program, and has the statuses written that it changes. The first change is built at once,
// what follows closely together.
func (p *Programmer) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	if early := time.Until(p.built.Add(buildInterval)); early > 0 {
		return ctrl.Result{RequeueAfter: early}, nil
	}
	defer func() { p.built = time.Now() }()
	s, err := p.look(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	next := p.compiler.build(s)
	p.books.Publish(next.book)
	p.routes.Publish(next.table)
	last := p.current.Swap(next)
	if last == nil {
		last = &program{}
	}
	report(&p.rules, pointers(s.rules), last.rules, next.rules, sameRuleStatus)
	report(&p.webhooks, pointers(s.webhooks), last.webhooks, next.webhooks, sameWebhookStatus)
	report(&p.types, pointers(s.triggerTypes), last.triggerTypes, next.triggerTypes, sameTriggerTypeStatus)
	if next.next.IsZero() {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: max(time.Until(next.next), buildInterval)}, nil
}

// ReportAll has every status looked at again, which a new leader does.
func (p *Programmer) ReportAll(ctx context.Context) error {
	s, err := p.look(ctx)
	if err != nil {
		return err
	}
	none := &program{}
	current := p.current.Load()
	if current == nil {
		return nil // the first build reports everything
	}
	report(&p.rules, pointers(s.rules), none.rules, current.rules, sameRuleStatus)
	report(&p.webhooks, pointers(s.webhooks), none.webhooks, current.webhooks, sameWebhookStatus)
	report(&p.types, pointers(s.triggerTypes), none.triggerTypes, current.triggerTypes, sameTriggerTypeStatus)
	return nil
}

// look lists everything from the caches, without copying it.
func (p *Programmer) look(ctx context.Context) (*snapshot, error) {
	var rules v1alpha1.RuleList
	var webhooks v1alpha1.WebhookList
	var triggerTypes v1alpha1.TriggerTypeList
	var secrets corev1.SecretList
	var namespaces corev1.NamespaceList
	for _, list := range []client.ObjectList{&rules, &webhooks, &triggerTypes, &secrets, &namespaces} {
		if err := p.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	return &snapshot{
		rules: rules.Items, webhooks: webhooks.Items, triggerTypes: triggerTypes.Items,
		secrets: secrets.Items, namespaces: namespaces.Items,
	}, nil
}

// report enqueues the objects whose status differs between two programs.
func report[O client.Object, S any](to *feed, objects []O, last, next map[types.UID]*S, same func(a, b *S) bool) {
	for _, object := range objects {
		status := next[object.GetUID()]
		if status != nil && !same(last[object.GetUID()], status) {
			to.add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
		}
	}
}

func pointers[T any](items []T) []*T {
	all := make([]*T, len(items))
	for i := range items {
		all[i] = &items[i]
	}
	return all
}
