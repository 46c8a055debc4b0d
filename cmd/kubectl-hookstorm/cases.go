package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// testCase is one line of a file of cases.
type testCase struct {
	// ID is any JSON value, and is repeated in the answer.
	ID   json.RawMessage `json:"id"`
	Rule json.RawMessage `json:"rule"`
	// Trigger is the trigger's type; empty: the rule's.
	Trigger          string          `json:"trigger"`
	Payload          json.RawMessage `json:"payload"`
	FirstPassMatched bool            `json:"firstPassMatched"`
}

// caseAnswer is the line that answers a case.
type caseAnswer struct {
	ID      json.RawMessage `json:"id"`
	Matched bool            `json:"matched"`
	Error   string          `json:"error,omitempty"`
	Message string          `json:"message"`
}

// The errors of answers.
const (
	// errorInvalid: the Rule would not be accepted.
	errorInvalid = "invalid"
	// errorFailed: the Rule could not be evaluated.
	errorFailed = "failed"
)

const reasonDisabled = "the Rule is not enabled"

// testCases answers each line of in with a line on out.
func testCases(ctx context.Context, in io.Reader, out io.Writer) error {
	buffered := bufio.NewWriter(out)
	reader := bufio.NewReader(in)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("reading the cases: %w", err), buffered.Flush())
		}
		ended := err != nil
		if len(bytes.TrimSpace(line)) > 0 {
			if err := testLine(ctx, line, buffered); err != nil {
				return errors.Join(fmt.Errorf("line %d of the cases: %w", number, err), buffered.Flush())
			}
		}
		// Whoever waits for an answer before writing the next case gets it.
		if ended || reader.Buffered() == 0 {
			if err := buffered.Flush(); err != nil || ended {
				return err
			}
		}
	}
}

func testLine(ctx context.Context, line []byte, out io.Writer) error {
	var c testCase
	if err := json.Unmarshal(line, &c); err != nil {
		return err
	}
	answer := c.answer(ctx)
	answer.ID = c.ID
	if c.ID == nil {
		answer.ID = json.RawMessage("null")
	}
	return writeJSON(out, answer)
}

// answer tests one case. The parameters of its trigger are those that the Rule names.
func (c *testCase) answer(ctx context.Context) caseAnswer {
	tested, err := c.compile()
	switch {
	case err != nil:
		return caseAnswer{Error: errorInvalid, Message: err.Error()}
	case !tested.declared.IsEnabled():
		return caseAnswer{Message: reasonDisabled}
	}
	v := judge(ctx, []testedRule{tested}, trigger{
		kind: c.Trigger, payload: c.Payload, delivery: sampleDelivery("", ""), now: time.Now(), matched: c.FirstPassMatched,
	})[0]
	answer := caseAnswer{Matched: v.matched(), Message: why(v.reason, v.message)}
	if v.result == v1alpha1.ResultFailed {
		answer.Error = errorFailed
	}
	return answer
}

func (c *testCase) compile() (testedRule, error) {
	declared := &v1alpha1.Rule{}
	declared.Name = "case"
	if err := decodeStrictly(c.Rule, &declared.Spec); err != nil {
		return testedRule{}, fmt.Errorf("reading the rule: %w", err)
	}
	return compileRule(declared)
}
