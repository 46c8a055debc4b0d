package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// recordSelection says which TriggerInstances of a namespace Rules are tested against.
type recordSelection struct {
	names    []string
	selector string
	last     int
}

func (s *recordSelection) given() bool { return len(s.names) > 0 || s.selector != "" || s.last > 0 }

// newClient returns a client for the cluster that the flags name, and their namespace.
func newClient(flags *genericclioptions.ConfigFlags, warnings io.Writer) (client.Client, string, error) {
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, "", fmt.Errorf("finding the cluster: %w", err)
	}
	config.QPS = -1 // the API server itself says how much is too much
	config.WarningHandler = rest.NewWarningWriter(warnings, rest.WarningWriterOptions{Deduplicate: true})
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, "", err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the cluster: %w", err)
	}
	return c, namespace, nil
}

// records visits the TriggerInstances that are selected, the newest first; those that are named, in the given order. Only
// names are listed: a namespace may hold more payloads than should be held in memory.
func (s *recordSelection) records(
	ctx context.Context, c client.Client, namespace string, visit func(*v1alpha1.TriggerInstance) error,
) error {
	names := s.names
	if len(names) == 0 {
		listed, err := s.list(ctx, c, namespace)
		if err != nil {
			return err
		}
		names = listed
	}
	for _, name := range names {
		record := &v1alpha1.TriggerInstance{}
		err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, record)
		if client.IgnoreNotFound(err) == nil && err != nil && len(s.names) == 0 {
			continue // history removed it since it was listed
		}
		if err != nil {
			return fmt.Errorf("getting trigger instance %s: %w", name, err)
		}
		if err := visit(record); err != nil {
			return err
		}
	}
	return nil
}

// list returns the names of the TriggerInstances that are selected, the newest first.
func (s *recordSelection) list(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	selector, err := labels.Parse(s.selector)
	if err != nil {
		return nil, fmt.Errorf("--selector: %w", err)
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TriggerInstanceList"))
	if err := c.List(ctx, list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("listing trigger instances: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b metav1.PartialObjectMetadata) int {
		if byTime := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); byTime != 0 {
			return byTime
		}
		return strings.Compare(b.Name, a.Name) // within a second, by the delivery's id, which grows with time
	})
	if s.last > 0 && s.last < len(list.Items) {
		list.Items = list.Items[:s.last]
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names, nil
}

// reasonIncomplete is the reason where it cannot be told whether a Rule matches.
const reasonIncomplete = "PayloadIncomplete"

// judgeRecord returns what each Rule makes of a recorded delivery, as of the time when it was accepted. A Rule that needs a
// payload that was not recorded whole has no result.
func judgeRecord(ctx context.Context, rules []testedRule, record *v1alpha1.TriggerInstance) []verdict {
	spec := &record.Spec
	t := trigger{
		kind:       spec.Trigger.Type,
		parameters: rule.Parameters(spec.Trigger.Parameters),
		payload:    []byte(spec.Payload),
		now:        record.CreationTimestamp.Time,
	}
	if spec.OccurrenceTime != nil {
		t.now = spec.OccurrenceTime.Time
	}
	t.delivery = rule.Delivery{
		ID: spec.DeliveryID, Namespace: record.Namespace, Webhook: spec.Webhook, URL: t.parameters[v1alpha1.ParameterURL],
		TraceTag: spec.TraceTag, Sender: spec.Sender, Received: t.now,
	}
	missing := missingPayload(spec)
	if missing == "" {
		return judge(ctx, rules, t)
	}
	verdicts := make([]verdict, len(rules))
	for i, r := range rules {
		if !r.Takes(t.kind, t.parameters) {
			verdicts[i] = judgeOne(ctx, r, t)
			continue
		}
		verdicts[i] = verdict{rule: r.Name, reason: reasonIncomplete, message: "cannot tell: " + missing}
	}
	return verdicts
}

// missingPayload says what of a payload was not recorded; empty if it was recorded whole.
func missingPayload(spec *v1alpha1.TriggerInstanceSpec) string {
	switch kept := int64(len(spec.Payload)); {
	case kept >= spec.PayloadSize:
		if kept > 0 && !json.Valid([]byte(spec.Payload)) {
			return "the recorded payload is no JSON"
		}
		return ""
	case kept == 0:
		return fmt.Sprintf("the payload of %d bytes was not recorded", spec.PayloadSize)
	default:
		return fmt.Sprintf("only %d of the payload's %d bytes were recorded", kept, spec.PayloadSize)
	}
}

// recordReport writes what Rules make of recorded deliveries.
type recordReport struct {
	streams  genericiooptions.IOStreams
	rules    []testedRule
	json     bool
	verdicts []verdict
	rows     [][]string
}

func (r *recordReport) add(ctx context.Context, record *v1alpha1.TriggerInstance) error {
	for _, v := range judgeRecord(ctx, r.rules, record) {
		r.verdicts = append(r.verdicts, v)
		if r.json {
			line := newResult(v)
			line.TriggerInstance = record.Name
			if v.result == "" {
				line.Matched = nil
			}
			if err := writeJSON(r.streams.Out, line); err != nil {
				return err
			}
			continue
		}
		age := duration.HumanDuration(time.Since(record.CreationTimestamp.Time))
		r.rows = append(r.rows, []string{record.Name, age, v.rule, v.answer(), why(v.reason, v.message)})
	}
	return nil
}

// answer is the verdict as one word.
func (v *verdict) answer() string {
	switch {
	case v.result == "":
		return "unknown"
	case v.matched():
		return "yes"
	default:
		return "no"
	}
}

// flush writes the table. It names the Rules where there are several.
func (r *recordReport) flush() error {
	if r.json {
		return nil
	}
	if len(r.rows) == 0 {
		fmt.Fprintln(r.streams.ErrOut, "No trigger instances found.")
		return nil
	}
	table := printers.GetNewTabWriter(r.streams.Out)
	for _, row := range append([][]string{{"NAME", "AGE", "RULE", "MATCHES", "REASON"}}, r.rows...) {
		if len(r.rules) == 1 {
			row = slices.Delete(slices.Clone(row), 2, 3)
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}
