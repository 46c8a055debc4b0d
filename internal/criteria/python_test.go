package criteria

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pythonRecords were recorded with Python 3.11: its re and fnmatch, dateutil 2.9, and keys in jsonpath-rw's language.
type pythonRecords struct {
	Today     string
	Texts     [][]any
	Documents []json.RawMessage
	Keys      [][]json.RawMessage
	Times     [][]any
}

func TestTextsMatchAsPythonRecorded(t *testing.T) {
	for _, c := range read[pythonRecords](t, "python.json").Texts {
		name, pattern := c[0].(string), c[1].(string)
		operator, _ := operatorNamed(name)
		matches, err := operator.compile(operand{pattern: pattern})
		if refused := c[2] == nil; refused || err != nil {
			if refused != (err != nil) {
				t.Errorf("%s %q: error %v, Python refuses it: %v", name, pattern, err, refused)
			}
			continue
		}
		text, err := quote(c[2].(string))
		if err != nil {
			t.Fatal(err)
		}
		got, err := matches(nil, text)
		if err != nil || got != c[3].(bool) {
			t.Errorf("%s %q on %q: got %v, %v, want %v", name, pattern, c[2], got, err, c[3])
		}
	}
}

func TestKeysFindAsPythonRecorded(t *testing.T) {
	records := read[pythonRecords](t, "python.json")
	for _, c := range records.Keys {
		var key, want string
		var document int
		for i, to := range []any{&key, &document, &want} {
			if err := json.Unmarshal(c[i], to); err != nil {
				t.Fatal(err)
			}
		}
		got, found := findRecorded(key, sourceOf(t, string(records.Documents[document])))
		if got != want {
			t.Errorf("%q in document %d: %s %s, want %s", key, document, got, found, want)
		}
		if wanted := string(c[3]); want == "ok" && !cmp.Equal(decoded(t, found), decoded(t, wanted)) {
			t.Errorf("%q in document %d: found %s, want %s", key, document, found, wanted)
		}
	}
}

// findRecorded looks a key up and returns the outcome in the records' words, and the JSON text of what was found.
func findRecorded(key string, in source) (outcome, found string) {
	path, err := parseKey(key)
	if err != nil {
		return "unparsable", ""
	}
	value, err := path.find(in)
	switch {
	case err != nil:
		return "error", ""
	case !value.Exists():
		return "none", ""
	default:
		return "ok", value.JSON()
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	decoded, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func TestTimesAreReadAsPythonRecorded(t *testing.T) {
	records := read[pythonRecords](t, "python.json")
	today, err := time.Parse(time.DateOnly, records.Today)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range records.Times {
		got, err := parseTime(c[0].(string), today)
		if none := c[1] == nil; none || err != nil {
			if none != (err != nil) {
				t.Errorf("%q: %v, error %v, want one: %v", c[0], got, err, none)
			}
			continue
		}
		if want := c[1].(float64); float64(got.UnixMicro()) != want*1e6 {
			t.Errorf("%q: %v, want %v", c[0], got, time.UnixMicro(int64(want*1e6)).UTC())
		}
	}
}

func TestLettersAreLoweredAsInPython(t *testing.T) {
	for text, want := range map[string]string{"ABC": "abc", "ÄÖ": "äö", "İ": "i̇", "ΟΔΟΣ": "οδος", "Σ": "σ", "ẞ": "ß", "STRASSE": "strasse"} {
		if got := lower(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
