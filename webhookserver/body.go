package webhookserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// limit is the largest body of this request; where nobody owns the url, of any webhook.
func (x *exchange) limit() int64 {
	if x.route == nil {
		return x.table.largestBody
	}
	return x.route.MaxBodySize
}

func (x *exchange) limitBody() *refusal {
	if limit := x.limit(); x.r.ContentLength > limit {
		return tooLarge(limit)
	}
	return nil
}

// reserveBody takes the body's share of the memory for bodies before any of it is allocated; where the length is not
// known, the most that it may become.
func (x *exchange) reserveBody() *refusal {
	share := x.r.ContentLength
	if share < 0 {
		share = x.limit()
	}
	if !x.budget.TryAcquire(share) {
		return &overloaded
	}
	x.reserved = share
	return nil
}

func (x *exchange) readBody() *refusal {
	if x.r.ContentLength == 0 {
		return nil
	}
	body, err := readAll(http.MaxBytesReader(x.w, x.r.Body, x.limit()), x.r.ContentLength)
	if err != nil {
		return notRead(err)
	}
	x.body, x.whole = body, true
	return nil
}

func notRead(err error) *refusal {
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return tooLarge(over.Limit)
	}
	return &unreadable
}

// readAll reads length bytes, or to the end where length is negative.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length < 0 {
		return io.ReadAll(r)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	return body, nil
}

// unsupportedError says that a header asks for a way of reading that there is none of.
type unsupportedError struct{ header, value string }

func (e unsupportedError) Error() string {
	return fmt.Sprintf("Unsupported %s: %q", e.header, cut(e.value, longestQuote))
}

// shapeError says that a body is JSON, but neither an object nor an array.
type shapeError string

func (e shapeError) Error() string { return string(e) }

func (x *exchange) decodeBody() *refusal {
	document, err := decode(x.r.Header, x.body)
	if err != nil {
		return notDecoded(err)
	}
	// A form can grow while it becomes JSON; what is stored stays within the limit.
	if limit := x.limit(); int64(len(document)) > limit {
		return tooLarge(limit)
	}
	x.document = document
	return nil
}

func notDecoded(err error) *refusal {
	var shape shapeError
	if errors.As(err, &shape) {
		return invalid("InvalidBody", shape.Error())
	}
	return invalid("InvalidBody", "Failed to parse request body: "+err.Error())
}

// decode returns a body as JSON: an object or an array. JSON is returned as it came, so that every number in it survives.
func decode(header http.Header, body []byte) ([]byte, error) {
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, unsupportedError{"Content-Encoding", coding}
	}
	contentType := header.Get("Content-Type")
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.TrimSpace(mediaType)
	switch {
	case mediaType == "", strings.EqualFold(mediaType, "application/json"):
		return decodeJSON(body)
	case strings.EqualFold(mediaType, "application/x-www-form-urlencoded"):
		return decodeForm(body), nil
	case strings.EqualFold(mediaType, "multipart/form-data"):
		return decodeMultipart(contentType, body)
	case strings.EqualFold(mediaType, "text/plain"):
		return nil, notStructured(string(body))
	}
	return nil, unsupportedError{"Content-Type", contentType}
}

func decodeJSON(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return []byte("{}"), nil
	}
	if !utf8.Valid(body) {
		return nil, errors.New("invalid UTF-8")
	}
	if !json.Valid(body) {
		return nil, syntaxError(body)
	}
	document := bytes.TrimSpace(body)
	if document[0] != '{' && document[0] != '[' {
		value, err := parse(document)
		if err != nil {
			return nil, err
		}
		return nil, notStructured(value)
	}
	return document, nil
}

// syntaxError says what is wrong with a text that is not JSON, and where.
func syntaxError(body []byte) error {
	var whatever json.RawMessage
	err := json.Unmarshal(body, &whatever)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w at byte %d", err, syntax.Offset)
	}
	return errors.New("not a JSON document")
}

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
