package dispatch

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/rule"
)

const (
	// maxProgress is what a delivery that comes back may carry.
	maxProgress = 32 << 10
	// maxWaiting is how many actions wait at the most where the progress of all is larger than that.
	maxWaiting = 200
	// maxInflated bounds what progress is read to: far above what any that was written becomes.
	maxInflated = 16 << 20
)

// progress is what of a record is stored with a delivery that comes back: what its rules made of it, and how far their
// actions are. A field that a later version adds is empty to it where an earlier one wrote.
type progress struct {
	Namespace string
	Accepted  string // the namespace of the delivery itself
	Started   time.Time
	Exists    bool
	Rules     []*considered
	Omitted   map[v1alpha1.RuleResult]int
}

// errNoFit says that progress is too large however much of it is left out.
var errNoFit = fmt.Errorf("the progress of the delivery does not fit into %d bytes", maxProgress)

// encodeProgress returns what is to be stored with the record's delivery. What is too large is made to fit: by leaving out
// what was said of the rules, and in the end by failing actions.
func (r *record) encodeProgress() ([]byte, error) {
	r.omitIdle()
	for _, shrink := range []func(){func() {}, r.dropMessages, r.failSurplus} {
		shrink()
		text, err := r.deflatedProgress()
		if err != nil {
			return nil, err
		}
		if len(text) <= maxProgress {
			return text, nil
		}
	}
	return nil, errNoFit
}

func (r *record) deflatedProgress() ([]byte, error) {
	var text bytes.Buffer
	compressor, err := flate.NewWriter(&text, flate.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("encoding the progress of a delivery: %w", err)
	}
	// What is about to be written counts as written: whoever does not find it writes it anew.
	exists := r.exists || r.kind() == v1alpha1.RecordTriggerInstance
	p := progress{Namespace: r.namespace, Accepted: r.delivery.Namespace, Started: r.started, Exists: exists, Rules: r.rules, Omitted: r.omitted}
	if err := json.NewEncoder(compressor).Encode(p); err != nil {
		return nil, fmt.Errorf("encoding the progress of a delivery: %w", err)
	}
	if err := compressor.Close(); err != nil {
		return nil, fmt.Errorf("encoding the progress of a delivery: %w", err)
	}
	return text.Bytes(), nil
}

// omitIdle counts the rules that have no actions and that no status would list.
func (r *record) omitIdle() {
	var kept []*considered
	idle := 0
	for _, c := range r.ranked() {
		if len(c.Outcome.Actions) == 0 {
			if idle++; idle > v1alpha1.MaxRuleOutcomes {
				if r.omitted == nil {
					r.omitted = map[v1alpha1.RuleResult]int{}
				}
				r.omitted[c.Outcome.Result]++
				continue
			}
		}
		kept = append(kept, c)
	}
	r.rules = kept
}

// dropMessages leaves out what explains the outcomes, and what was made.
func (r *record) dropMessages() {
	for _, c := range r.rules {
		c.Outcome.Message = ""
		for i := range c.Outcome.Actions {
			c.Outcome.Actions[i].Message, c.Outcome.Actions[i].Object = "", ""
		}
	}
}

// failSurplus fails the rules whose actions are beyond those that fit in any case.
func (r *record) failSurplus() {
	waiting := 0
	for _, c := range r.rules {
		if waiting += len(c.Outcome.Actions); waiting > maxWaiting {
			c.fail("too many actions of one delivery wait to be tried again")
			c.sum()
			c.Outcome.Actions, c.Schedules = nil, nil
		}
	}
	r.omitIdle()
}

// resumed returns the record of a delivery that came back.
func resumed(d *delivery.Delivery, book *rule.Book, text []byte, now time.Time) (*record, error) {
	var p progress
	inflated := flate.NewReader(bytes.NewReader(text))
	if err := json.NewDecoder(io.LimitReader(inflated, maxInflated)).Decode(&p); err != nil {
		return nil, fmt.Errorf("decoding the progress of a delivery: %w", err)
	}
	for _, c := range p.Rules {
		if len(c.Schedules) != len(c.Outcome.Actions) {
			return nil, fmt.Errorf("decoding the progress of a delivery: rule %s has %d actions and %d schedules",
				c.Outcome.Name, len(c.Outcome.Actions), len(c.Schedules))
		}
	}
	d.Namespace = p.Accepted
	return &record{
		delivery:  d,
		webhook:   book.Webhook(rule.Key{Namespace: d.Namespace, URL: d.URL}),
		namespace: p.Namespace,
		rules:     p.Rules,
		omitted:   p.Omitted,
		started:   p.Started,
		exists:    p.Exists,
		patience:  now.Add(inlineTime),
	}, nil
}
