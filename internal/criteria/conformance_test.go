package criteria

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/internal/expression"
)

// deviationsFile holds the table of the cases that differ from StackStorm on purpose, each with its reason.
const deviationsFile = "../../docs/stackstorm.md"

// The outcomes of a case, as StackStorm recorded them.
const (
	holds    = "true"
	holdsNot = "false"
	fails    = "error"
)

func TestOperatorsDecideAsStackStormRecorded(t *testing.T) {
	type recorded struct {
		ID, Op    string
		Value     json.RawMessage
		Pattern   json.RawMessage
		Condition string
		Expect    any
	}
	report := newReport(t, "op-")
	for _, c := range read[[]recorded](t, "operators.json") {
		report.check(t, c.ID, fmt.Sprint(c.Expect), func() (string, error) {
			return operatorOutcome(t, c.Op, c.Condition, c.Pattern, c.Value)
		})
	}
	report.finish(t)
}

// operatorOutcome evaluates an operator alone. StackStorm looks its name up without case, though it refuses names in
// another case when a rule is created; patterns that are null come from templates only.
func operatorOutcome(t *testing.T, name, condition string, pattern, payload json.RawMessage) (string, error) {
	t.Helper()
	operator, known := operatorNamed(strings.ToLower(name))
	if !known {
		return fails, fmt.Errorf("unknown operator %s", name)
	}
	now := time.Now()
	decoded, err := decode(translateJinja(string(pattern)))
	if err != nil {
		t.Fatal(err)
	}
	c := criterion{operator: operator, operand: operand{condition: condition, compiler: compiler{}}}
	compiled, err := c.compile(decoded)
	if err != nil {
		return fails, err
	}
	env := environment{ctx: context.Background(), scope: &expression.Scope{Payload: expression.NewPayload([]byte(`{}`))}, now: now}
	return outcome(compiled(&env, parsed(t, atOffset(t, payload, now))))
}

func outcome(held bool, err error) (string, error) {
	switch {
	case err != nil:
		return fails, err
	case held:
		return holds, nil
	default:
		return holdsNot, nil
	}
}

// atOffset returns a value, or the time text that one with nowOffsetSeconds stands for.
func atOffset(t *testing.T, recorded json.RawMessage, now time.Time) string {
	t.Helper()
	var offset struct {
		NowOffsetSeconds *float64
		Format           string
	}
	if err := json.Unmarshal(recorded, &offset); err != nil || offset.NowOffsetSeconds == nil {
		return string(recorded)
	}
	at := now.Add(time.Duration(*offset.NowOffsetSeconds * float64(time.Second))).UTC()
	formats := map[string]string{
		"":                 time.RFC3339,
		"rfc3339z":         time.RFC3339,
		"iso-micro-naive":  "2006-01-02T15:04:05.000000",
		"iso-offset+05:30": "2006-01-02T15:04:05-07:00",
		"iso-offset-0800":  "2006-01-02T15:04:05-0700",
		"space-naive":      "2006-01-02 15:04:05",
		"basic":            "20060102T150405Z",
		"rfc2822":          time.RFC1123Z,
	}
	zones := map[string]int{"iso-offset+05:30": 5*3600 + 1800, "iso-offset-0800": -8 * 3600}
	format, known := formats[offset.Format]
	if !known {
		t.Fatalf("unknown format %q", offset.Format)
	}
	return `"` + at.In(time.FixedZone("", zones[offset.Format])).Format(format) + `"`
}

func TestRulesMatchAsStackStormRecorded(t *testing.T) {
	type recorded struct {
		ID, RuleType     string
		Payload          json.RawMessage
		Criteria         map[string]json.RawMessage
		Enabled          bool
		FirstPassMatched bool
		Expect           any
		FailureRecorded  *bool
	}
	report := newReport(t, "rule-")
	for _, c := range read[[]recorded](t, "rules.json") {
		expect := fmt.Sprint(c.Expect)
		if c.FailureRecorded != nil && *c.FailureRecorded {
			expect = fails
		}
		report.check(t, c.ID, expect, func() (string, error) {
			// Which rules are asked at all is the rule book's part.
			if !c.Enabled || c.RuleType == "backstop" && c.FirstPassMatched {
				return holdsNot, nil
			}
			set, err := Compile(definitions(t, c.Criteria))
			if err != nil {
				return fails, err
			}
			scope := &expression.Scope{Payload: expression.NewPayload(c.Payload)}
			result, err := set.Evaluate(context.Background(), scope, time.Now())
			return outcome(result.Matched, err)
		})
	}
	report.finish(t)
}

func TestCriteriaAreAcceptedAsStackStormRecorded(t *testing.T) {
	type recorded struct {
		ID       string
		Criteria json.RawMessage
		Valid    bool
	}
	report := newReport(t, "crit-")
	for _, c := range read[[]recorded](t, "creation.json") {
		report.check(t, c.ID, fmt.Sprint(c.Valid), func() (string, error) {
			var members map[string]json.RawMessage
			if err := json.Unmarshal(c.Criteria, &members); err != nil {
				return holdsNot, err
			}
			_, err := Compile(definitions(t, members))
			return fmt.Sprint(err == nil), err
		})
	}
	report.finish(t)
}

// definitions returns criteria as a rule has them. Members that a criterion does not have are left out, as the API server
// does.
func definitions(t *testing.T, recorded map[string]json.RawMessage) map[string]Criterion {
	t.Helper()
	definitions := map[string]Criterion{}
	for key, text := range recorded {
		decoded, err := decode(translateJinja(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if definitions[key], err = toCriterion(decoded); err != nil {
			t.Fatal(err)
		}
	}
	return definitions
}

// simpleJinja is what converting a rule of StackStorm turns into CEL.
var simpleJinja = regexp.MustCompile(`\{\{\s*((?:trigger|item)(?:\.[A-Za-z_]\w*|\['[^']*'\])*)\s*\}\}`)

func translateJinja(document string) string { return simpleJinja.ReplaceAllString(document, "$${$1}") }

// report counts cases and compares them with the list of deviations.
type report struct {
	listed                    map[string]bool // ids, and whether they deviated
	passed, deviated, differs int
}

// newReport returns a report with the deviations whose ids begin with a prefix.
func newReport(t *testing.T, prefix string) *report {
	t.Helper()
	table, err := os.ReadFile(filepath.FromSlash(deviationsFile))
	if err != nil {
		t.Fatal(err)
	}
	r := &report{listed: map[string]bool{}}
	for _, row := range regexp.MustCompile(`(?m)^\| *([^|]*?) *\|`).FindAllStringSubmatch(string(table), -1) {
		for _, id := range strings.Split(row[1], ", ") {
			if strings.HasPrefix(id, prefix) {
				r.listed[id] = false
			}
		}
	}
	return r
}

func (r *report) check(t *testing.T, id, expect string, run func() (string, error)) {
	t.Helper()
	got, err := run()
	_, listed := r.listed[id]
	switch {
	case got == expect:
		r.passed++
	case listed:
		r.deviated++
		r.listed[id] = true
	default:
		r.differs++
		t.Errorf("%s: got %s (%v), want %s", id, got, err, expect)
	}
}

func (r *report) finish(t *testing.T) {
	t.Helper()
	for _, id := range slices.Sorted(maps.Keys(r.listed)) {
		if !r.listed[id] {
			t.Errorf("%s is listed as a deviation, but does not differ", id)
		}
	}
	t.Logf("%d cases: %d passed, %d deviated, %d failed", r.passed+r.deviated+r.differs, r.passed, r.deviated, r.differs)
}

func read[T any](t *testing.T, name string) T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var read T
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}
