package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// The reasons for which a record is not written.
const (
	skippedWindow    = "window"    // history would have dropped it at once
	skippedQuota     = "quota"     // the namespace's quota is exceeded
	skippedNamespace = "namespace" // the namespace is gone or going
	skippedAdmission = "admission" // somebody's admission policy or webhook does not let it in
	skippedInvalid   = "invalid"   // the API server refuses the object
)

// The results of an attempt of an action.
const (
	resultSucceeded = "succeeded"
	resultRetried   = "retried"
	resultFailed    = "failed"
)

var (
	deliveriesDispatched = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookstorm_deliveries_dispatched_total",
		Help: "Deliveries dispatched, one for each namespace they went to, by what the Rules there made of them.",
	}, []string{"reason"})
	recordsWritten = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookstorm_records_written_total",
		Help: "TriggerInstances and Events written, by kind.",
	}, []string{"kind"})
	recordsSkipped = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookstorm_records_skipped_total",
		Help: "Records not written, by reason: window, quota, namespace, admission, invalid.",
	}, []string{"reason"})
	deliveriesPostponed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hookstorm_deliveries_postponed_total",
		Help: "How often a delivery was put off because an action of it has to be tried again.",
	})
	actionsTried = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookstorm_actions_tried_total",
		Help: "Attempts of actions, by kind and by result: succeeded, retried, failed.",
	}, []string{"kind", "result"})
)

func init() {
	metrics.Registry.MustRegister(deliveriesDispatched, recordsWritten, recordsSkipped, deliveriesPostponed, actionsTried)
}

// count counts an attempt of an action.
func count(a *v1alpha1.Action, result string) { actionsTried.WithLabelValues(a.Kind(), result).Inc() }
