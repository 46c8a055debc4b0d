package webhookserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data; boundary=x"
)

// part is a part of a multipart form with boundary x and these headers.
func part(headers, content string) string { return "--x\r\n" + headers + "\r\n\r\n" + content + "\r\n" }

func named(name string) string { return `Content-Disposition: form-data; name="` + name + `"` }

func TestFormsWithinBounds(t *testing.T) {
	// Who writes a file of what is too large for memory does it there.
	t.Setenv("TMPDIR", t.TempDir())
	file := `Content-Disposition: form-data; name="f"; filename="../../etc/pass"` + "\r\nContent-Type: "
	nested := "multipart/mixed; boundary=y\r\n\r\n--y\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n1\r\n--y--"
	for _, c := range []struct {
		name, contentType, body string
		want, fault             string
	}{
		{"most fields", formType, strings.Repeat("&", mostFields-2) + "a=1", `{"a":["1"]}`, ""},
		{"one field too many", formType, strings.Repeat("a=1&", mostFields) + "a=1", "", "the form has more than 1000 fields"},
		{"names that are equal once they are valid", formType, "%e9=1&%ff=2&%C3%A9=3", `{"` + "\ufffd" + `":["1","2"],"é":["3"]}`, ""},
		{"characters that JSON escapes", formType, `a=%00%09"\&<b>=%E2%80%A8`, `{"a":["\u0000\t\"\\"],"<b>":["` + "\u2028" + `"]}`, ""},

		{"most parts", multipartType, strings.Repeat(part(named("a"), ""), mostFields) + "--x--", `{}`, ""},
		{"one part too many", multipartType, strings.Repeat(part(named("a"), ""), mostFields+1) + "--x--", "", "multipart/form-data: the form has more than 1000 fields"},
		{"a field twice, and another between", multipartType, part(named("a"), "1") + part(named("b"), "2") + part(named("a"), "3") + "--x--", `{"a":["1","3"],"b":["2"]}`, ""},
		{"a text and a file of one name", multipartType, part(named("f"), "1") + part(file+"a/b", "\xff") + "--x--",
			`{"f":["1",{"filename":"pass","content_type":"a/b","content":"/w=="}]}`, ""},
		{"a part that is JSON stays text", multipartType, part(named("a")+"\r\nContent-Type: application/json", `{"b":1}`) + "--x--", `{"a":["{\"b\":1}"]}`, ""},
		{"a multipart within a file is its content", multipartType, "--x\r\n" + file + nested + "\r\n--x--",
			`{"f":[{"filename":"pass","content_type":"multipart/mixed; boundary=y","content":"LS15DQpDb250ZW50LURpc3Bvc2l0aW9uOiBmb3JtLWRhdGE7IG5hbWU9ImIiDQoNCjENCi0teS0t"}]}`, ""},
		{"text before and behind the parts does not count", multipartType, "before\r\n" + part(named("a"), "1") + "--x--\r\nbehind", `{"a":["1"]}`, ""},
		{"large headers of a part", multipartType, part(named("a")+"\r\nX-A: "+strings.Repeat("x", largestPartHeader), "1") + "--x--", "",
			"multipart/form-data: a part with more than 8192 bytes of headers"},
		{"many headers of a part", multipartType, part(named("a")+strings.Repeat("\r\nX-A: x", 20_000), "1") + "--x--", "",
			"multipart/form-data: reading a part: multipart: message too large"},
		{"no closing boundary", multipartType, part(named("a"), "1"), "", "multipart/form-data: reading a part: unexpected EOF"},
		{"a part that is cut off", multipartType, "--x\r\n" + named("a") + "\r\n\r\n1", "", "multipart/form-data: reading a part: unexpected EOF"},
		{"no part at all", multipartType, "{}", "", "multipart/form-data: reading a part: multipart: NextPart: EOF"},
		{"a part of another kind", multipartType, part(`Content-Disposition: attachment; name="a"`, "1") + "--x--", "", "multipart/form-data: a part without a name"},
		{"a part without headers", multipartType, "--x\r\n\r\n1\r\n--x--", "", "multipart/form-data: a part without a name"},
		{"an empty boundary", `multipart/form-data; boundary=""`, "----", "", "multipart/form-data: there is no boundary"},
		{"the longest boundary", "multipart/form-data; boundary=" + strings.Repeat("x", 70), strings.ReplaceAll(part(named("a"), "1")+"--x--", "--x", "--"+strings.Repeat("x", 70)), `{"a":["1"]}`, ""},
		{"a boundary of 1000 bytes", "multipart/form-data; boundary=" + strings.Repeat("x", 1000), "", "", "multipart/form-data: the boundary has more than 70 bytes"},
		{"two boundaries", "multipart/form-data; boundary=x; boundary=y", "", "", "multipart/form-data: reading the content type: mime: duplicate parameter name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			document, err := decode(http.Header{"Content-Type": {c.contentType}}, []byte(c.body), Bodies{}, 1<<20)
			fault := ""
			if err != nil {
				fault = err.Error()
			}
			if diff := cmp.Diff([]string{c.want, c.fault}, []string{string(document), fault}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if files, err := os.ReadDir(os.TempDir()); err != nil || len(files) > 0 {
		t.Errorf("files: %v, %v", files, err)
	}
}

func TestAFormThatGrowsIsMeasuredFirst(t *testing.T) {
	for name, c := range map[string]struct{ contentType, body string }{
		"controls": {formType, "a=" + strings.Repeat("\x01", 1<<20)},
		"quotes":   {multipartType, part(named("a"), strings.Repeat(`"`, 1<<20)) + "--x--"},
		"a file":   {multipartType, part(`Content-Disposition: form-data; name="f"; filename="f"`, strings.Repeat("x", 1<<20)) + "--x--"},
	} {
		limit := int64(len(c.body))
		_, err := decode(http.Header{"Content-Type": {c.contentType}}, []byte(c.body), Bodies{}, limit)
		var over *http.MaxBytesError
		if !errors.As(err, &over) || over.Limit != limit {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFaultOfAFormRepeatsLittleOfIt(t *testing.T) {
	body := "--x\r\n" + strings.Repeat("y", 100_000) + "\r\n\r\n1\r\n--x--"
	_, err := decode(http.Header{"Content-Type": {multipartType}}, []byte(body), Bodies{}, 1<<20)
	if refused := notDecoded(err); len(refused.text) != longestFault {
		t.Errorf("an answer of %d bytes", len(refused.text))
	}
}

// FuzzForm finds that a form always becomes an object whose members are lists of texts, that nothing but too many fields is
// an error, and that its size is known before.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{"a=1&a=%ff&b=%zz+", "%C3%A9=\"&\xe9=\\", "=&&=1", "payload=%7B%7D", "a=\x00\u2028<"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		document, err := decodeForm(body, "", 1<<30)
		if errors.Is(err, errTooManyFields) {
			return
		}
		checkForm(t, document, err)
		var members map[string][]string
		if err := json.Unmarshal(document, &members); err != nil {
			t.Fatalf("%q became %s", body, document)
		}
		checkField(t, body, members)
	})
}

// checkField finds that JSON in a field of a form is taken as it is, or that the error names the field.
func checkField(t *testing.T, body []byte, members map[string][]string) {
	for name, texts := range members {
		if name == "" {
			continue
		}
		document, err := decodeForm(body, name, 0)
		switch {
		case err != nil && !strings.Contains(err.Error(), fmt.Sprintf("form field %q", name)):
			t.Fatalf("%q: %v", body, err)
		case err == nil && (len(texts) != 1 || string(document) != strings.TrimSpace(texts[0])):
			t.Fatalf("field %q of %q became %s", name, body, document)
		}
	}
}

// FuzzMultipart finds the same for multipart forms, whose files are objects.
func FuzzMultipart(f *testing.F) {
	for _, seed := range []string{
		part(named("a"), "1") + "--x--", part(named("a\xff"), "\xff") + part(named("a"), "") + "--x--\r\n", "--x--", "--x\r\n\r\n",
		part(`Content-Disposition: form-data; name="f"; filename*=utf-8''%ff`+"\r\nContent-Transfer-Encoding: quoted-printable", "=3D=") + "--x--",
	} {
		f.Add("x", []byte(seed))
	}
	f.Add(strings.Repeat("x", longestBoundary+1), []byte("--x--"))
	f.Fuzz(func(t *testing.T, boundary string, body []byte) {
		document, err := decodeMultipart("multipart/form-data; boundary="+boundary, body, "", 1<<30)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "multipart/form-data: ") {
				t.Fatal(err)
			}
			return
		}
		checkForm(t, document, nil)
		var members map[string][]any
		if err := json.Unmarshal(document, &members); err != nil {
			t.Fatalf("%q became %s", body, document)
		}
	})
}

// checkForm finds that a document could have been sent as JSON, and is exactly as large as was foreseen.
func checkForm(t *testing.T, document []byte, err error) {
	if err == nil {
		err = scan(document)
	}
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	if foreseen := cap(document); foreseen != len(document) {
		t.Fatalf("%s: %d bytes, and %d were foreseen", document, len(document), foreseen)
	}
}
