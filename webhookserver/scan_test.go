package webhookserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func lists(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

func TestWhatIsTakenAsJSON(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"every kind of value", `{"a": [null, true, false, "x", 1, -0.5e+2, {}, []]}`},
		{"a value alone", `"x"`},
		{"blanks around everything", " \t\r\n{ \"a\" : [ 1 , 2 ] } \t\r\n"},
		{"every escape", `["\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000"]`},
		{"characters that take two, three and four bytes", `["é日😀"]`},
		{"an empty name", `{"": 1}`},
		{"names that differ in case alone, or look alike", `{"k": 1, "K": 2, "` + "\u212a" + `": 3}`},
		{"one name in two objects", `[{"a": 1}, {"a": {"a": 2}}]`},
		{"the deepest", lists(deepest)},
		{"the longest number", "[" + strings.Repeat("9", longestNumber) + "]"},
		{"a name full of digits is no number", `{"` + strings.Repeat("9", 100) + `": 1}`},
		{"the largest exponents", `[1e400, 1E-400, 1e+400]`},
		{"the most tokens", "[" + strings.Repeat("0,", mostTokens-3) + "0]"},
		{"many small names", manyNames(1000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := scan([]byte(c.text)); err != nil {
				t.Error(err)
			}
		})
	}
}

func manyNames(count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, `%c"%d":0`, "{,"[min(i, 1)], i)
	}
	return text.String() + "}"
}

func TestWhatIsNotTakenAsJSON(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "unexpected end of JSON input at byte 0"},
		{"blanks alone", " \n", "unexpected end of JSON input at byte 2"},
		{"an object that is cut off", `{"a": {"b`, "unexpected end of JSON input at /a, byte 9"},
		{"a list that is cut off", `[1, 2`, "unexpected end of JSON input at byte 5"},
		{"a string that is cut off", `"\ud83d\u`, "unexpected end of JSON input at byte 1"},
		{"text", "invalid", "invalid character 'i' at start of value at byte 0"},
		{"a comma too many", `{"x": [1, 2,]}`, "invalid character ',' at start of value at /x, byte 11"},
		{"a comma too few", `{"a": 1 "b": 2}`, `invalid character '"' after object value (expecting ',' or '}') at byte 8`},
		{"the wrong bracket", `{"a": [1}`, "invalid character '}' after array element (expecting ',' or ']') at /a, byte 8"},
		{"a name that is no string", `{1: 2}`, "object member name must be a string at byte 1"},
		{"a leading zero", `[01]`, "invalid character '1' after array element (expecting ',' or ']') at byte 2"},
		{"a plus sign", `[+1]`, "invalid character '+' at start of value at /0, byte 1"},
		{"what Python takes for a number", `{"a": NaN}`, "invalid character 'N' at start of value at /a, byte 6"},
		{"single quotes", `['a']`, `invalid character '\'' at start of value at /0, byte 1`},
		{"a comment", `{} // c`, "more after the value at byte 3"},
		{"a control character in a string", "[\"a\tb\"]", `invalid character '\t' in string (expecting non-control character) at /0, byte 3`},
		{"an unknown escape", `["\x41"]`, "invalid escape sequence `\\x` in string at /0, byte 2"},
		{"a byte order mark", "\ufeff{}", `invalid character '\ufeff' at start of value at byte 0`},
		{"UTF-16", "{\x00}\x00", `invalid character '\x00' at start of value at byte 1`},

		{"another value behind", `{}{}`, "more after the value at byte 2"},
		{"a null byte behind", "[]\n\x00", "more after the value at byte 3"},
		{"a bracket behind", `[1]]`, "more after the value at byte 3"},
		{"a blank that JSON does not know behind", "[]\v", "more after the value at byte 2"},

		{"a name twice", `{"a": 1, "a": 2}`, `duplicate name "a" at byte 9`},
		{"a name twice deep inside", `{"x":["b",{"a":1,"a":2}]}`, `duplicate name "a" at /x/1, byte 17`},
		{"a name twice, once escaped", `{"a": 1, "\u0061": 1}`, `duplicate name "a" at byte 9`},
		{"a name twice that a message does not repeat as it is", `{"a\n": 1, "a\n": 1}`, `duplicate name "a\n" at byte 11`},
		{"a name twice among many", strings.TrimSuffix(manyNames(1000), "}") + `,"500":0}`, `duplicate name "500" at byte 7891`},

		{"bytes that are no UTF-8", "{\"a\": \"\xff\"}", "invalid UTF-8 at /a, byte 7"},
		{"a name that is no UTF-8", "{\"\xc3\x28\": 1}", "invalid UTF-8 at byte 2"},
		{"an overlong slash", "[\"\xc0\xaf\"]", "invalid UTF-8 at /0, byte 2"},
		{"half a character as bytes", "[\"\xed\xa0\x80\"]", "invalid UTF-8 at /0, byte 2"},
		{"half a character", `["\ud800"]`, "invalid surrogate pair `\\ud800\"]` in string at /0, byte 2"},
		{"the second half of a character", `{"a": "\ude00 x \ud83d"}`, `invalid surrogate pair "\\ude00 x \\ud" in string at /a, byte 7`},
		{"the halves of a character the wrong way round", `["\ude00\ud83d"]`, "invalid surrogate pair `\\ude00\\ud83d` in string at /0, byte 2"},
		{"half a character in a name", `{"\ud800": 1}`, `invalid surrogate pair "\\ud800\": 1}" in string at byte 2`},

		{"too deep", lists(deepest + 1), "more than 64 levels at " + strings.Repeat("/0", deepest) + ", byte 64"},
		{"very deep, and cut off", strings.Repeat(`{"a":`, 100_000), "more than 64 levels at " + strings.Repeat("/a", deepest) + ", byte 320"},
		{"a number that is too long", `{"n": ` + strings.Repeat("9", longestNumber+1) + `}`, "a number of more than 64 bytes at /n, byte 6"},
		{"a very long number", `[` + strings.Repeat("1", 1<<20) + `]`, "a number of more than 64 bytes at /0, byte 1048512"},
		{"a long fraction", `[0.` + strings.Repeat("0", longestNumber) + `1]`, "a number of more than 64 bytes at /0, byte 3"},
		{"a number of too many digits once it is written out", `{"n": [1, 1e999999]}`, "number 1e999999 is out of range at /n/1, byte 10"},
		{"a number that is too small", `-1E-401`, "number -1E-401 is out of range at byte 0"},
		{"an exponent that overflows", `[1e99999999999999999999]`, "number 1e99999999999999999999 is out of range at /0, byte 1"},
		{"too many tokens", "[" + strings.Repeat("0,", mostTokens) + "0]", "more than 100000 tokens at /99998, byte 199998"},
		{"too many names", manyNames(mostTokens / 2), "more than 100000 tokens at /49999, byte 488888"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := scan([]byte(c.text))
			if err == nil {
				t.Fatal("is taken")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFaultRepeatsLittleOfADocument(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, text := range []string{
		`{"` + long + `": 1, "` + long + `": 2}`, `{"` + long + `": x}`, `["\ud800` + long, long, `{"a": "\` + long,
	} {
		err := scan([]byte(text))
		if err == nil || len(err.Error()) > longestFault {
			t.Errorf("%.20s…: a fault of %d bytes", text, len(err.Error()))
		}
	}
}

func TestATextLeavesNothingToTheNext(t *testing.T) {
	if err := scan([]byte(`{"a": [{"a"`)); err == nil {
		t.Fatal("half an object is taken")
	}
	if err := scan([]byte(`{"a": 1}`)); err != nil {
		t.Errorf("after a text that was cut off: %v", err)
	}
}

// FuzzScan compares with encoding/json: what is taken is JSON there too and means the same, keeps to every limit, and holds
// no name twice.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"a": [1, -0.5e+2, 9007199254740993], "b": {"c": "\ud83d\ude00"}}`, `{"a":1,"\u0061":2}`, `["\ud800"]`, "\ufeff{}", `{}{}`,
		lists(deepest), lists(deepest + 1), "[1e400, 1e401]", "[" + strings.Repeat("1", longestNumber+1) + "]", `"\uDc00\uD800"`, "[\xff]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := scan(text); err != nil {
			if fault := err.Error(); !strings.Contains(fault, "byte ") || len(fault) > longestFault {
				t.Fatalf("%q: %q", text, fault)
			}
			return
		}
		var theirs any
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&theirs); err != nil || !json.Valid(text) {
			t.Fatalf("%q is taken here, and there: %v", text, err)
		}
		// Not cmp.Diff, whose time doubles with each level.
		if ours := valueOf(t, jsontext.NewDecoder(bytes.NewReader(text))); !reflect.DeepEqual(ours, theirs) {
			t.Fatalf("%q is %v here and %v there", text, ours, theirs)
		}
		// A name that is there twice is two tokens, and one member of a map.
		if all, distinct := countTokens(t, text), measure(t, theirs, 0); all != distinct || all > mostTokens {
			t.Fatalf("%q: %d tokens, of which %d count", text, all, distinct)
		}
	})
}

// valueOf decodes the next value as encoding/json does with UseNumber.
func valueOf(t *testing.T, d *jsontext.Decoder) any {
	token, err := d.ReadToken()
	if err != nil {
		t.Fatal(err)
	}
	switch token.Kind() {
	case jsontext.KindBeginObject:
		object := map[string]any{}
		for d.PeekKind() != jsontext.KindEndObject {
			name, _ := valueOf(t, d).(string)
			object[name] = valueOf(t, d)
		}
		_, _ = d.ReadToken()
		return object
	case jsontext.KindBeginArray:
		list := []any{}
		for d.PeekKind() != jsontext.KindEndArray {
			list = append(list, valueOf(t, d))
		}
		_, _ = d.ReadToken()
		return list
	case jsontext.KindNumber:
		return json.Number(token.String())
	case jsontext.KindString:
		return token.String()
	case jsontext.KindNull:
		return nil
	default:
		return token.Bool()
	}
}

func countTokens(t *testing.T, text []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // a float64 ends at 1e308
	for count := 0; ; count++ {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return count
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// measure counts the tokens of a value, and checks its depth and its numbers.
func measure(t *testing.T, value any, depth int) int {
	if depth > deepest+1 {
		t.Fatalf("%d levels", depth)
	}
	tokens := 1
	switch v := value.(type) {
	case json.Number:
		if len(v) > longestNumber || !inRange(string(v)) {
			t.Fatalf("the number %s", v)
		}
	case []any:
		tokens++
		for _, element := range v {
			tokens += measure(t, element, depth+1)
		}
	case map[string]any:
		tokens++
		for _, member := range v {
			tokens += 1 + measure(t, member, depth+1)
		}
	}
	return tokens
}

// BenchmarkScan compares the scan with the standard library's check, which accepts more.
func BenchmarkScan(b *testing.B) {
	large, err := os.ReadFile(filepath.Join("..", "internal", "expression", "testdata", "pull_request.json"))
	if err != nil {
		b.Fatal(err)
	}
	small := []byte(`{"action": "closed", "number": 9007199254740993, "title": "` + strings.Repeat("x", 940) + `"}`)
	for _, c := range []struct {
		name string
		text []byte
	}{{"1 KiB", small}, {"12 KiB", large}, {"20000 names", []byte(manyNames(20_000))}} {
		for name, check := range map[string]func([]byte) bool{
			"scan": func(text []byte) bool { return scan(text) == nil }, "json.Valid": json.Valid,
		} {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(c.text)))
				b.ReportAllocs()
				for b.Loop() {
					if !check(c.text) {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}
