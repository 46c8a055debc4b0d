package criteria

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/expression"
)

func FuzzKey(f *testing.F) {
	for _, key := range []string{"trigger.body.a", "$.trigger['a'][0]", "trigger..x", "[", "'", "trigger.body['a", "a,b|(c where d)[1:-2].`parent`", "trigger[*].*"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		path, err := parseKey(key)
		if err != nil {
			return
		}
		found, err := path.find(sourceOf(t, push))
		if err == nil && found.Exists() && !json.Valid([]byte(found.JSON())) {
			t.Errorf("found %q, which is no JSON", found.JSON())
		}
	})
}

func FuzzEvaluate(f *testing.F) {
	f.Add("trigger.body.action", push)
	f.Add("trigger.body.list[-1].x", push)
	f.Add("trigger.a[0]", `{"a":"\ud83d\ude00"}`)
	f.Add("trigger.a.b", `{"a":1,"a":{"b":[1.50]},"\u0061":{"b":"\n"}}`)
	f.Add("trigger..a", "[[[[{\"a\":\xff}")
	f.Fuzz(func(t *testing.T, key, payload string) {
		set, err := Compile(map[string]Criterion{key: {Type: "exists"}})
		if err != nil {
			return
		}
		scope := &expression.Scope{Payload: expression.NewPayload([]byte(payload))}
		_, _ = set.Evaluate(context.Background(), scope, now)
		path := set.criteria[0].path
		if !json.Valid([]byte(payload)) || path.query != nil {
			return
		}
		whole, err := decode(payload)
		if err != nil {
			t.Fatal(err)
		}
		want, wantFound, wantErr := path.findDecoded(whole)
		got, err := path.find(sourceOf(t, payload))
		if (err != nil) != wantErr || got.Exists() != wantFound {
			t.Fatalf("%q in %q: found %q, %v, want %v, %v", key, payload, got.JSON(), err, want, wantErr)
		}
		found, err := got.decode()
		if err != nil || !cmp.Equal(found, want) {
			t.Errorf("%q in %q: found %#v, %v, want %#v", key, payload, found, err, want)
		}
	})
}

// findDecoded is find for a payload that was decoded as a whole.
func (p path) findDecoded(payload any) (found any, ok, fails bool) {
	if p.root != sourceTrigger {
		return nil, false, false
	}
	for _, s := range p.steps {
		if !s.indexed {
			members, _ := payload.(map[string]any)
			if payload, ok = members[s.name]; !ok {
				return nil, false, false
			}
			continue
		}
		if payload, ok, fails = elementOf(payload, s.index); !ok {
			return nil, false, fails
		}
	}
	return payload, true, false
}

// elementOf is Python's payload[index], if there is something and it is long enough.
func elementOf(payload any, index int) (found any, ok, fails bool) {
	var list []any
	switch p := payload.(type) {
	case []any:
		list = p
	case string:
		for _, r := range p {
			list = append(list, string(r))
		}
	case map[string]any:
		return nil, false, len(p) > 0 && index < len(p)
	default:
		zero := equal(payload, json.Number("0"))
		return nil, false, payload != nil && !zero
	}
	if index < 0 {
		index += len(list)
	}
	if index < 0 || index >= len(list) {
		return nil, false, index < 0 && len(list) > 0
	}
	return list[index], true, false
}

func FuzzOperators(f *testing.F) {
	names := Operators()
	for i := range names {
		f.Add(uint8(i), `"2026-11-25 09:00"`, `"a*[b-c]$"`, "any")
		f.Add(uint8(i), `[1,{"a":null},"x"]`, `{"item.a":{"type":"exists"}}`, "all2any")
		f.Add(uint8(i), `1e3`, `1000`, "")
	}
	f.Fuzz(func(t *testing.T, operator uint8, payload, pattern, condition string) {
		name := names[int(operator)%len(names)]
		if name != "search" {
			condition = ""
		}
		run := func(name string) (Result, error) {
			set, err := Compile(map[string]Criterion{"trigger": {Type: name, Pattern: []byte(pattern), Condition: condition}})
			if err != nil {
				return Result{}, err
			}
			scope := &expression.Scope{Payload: expression.NewPayload([]byte(payload))}
			result, err := set.Evaluate(context.Background(), scope, now)
			if len(result.Message) > 10*maxShown {
				t.Errorf("a message of %d bytes", len(result.Message))
			}
			return result, err
		}
		got, err := run(name)
		if !slices.Contains(names, "n"+name) {
			return
		}
		opposite, oppositeErr := run("n" + name)
		isNull := strings.HasPrefix(pattern, `"`) // a template may render to null, which nothing contains
		if err == nil && got.Reason != ReasonEmptyPayload && !isNull && (oppositeErr != nil || opposite.Matched == got.Matched) {
			t.Errorf("%s and n%s of %q and %q: %v and %v, %v", name, name, payload, pattern, got, opposite, oppositeErr)
		}
	})
}

func FuzzRegexTranslation(f *testing.F) {
	for _, pattern := range []string{`^a$`, `\bna\B`, `(?i)[^i-k\W]`, `(?x) a #c`, `a{,3}`, `(?P<n>\d+)|[]a]`, `(?s:.)(?m:^$)`, `(a$\n?)*\Z`, `(?ai:k)`} {
		f.Add(pattern, "naïve\na\n")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		for _, initial := range []flags{{}, {ignoreCase: true}, {dotAll: true}} {
			compiled, err := compileRegex(pattern, initial, initial.dotAll)
			if err != nil {
				continue
			}
			compiled.match(text)
			// Where package regexp means what Python means, the machine must agree with it.
			if isASCII(text) && !strings.HasSuffix(text, "\n") && compiled.ordinary.MatchString(text) != compiled.machine.match(text) {
				t.Errorf("%q (%q) on %q: %v", pattern, compiled.translation.text, text, compiled.ordinary.MatchString(text))
			}
		}
	})
}

func FuzzTime(f *testing.F) {
	for _, text := range []string{"2024-01-31T10:15:00.123Z", "Tue, 01 Jul 2014 09:05:03 -0700", "1/2/3 4:05 PM", "20140701T101500+02", "GMT+3", "10:", "-", "1 Jul"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseTime(text, now)
		if err == nil && at.Location() != time.UTC {
			t.Errorf("%q: %v", text, at)
		}
	})
}
