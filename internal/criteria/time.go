package criteria

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// timeDifference returns what compiles an operator that compares how many seconds ago a time was.
func timeDifference(holds func(age, pattern float64) bool) func(operand) (test, error) {
	return func(o operand) (test, error) {
		seconds, err := toSeconds(o.pattern)
		if err != nil {
			return nil, fmt.Errorf("a number of seconds is needed, not %s", showDecoded(o.pattern))
		}
		return func(env *environment, v value) (bool, error) {
			at, err := timeValue(v, env.now)
			return err == nil && holds(age(at, env.now), seconds), err
		}, nil
	}
}

// age returns the seconds between two times, however far they are from each other.
func age(at, now time.Time) float64 {
	return float64(now.Unix()-at.Unix()) + float64(now.Nanosecond()-at.Nanosecond())/float64(time.Second)
}

// toSeconds is Python's float.
func toSeconds(pattern any) (float64, error) {
	switch p := pattern.(type) {
	case bool:
		if p {
			return 1, nil
		}
		return 0, nil
	case json.Number:
		return parseFloat(string(p))
	case string:
		text := strings.TrimSpace(p)
		if !decimal.MatchString(text) {
			return 0, errNotNumber
		}
		return parseFloat(strings.ReplaceAll(text, "_", ""))
	default:
		return 0, errNotNumber
	}
}

// decimal is what Python's float takes, but for nan, which compares to nothing.
var decimal = regexp.MustCompile(`(?i)^[-+]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)(e[-+]?\d+(_\d+)*)?$|^[-+]?inf(inity)?$`)

// timeValue returns the time that a value is. As in StackStorm, a number is read as its digits: 20240131 is a day.
func timeValue(v value, now time.Time) (time.Time, error) {
	text, is := v.Text()
	if !is {
		if v.kind() != kindNumber {
			return time.Time{}, fmt.Errorf("the operator needs a time, and the value is %s", v.kind())
		}
		text = v.JSON()
	}
	at, err := parseTime(text, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("the value is no time such as 2024-01-31T10:15:00Z: %w", err)
	}
	return at, nil
}
