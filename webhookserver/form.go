package webhookserver

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

// fields are the fields of a form in the order in which they first appear. Every value is a list, as in StackStorm.
type fields struct {
	names  []string
	values map[string][]byte // a JSON list without its brackets
}

func (f *fields) add(name string, value []byte) {
	list, known := f.values[name]
	if known {
		f.values[name] = append(append(list, ','), value...)
		return
	}
	if f.values == nil {
		f.values = map[string][]byte{}
	}
	f.names = append(f.names, name)
	f.values[name] = value
}

// addText adds a value; a blank one is dropped.
func (f *fields) addText(name, value string) {
	if value != "" {
		f.add(name, appendString(nil, value))
	}
}

func (f *fields) json() []byte {
	size := len("{}")
	for _, name := range f.names {
		size += len(name) + len(f.values[name]) + len(`"":[],`)
	}
	document := append(make([]byte, 0, size), '{')
	for i, name := range f.names {
		if i > 0 {
			document = append(document, ',')
		}
		document = appendString(document, name)
		document = append(document, ':', '[')
		document = append(document, f.values[name]...)
		document = append(document, ']')
	}
	return append(document, '}')
}

// decodeForm reads a form as Python's parse_qs does: it never fails, and what is no escape stays as it is.
func decodeForm(body []byte) []byte {
	var form fields
	for pair := range strings.SplitSeq(string(body), "&") {
		name, value, _ := strings.Cut(pair, "=")
		form.addText(unescape(name), unescape(value))
	}
	return form.json()
}

// unescape decodes plus signs and percent escapes; bytes that are no UTF-8 then become U+FFFD.
func unescape(text string) string {
	if !strings.ContainsAny(text, "+%") {
		return strings.ToValidUTF8(text, "\uFFFD")
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
	return strings.ToValidUTF8(string(plain), "\uFFFD")
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

// decodeMultipart reads a multipart form. A file becomes an object with its name, type and content in base64.
func decodeMultipart(contentType string, body []byte) ([]byte, error) {
	_, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil, fmt.Errorf("multipart/form-data: %w", err)
	case parameters["boundary"] == "":
		return nil, errors.New("multipart/form-data without a boundary")
	}
	var form fields
	if len(body) == 0 {
		return form.json(), nil
	}
	reader := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		part, err := reader.NextPart()
		if err == io.EOF { //nolint:errorlint // a wrapped one means that the closing boundary is missing
			return form.json(), nil
		}
		if err == nil {
			err = form.addPart(part)
		}
		if err != nil {
			return nil, fmt.Errorf("multipart/form-data: %w", err)
		}
	}
}

func (f *fields) addPart(part *multipart.Part) error {
	content, err := io.ReadAll(part)
	switch {
	case err != nil:
		return fmt.Errorf("reading a part: %w", err)
	case part.FormName() == "":
		return errors.New("a part without a name")
	case part.FileName() == "":
		f.addText(part.FormName(), strings.ToValidUTF8(string(content), "\uFFFD"))
		return nil
	}
	file := appendString([]byte(`{"filename":`), part.FileName())
	file = appendString(append(file, `,"content_type":`...), part.Header.Get("Content-Type"))
	file = append(file, `,"content":"`...)
	file = base64.StdEncoding.AppendEncode(file, content)
	f.add(part.FormName(), append(file, `"}`...))
	return nil
}
