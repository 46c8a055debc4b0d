package expression

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// The index takes what encoding/json takes, refuses what it refuses, and reads the same.
func FuzzDocument(f *testing.F) {
	f.Add(string(pullRequest(f)))
	f.Add(values)
	for _, seed := range []string{
		`null`, ` true `, `false`, `-0`, `1.5e+10`, `01`, `1.`, `-`, `1e`, `+1`, `.5`, `"\u00e9\ud834\udd1e\ud800"`, `"\x"`, `"\u12"`, "\"\xff\"",
		"\"a\tb\"", `"12345678\"9"`, `"1234567`, `[]`, `[1,]`, `[1 2]`, `{"a":1,"a":{"b":[]}}`, `{"a"}`, `{"a":1,}`, `{a:1}`, `{} x`, `nul`, "", `"é12345678"`,
		strings.Repeat("[", 200) + strings.Repeat("]", 200), manyMembers(maxScanned + 1), `{"":1,"\u0061":2,"a":3,"\ud800":4,"\ufffd":5}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want any
		wantErr := json.Unmarshal([]byte(text), &want)
		d, err := newDocument([]byte(text))
		if text == "" {
			return
		}
		if (err != nil) != (wantErr != nil) {
			// encoding/json says no to a number that is out of range, which is no matter of syntax.
			if !json.Valid([]byte(text)) || err != nil {
				t.Fatalf("error %v, and of encoding/json %v", err, wantErr)
			}
			return
		}
		if err != nil {
			return
		}
		want, err = decodeJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		// No cmp.Diff: what it takes doubles with each level of depth.
		if got := read(t, d.value(0), want); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got := decoded(t, Value{source{d, 0}}); !reflect.DeepEqual(got, want) {
			t.Errorf("as a Value: got  %v\nwant %v", got, want)
		}
	})
}

// read makes a decoded value of a CEL value by looking at each part of it. A number is taken from the example where both
// are equal, because CEL knows not how it was written.
func read(t *testing.T, value ref.Val, example any) any {
	t.Helper()
	switch v := value.(type) {
	case types.Null:
		return nil
	case types.Bool:
		return bool(v)
	case types.String:
		return string(v)
	case traits.Lister:
		elements := []any{}
		wanted, _ := example.([]any)
		for i := types.IntZero; i < v.Size().(types.Int); i++ {
			var next any
			if int(i) < len(wanted) {
				next = wanted[i]
			}
			elements = append(elements, read(t, v.Get(i), next))
		}
		return elements
	case traits.Mapper:
		members := map[string]any{}
		wanted, _ := example.(map[string]any)
		for it := v.Iterator(); it.HasNext() == types.True; {
			name := it.Next().(types.String)
			members[string(name)] = read(t, v.Get(name), wanted[string(name)])
		}
		return members
	default:
		wanted, ok := example.(json.Number)
		if !ok || number(string(wanted)).Equal(v) != types.True {
			t.Errorf("got the number %v, want %v", v, example)
		}
		return example
	}
}

// decoded makes a decoded value of a Value by looking at each part of it.
func decoded(t *testing.T, v Value) any {
	t.Helper()
	switch text := v.JSON(); text[0] {
	case '{':
		members := map[string]any{}
		for name, member := range v.Members() {
			if _, again := members[name]; again || member != v.Member(name) {
				t.Errorf("the member %q is found twice, or not by its name", name)
			}
			members[name] = decoded(t, member)
		}
		return members
	case '[':
		elements := []any{}
		for element := range v.Elements() {
			elements = append(elements, decoded(t, element))
		}
		return elements
	case '"':
		decoded, isString := v.Text()
		if !isString {
			t.Errorf("%s is no string", text)
		}
		return decoded
	case 't', 'f':
		return text == "true"
	case 'n':
		return nil
	default:
		return json.Number(text)
	}
}

// manyMembers returns an object with so many members, the first of which has the name of the second too.
func manyMembers(count int) string {
	var members strings.Builder
	for i := range count {
		fmt.Fprintf(&members, `,"m%d":%d`, max(i, 1), i)
	}
	return "{" + members.String()[1:] + "}"
}

func TestAValueFindsNothingInWhatHoldsNothing(t *testing.T) {
	for _, text := range []string{`5`, `"a"`, `null`, `[1]`} {
		value, err := ParseValue(text)
		if err != nil {
			t.Fatal(err)
		}
		for name := range value.Members() {
			t.Errorf("%s has the member %q", text, name)
		}
		if found := value.Member("a"); found.Exists() || found.JSON() != "" {
			t.Errorf("%s: found %s", text, found.JSON())
		}
	}
	var none Value
	if _, isString := none.Text(); isString || none.Exists() || none.Member("a").Exists() || len(slices.Collect(none.Elements())) > 0 {
		t.Error("there is something in no value")
	}
}

func TestAPayloadIsReadNoDeeperThanEncodingJSONDoes(t *testing.T) {
	nested := func(depth int) []byte { return []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth)) }
	if _, err := newDocument(nested(maxDepth)); err != nil {
		t.Error(err)
	}
	_, err := newDocument(nested(maxDepth + 1))
	wantError(t, err, "nested")
	if _, err := decodeJSON(nested(maxDepth + 1)); err == nil {
		t.Error("encoding/json reads deeper")
	}
}
