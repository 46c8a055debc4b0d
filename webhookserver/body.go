package webhookserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// unsupportedError says that a header asks for a way of reading that there is none of.
type unsupportedError struct{ header, value string }

func (e unsupportedError) Error() string {
	return fmt.Sprintf("Unsupported %s: %q", e.header, cut(e.value, longestQuote))
}

// shapeError says that a body is JSON, but neither an object nor an array.
type shapeError string

func (e shapeError) Error() string { return string(e) }

// Bodies says how bodies are read beyond StackStorm's ways; the zero value adds none.
type Bodies struct {
	// FormField is the field of a form that holds JSON, which then is the body; "": the body is all the fields of a form.
	FormField string
	// JSONSuffix says that media types that end in +json are JSON.
	JSONSuffix bool
	// PlainText says that text/plain is JSON, as Amazon SNS calls its own.
	PlainText bool
}

func (x *exchange) decodeBody() *refusal {
	var bodies Bodies
	if x.route != nil {
		bodies = x.route.Bodies
	}
	document, err := decode(x.r.Header, x.body, bodies, x.limit())
	if err != nil {
		return notDecoded(err)
	}
	x.document = document
	return nil
}

// longestFault is how many bytes an answer says about a body; some errors repeat a line of it.
const longestFault = 512

func notDecoded(err error) *refusal {
	var shape shapeError
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge(over.Limit)
	case errors.As(err, &shape):
		return invalid("InvalidBody", shape.Error())
	}
	return invalid("InvalidBody", cut("Failed to parse request body: "+err.Error(), longestFault))
}

// decode returns a body as JSON: an object or an array. JSON is returned as it came, so that every number in it survives;
// what becomes JSON only here is at most limit bytes long, or the error is an http.MaxBytesError.
func decode(header http.Header, body []byte, bodies Bodies, limit int64) ([]byte, error) {
	if codings := header["Content-Encoding"]; len(codings) > 1 || len(codings) == 1 && !isIdentity(codings[0]) {
		return nil, unsupportedError{"Content-Encoding", strings.Join(codings, ", ")}
	}
	types := header["Content-Type"]
	contentType := strings.Join(types, ", ")
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.TrimSpace(mediaType)
	switch {
	case len(types) > 1:
		// Whoever passed the request on may have gone by another one than is gone by here.
	case bodies.areJSON(mediaType):
		return decodeJSON(body)
	case strings.EqualFold(mediaType, "application/x-www-form-urlencoded"):
		return decodeForm(body, bodies.FormField, limit)
	case strings.EqualFold(mediaType, "multipart/form-data"):
		return decodeMultipart(contentType, body, bodies.FormField, limit)
	case strings.EqualFold(mediaType, "text/plain"):
		return nil, notStructured(string(body))
	}
	return nil, unsupportedError{"Content-Type", contentType}
}

// areJSON says that bodies of a media type are JSON.
func (b Bodies) areJSON(mediaType string) bool {
	return mediaType == "" || strings.EqualFold(mediaType, "application/json") ||
		b.JSONSuffix && hasJSONSuffix(mediaType) || b.PlainText && strings.EqualFold(mediaType, "text/plain")
}

func isIdentity(coding string) bool { return coding == "" || strings.EqualFold(coding, "identity") }

// hasJSONSuffix says that a media type is one such as application/cloudevents+json (RFC 6839, 3.1).
func hasJSONSuffix(mediaType string) bool {
	const suffix = "+json"
	_, subtype, _ := strings.Cut(mediaType, "/")
	start := len(subtype) - len(suffix)
	return start > 0 && strings.EqualFold(subtype[start:], suffix)
}

func decodeJSON(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return []byte("{}"), nil
	}
	if err := scan(body); err != nil {
		return nil, err
	}
	document := bytes.TrimSpace(body)
	if isStructured(document) {
		return document, nil
	}
	value, err := parse(document)
	if err != nil {
		return nil, err
	}
	return nil, notStructured(value)
}

// isStructured says that JSON that begins with its value is an object or an array.
func isStructured(document []byte) bool { return document[0] == '{' || document[0] == '[' }

// parse decodes one JSON value with its numbers as they are written.
func parse(document []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("decoding JSON: %w", err)
	}
	return value, nil
}

func notStructured(value any) shapeError {
	return shapeError(repr(value) + " is not of type 'object', 'array'")
}
