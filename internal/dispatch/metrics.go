package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// The reasons for which a record is not written.
const (
	skippedWindow    = "window"    // history would have dropped it at once
	skippedQuota     = "quota"     // the namespace's quota is exceeded
	skippedNamespace = "namespace" // the namespace is gone or going
	skippedAdmission = "admission" // somebody's admission policy or webhook does not let it in
	skippedInvalid   = "invalid"   // the API server refuses the object
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
)

func init() { metrics.Registry.MustRegister(deliveriesDispatched, recordsWritten, recordsSkipped) }
