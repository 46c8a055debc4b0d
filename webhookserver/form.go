package webhookserver

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// mostFields is how many fields a form may have: as many as Django, PHP and Go's own reader of forms take.
	mostFields = 1000
	// largestPartHeader is how many bytes the headers of one part may have: half of what a request's own may, and room for
	// any file's name.
	largestPartHeader = 8 << 10
	// longestBoundary is how many bytes a boundary may have (RFC 2046, 5.1.1).
	longestBoundary = 70
)

var errTooManyFields = fmt.Errorf("the form has more than %d fields", mostFields)

// form holds the fields of a form in the order in which they first appear. Every field is a list, as in StackStorm. Names
// and texts are valid UTF-8.
type form struct {
	names  []string
	values map[string][]formValue
}

// formValue is a text or a file.
type formValue struct {
	text string
	file *formFile // nil: a text
}

// formFile is a file as it was sent.
type formFile struct {
	name, contentType string
	content           []byte
}

func (f *form) add(name string, value formValue) {
	values, known := f.values[name]
	if !known {
		if f.values == nil {
			f.values = map[string][]formValue{}
		}
		f.names = append(f.names, name)
	}
	f.values[name] = append(values, value)
}

// addText adds a text; a blank one is dropped.
func (f *form) addText(name, text string) {
	if text != "" {
		f.add(name, formValue{text: text})
	}
}

// document returns the JSON in one field, or without a field's name the form as an object of lists.
func (f *form) document(field string, limit int64) ([]byte, error) {
	if field != "" {
		return f.embedded(field)
	}
	size := f.size()
	if int64(size) > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	return f.appendJSON(make([]byte, 0, size)), nil
}

// embedded returns the JSON that a field holds.
func (f *form) embedded(field string) ([]byte, error) {
	values := f.values[field]
	switch {
	case len(values) == 0:
		return nil, fmt.Errorf("form field %q is missing or empty", field)
	case len(values) > 1:
		return nil, fmt.Errorf("form field %q is there %d times", field, len(values))
	case values[0].file != nil:
		return nil, fmt.Errorf("form field %q is a file", field)
	}
	document := []byte(values[0].text)
	if err := scan(document); err != nil {
		return nil, fmt.Errorf("form field %q: %w", field, err)
	}
	if document = bytes.TrimSpace(document); !isStructured(document) {
		return nil, fmt.Errorf("form field %q is neither an object nor an array", field)
	}
	return document, nil
}

// size is how long the form is as JSON. It is known before anything of that size is allocated: a control character takes
// six times its place.
func (f *form) size() int {
	size := len("{}") + max(len(f.names)-1, 0) // commas
	for _, name := range f.names {
		values := f.values[name]
		size += quotedSize(name) + len(":[]") + len(values) - 1
		for _, value := range values {
			size += value.size()
		}
	}
	return size
}

func (f *form) appendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, name := range f.names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(quote(b, name), ':', '[')
		for j, value := range f.values[name] {
			if j > 0 {
				b = append(b, ',')
			}
			b = value.appendJSON(b)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func (v *formValue) size() int {
	if v.file == nil {
		return quotedSize(v.text)
	}
	return len(`{"filename":,"content_type":,"content":""}`) + quotedSize(v.file.name) + quotedSize(v.file.contentType) +
		base64.StdEncoding.EncodedLen(len(v.file.content))
}

// appendJSON appends a text as a string, and a file as an object with its name, type and content in base64.
func (v *formValue) appendJSON(b []byte) []byte {
	if v.file == nil {
		return quote(b, v.text)
	}
	b = quote(append(b, `{"filename":`...), v.file.name)
	b = quote(append(b, `,"content_type":`...), v.file.contentType)
	b = append(b, `,"content":"`...)
	b = base64.StdEncoding.AppendEncode(b, v.file.content)
	return append(b, `"}`...)
}

// quote appends text, which is valid UTF-8, as a JSON string.
func quote(b []byte, text string) []byte {
	b, _ = jsontext.AppendQuote(b, text) // which fails only for other text
	return b
}

// quotedSize is how many bytes quote appends.
func quotedSize(text string) int {
	size := len(`""`) + len(text)
	for _, c := range []byte(text) {
		switch {
		case c == '"', c == '\\', c == '\b', c == '\f', c == '\n', c == '\r', c == '\t':
			size++
		case c < ' ':
			size += len(`u0000`)
		}
	}
	return size
}

// validText replaces bytes that are no UTF-8 by U+FFFD.
func validText(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// decodeForm reads a form as Python's parse_qs does: what is no escape stays as it is.
func decodeForm(body []byte, field string, limit int64) ([]byte, error) {
	if bytes.Count(body, []byte("&")) >= mostFields {
		return nil, errTooManyFields
	}
	var read form
	for pair := range strings.SplitSeq(string(body), "&") {
		name, value, _ := strings.Cut(pair, "=")
		read.addText(unescape(name), unescape(value))
	}
	return read.document(field, limit)
}

// unescape decodes plus signs and percent escapes.
func unescape(text string) string {
	if !strings.ContainsAny(text, "+%") {
		return validText(text)
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			plain = append(plain, ' ')
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			plain = append(plain, unhex(text[i+1])<<4|unhex(text[i+2]))
			i += 2
		default:
			plain = append(plain, c)
		}
	}
	return validText(string(plain))
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0x0f + 9
}

// decodeMultipart reads a multipart form, part by part and in memory: multipart.Reader.ReadForm would write files. A
// multipart within a part is content as any other.
func decodeMultipart(contentType string, body []byte, field string, limit int64) ([]byte, error) {
	boundary, err := boundaryOf(contentType)
	if err != nil {
		return nil, fmt.Errorf("multipart/form-data: %w", err)
	}
	var read form
	if len(body) > 0 {
		if err := read.addParts(multipart.NewReader(bytes.NewReader(body), boundary)); err != nil {
			return nil, fmt.Errorf("multipart/form-data: %w", err)
		}
	}
	return read.document(field, limit)
}

func (f *form) addParts(reader *multipart.Reader) error {
	for range mostFields + 1 {
		part, err := reader.NextPart()
		if err == io.EOF { // a wrapped one means that the closing boundary is missing
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a part: %w", err)
		}
		if err := f.addPart(part); err != nil {
			return err
		}
	}
	return errTooManyFields
}

func boundaryOf(contentType string) (string, error) {
	_, parameters, err := mime.ParseMediaType(contentType)
	boundary := parameters["boundary"]
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the content type: %w", err)
	case boundary == "":
		return "", errors.New("there is no boundary")
	case len(boundary) > longestBoundary:
		return "", fmt.Errorf("the boundary has more than %d bytes", longestBoundary)
	}
	return boundary, nil
}

func (f *form) addPart(part *multipart.Part) error {
	if headerSize(part) > largestPartHeader {
		return fmt.Errorf("a part with more than %d bytes of headers", largestPartHeader)
	}
	name := validText(part.FormName())
	if name == "" {
		return errors.New("a part without a name")
	}
	content, err := io.ReadAll(part)
	if err != nil {
		return fmt.Errorf("reading a part: %w", err)
	}
	if part.FileName() == "" {
		f.addText(name, validText(string(content)))
		return nil
	}
	f.add(name, formValue{file: &formFile{
		name: validText(part.FileName()), contentType: validText(part.Header.Get("Content-Type")), content: content,
	}})
	return nil
}

// headerSize is how long the headers of a part are; that they could be read is bounded by multipart.Reader, at 10,000.
func headerSize(part *multipart.Part) int {
	size := 0
	for name, values := range part.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return size
}
