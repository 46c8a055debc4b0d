package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// testOptions are the flags of the command test.
type testOptions struct {
	streams genericiooptions.IOStreams
	config  *genericclioptions.ConfigFlags

	files      []string
	trigger    string
	parameters map[string]string
	payload    string
	body       string
	headers    []string
	cases      string
	records    recordSelection
	output     string
}

func newTest(streams genericiooptions.IOStreams) *cobra.Command {
	o := &testOptions{streams: streams, config: genericclioptions.NewConfigFlags(true)}
	command := &cobra.Command{
		Use:   "test (-f RULE (--payload FILE | --body FILE | --against NAME | --selector LABELS | --last N) | --cases FILE)",
		Short: "Say whether Rules match, and what they would do",
		Long: `Say whether Rules match a payload, and what their actions would be. Nothing is done, and no cluster is asked, unless
the Rules are tested against recorded deliveries (--against, --selector, --last).

A Rule is tested as if it were enabled. A Backstop among several Rules does not match if a Standard Rule did.

Exit codes: 0 if a Rule matched, 1 if none did, 2 if something is wrong: a file, a Rule, or a template of an action. With
--cases: 0 if every line was answered, else 2.`,
		Example: `  # Does the Rule match this body?
  kubectl hookstorm test -f rule.yaml --body pull_request.json --header 'X-Github-Event: pull_request'

  # Does it match this payload of a trigger?
  kubectl hookstorm test -f rule.yaml --trigger mypack.mytrigger --payload payload.json

  # Which of the last 20 deliveries would it have matched?
  kubectl hookstorm test -f rule.yaml -n ci --last 20`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return o.run(command.Context())
		},
	}
	o.addFlags(command)
	return command
}

func (o *testOptions) addFlags(command *cobra.Command) {
	flags := command.Flags()
	flags.StringArrayVarP(&o.files, "filename", "f", nil,
		"a file with Rules, a directory of such files, a URL, or - for the standard input; may be repeated")
	flags.StringVar(&o.trigger, "trigger", "", "the trigger's type; omitted: that of each Rule")
	flags.StringToStringVar(&o.parameters, "parameter", nil,
		"a parameter of the trigger, such as url=github/pr; may be repeated; omitted: those of each Rule")
	flags.StringVar(&o.payload, "payload", "",
		"a file with the trigger's payload, JSON, or -; for core.st2.webhook an object with headers, headers_lower and body")
	flags.StringVar(&o.body, "body", "", "a file with the body of a request, or -, of which the payload of core.st2.webhook is made")
	flags.StringArrayVar(&o.headers, "header", nil, "a header of that request, 'Name: value'; may be repeated")
	flags.StringVar(&o.cases, "cases", "",
		"a file with one case a line, or -: "+`{"id": …, "rule": {a Rule's spec}, "trigger": type, "payload": …, "firstPassMatched": bool}`)
	flags.StringSliceVar(&o.records.names, "against", nil, "the TriggerInstances whose deliveries are tested, by name")
	flags.StringVarP(&o.records.selector, "selector", "l", "",
		"the TriggerInstances whose deliveries are tested, by labels, such as hookstorm.dev/webhook=github-pr")
	flags.IntVar(&o.records.last, "last", 0, "test the newest N TriggerInstances")
	flags.StringVarP(&o.output, "output", "o", "", "json: one object a line")
	o.config.AddFlags(flags)

	command.MarkFlagsOneRequired("filename", "cases")
	for _, exclusive := range [][]string{
		{"payload", "body", "cases", "against", "selector"}, {"payload", "body", "cases", "against", "last"},
		{"cases", "filename"}, {"cases", "trigger"}, {"cases", "parameter"}, {"cases", "output"},
		{"trigger", "against"}, {"trigger", "selector"}, {"trigger", "last"},
		{"parameter", "against"}, {"parameter", "selector"}, {"parameter", "last"},
	} {
		command.MarkFlagsMutuallyExclusive(exclusive...)
	}
}

// run does what the flags say.
func (o *testOptions) run(ctx context.Context) error {
	if err := o.validate(); err != nil {
		return err
	}
	if o.cases != "" {
		return o.testCases(ctx)
	}
	rules, invalid := readRules(o.files, o.streams)
	if len(rules) == 0 {
		return invalid
	}
	verdicts, err := o.judge(ctx, rules)
	if err := errors.Join(invalid, err); err != nil {
		return err
	}
	return conclude(verdicts)
}

// against reports whether the flags name what Rules are tested against.
func (o *testOptions) against() bool { return o.payload != "" || o.body != "" || o.records.given() }

// validate returns what is wrong with the flags together.
func (o *testOptions) validate() error {
	switch {
	case o.output != "" && o.output != outputJSON:
		return fmt.Errorf("--output: %q is unknown; write json, or leave it out", o.output)
	case o.records.last < 0:
		return errors.New("--last: write a positive number")
	case o.cases == "" && !o.against():
		return errors.New("name what the Rules are tested against: --payload, --body, --against, --selector or --last")
	case len(o.headers) > 0 && o.body == "":
		return errors.New("--header: headers come with a --body")
	case o.body != "" && o.trigger != "" && o.trigger != v1alpha1.TriggerWebhook:
		return fmt.Errorf("--body: only %s has one; name the payload of %s with --payload", v1alpha1.TriggerWebhook, o.trigger)
	default:
		return nil
	}
}

// judge writes what the Rules make of what the flags name.
func (o *testOptions) judge(ctx context.Context, rules []testedRule) ([]verdict, error) {
	if o.records.given() {
		return o.judgeRecords(ctx, rules)
	}
	t, err := o.readTrigger()
	if err != nil {
		return nil, err
	}
	verdicts := judge(ctx, rules, t)
	if o.output != outputJSON {
		return verdicts, writeVerdicts(o.streams.Out, verdicts)
	}
	for _, v := range verdicts {
		if err := writeJSON(o.streams.Out, newResult(v)); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

// readTrigger returns the trigger that the flags describe.
func (o *testOptions) readTrigger() (trigger, error) {
	t := trigger{kind: o.trigger, now: time.Now()}
	if o.parameters != nil {
		declared := make(map[string]v1alpha1.ParameterValue, len(o.parameters))
		for name, value := range o.parameters {
			declared[name] = v1alpha1.ParameterValue(value)
		}
		t.parameters = rule.Parameters(declared)
	}
	t.delivery = sampleDelivery(*o.config.Namespace, t.parameters[v1alpha1.ParameterURL])
	var err error
	t.payload, err = o.readPayload()
	if o.body != "" {
		t.kind = v1alpha1.TriggerWebhook
	}
	return t, err
}

func (o *testOptions) readPayload() ([]byte, error) {
	if o.body != "" {
		body, err := readFile(o.body, o.streams.In)
		if err != nil {
			return nil, err
		}
		return newWebhookPayload(body, o.headers)
	}
	payload, err := readFile(o.payload, o.streams.In)
	if err != nil {
		return nil, err
	}
	if payload = []byte(strings.TrimSpace(string(payload))); len(payload) > 0 && !json.Valid(payload) {
		return nil, fmt.Errorf("--payload: %s is no JSON document", o.payload)
	}
	return payload, nil
}

// sampleID is the id of a delivery that there is not.
const sampleID = "00000000000000000000000000"

// sampleDelivery returns what expressions see as delivery when there is none.
func sampleDelivery(namespace, url string) rule.Delivery {
	return rule.Delivery{ID: sampleID, Namespace: namespace, URL: url, TraceTag: "test", Received: time.Now()}
}

func (o *testOptions) judgeRecords(ctx context.Context, rules []testedRule) ([]verdict, error) {
	c, namespace, err := newClient(o.config, o.streams.ErrOut)
	if err != nil {
		return nil, err
	}
	report := &recordReport{streams: o.streams, rules: rules, json: o.output == outputJSON}
	err = o.records.records(ctx, c, namespace, func(record *v1alpha1.TriggerInstance) error { return report.add(ctx, record) })
	return report.verdicts, errors.Join(err, report.flush())
}

func (o *testOptions) testCases(ctx context.Context) error {
	if o.cases == stdin {
		return testCases(ctx, o.streams.In, o.streams.Out)
	}
	file, err := os.Open(o.cases)
	if err != nil {
		return err
	}
	// Nothing was written to it.
	defer func() { _ = file.Close() }()
	return testCases(ctx, file, o.streams.Out)
}
