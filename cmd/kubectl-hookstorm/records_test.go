package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// recorded returns a record of mypack.mytrigger that is some minutes old.
func recorded(name string, minutes int, payload string, change ...func(*v1alpha1.TriggerInstance)) *v1alpha1.TriggerInstance {
	created := time.Now().Add(-time.Duration(minutes)*time.Minute - time.Second)
	record := &v1alpha1.TriggerInstance{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ci", Name: name, CreationTimestamp: metav1.NewTime(created),
			Labels: map[string]string{v1alpha1.LabelWebhook: "st2"},
		},
		Spec: v1alpha1.TriggerInstanceSpec{
			Trigger:    v1alpha1.Trigger{Type: "mypack.mytrigger", Parameters: map[string]v1alpha1.ParameterValue{"color": "red"}},
			Payload:    payload,
			DeliveryID: name, PayloadSize: int64(len(payload)),
		},
	}
	for _, c := range change {
		c(record)
	}
	return record
}

// cluster returns a client for a cluster with records in two namespaces.
func cluster(t *testing.T) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		recorded("oldest", 50, `{"count": 2}`),
		recorded("few", 40, `{"count": 1}`),
		recorded("cut", 30, `{"count": 2`, func(r *v1alpha1.TriggerInstance) { r.Spec.PayloadSize = 70000 }),
		recorded("omitted", 20, "", func(r *v1alpha1.TriggerInstance) { r.Spec.PayloadSize = 12 }),
		recorded("empty", 14, ""),
		recorded("other", 12, "", func(r *v1alpha1.TriggerInstance) {
			r.Spec.PayloadSize = 12
			r.Spec.Trigger.Type = "mypack.none"
			r.Labels = nil
		}),
		recorded("elsewhere", 1, `{"count": 2}`, func(r *v1alpha1.TriggerInstance) { r.Namespace = "dev" }),
	).Build()
}

func TestRecordedDeliveries(t *testing.T) {
	tests := map[string]struct {
		file      string
		selection recordSelection
		json      bool
		want      string
	}{
		"all of a selector": {"testdata/red.yaml", recordSelection{selector: "hookstorm.dev/webhook=st2"}, false, `
NAME AGE MATCHES REASON
empty 14m no EmptyPayload: the payload is empty, and criteria never match an empty payload
omitted 20m unknown PayloadIncomplete: cannot tell: the payload of 12 bytes was not recorded
cut 30m unknown PayloadIncomplete: cannot tell: only 11 of the payload's 70000 bytes were recorded
few 40m no CriterionNotMet: trigger.count: gt 1: saw 1
oldest 50m yes Matched`},
		"the last": {"testdata/red.yaml", recordSelection{last: 2}, false, `
NAME AGE MATCHES REASON
other 12m no OtherTrigger: the trigger is mypack.none, and the Rule takes mypack.mytrigger
empty 14m no EmptyPayload: the payload is empty, and criteria never match an empty payload`},
		"the last of a selector, as JSON": {"testdata/red.yaml", recordSelection{selector: "hookstorm.dev/webhook", last: 2}, true, `
{"triggerInstance":"empty","rule":"red","matched":false,"reason":"EmptyPayload","message":"the payload is empty, and criteria never match an empty payload","actions":[]}
{"triggerInstance":"omitted","rule":"red","matched":null,"reason":"PayloadIncomplete","message":"cannot tell: the payload of 12 bytes was not recorded","actions":[]}`},
		"by name, with several rules": {"testdata/several.yaml", recordSelection{names: []string{"oldest", "few"}}, false, `
NAME AGE RULE MATCHES REASON
oldest 50m else no NotConsidered: a Standard Rule matched, and a Backstop is considered only if none did
oldest 50m red yes Matched
oldest 50m other no OtherTrigger: the trigger is mypack.mytrigger, and the Rule takes mypack.other
few 40m else yes NoCriteria
few 40m red no CriterionNotMet: trigger.count: gt 1: saw 1
few 40m other no OtherTrigger: the trigger is mypack.mytrigger, and the Rule takes mypack.other`},
		"none": {"testdata/red.yaml", recordSelection{selector: "no=such"}, false, `
No trigger instances found.`},
	}
	blanks := regexp.MustCompile(` {2,}`)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			streams, _, out, errOut := genericiooptions.NewTestIOStreams()
			rules, err := readRules([]string{test.file}, streams)
			if err != nil {
				t.Fatal(err)
			}
			report := &recordReport{streams: streams, rules: rules, json: test.json}
			visit := func(record *v1alpha1.TriggerInstance) error { return report.add(t.Context(), record) }
			if err := test.selection.records(t.Context(), cluster(t), "ci", visit); err != nil {
				t.Fatal(err)
			}
			if err := report.flush(); err != nil {
				t.Fatal(err)
			}
			got := strings.TrimSpace(blanks.ReplaceAllString(out.String()+errOut.String(), " "))
			if diff := cmp.Diff(strings.TrimSpace(test.want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARecordIsJudgedAsOfItsTime(t *testing.T) {
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	rules, err := readRules([]string{"testdata/recent.yaml"}, streams)
	if err != nil {
		t.Fatal(err)
	}
	occurred := metav1.NewMicroTime(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC))
	record := recorded("r", 0, `{"at": "2026-03-14T15:09:00Z"}`, func(r *v1alpha1.TriggerInstance) {
		r.Spec.OccurrenceTime = &occurred
		r.Spec.Sender = "192.0.2.1"
	})
	if got := judgeRecord(t.Context(), rules, record); !got[0].matched() {
		t.Errorf("%s: %s", got[0].reason, got[0].message)
	}
}

func TestANameThatThereIsNot(t *testing.T) {
	selection := recordSelection{names: []string{"elsewhere"}}
	err := selection.records(t.Context(), cluster(t), "ci", func(*v1alpha1.TriggerInstance) error { return nil })
	if err == nil || !strings.HasPrefix(err.Error(), "getting trigger instance elsewhere: ") {
		t.Errorf("error %v", err)
	}
}
