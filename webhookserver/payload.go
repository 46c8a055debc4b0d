package webhookserver

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// withheld are the headers that never become part of a payload, in canonical form: what has a place of its own in it or
// beside it. Credentials and signatures are gone from the request already.
var withheld = map[string]bool{"Content-Length": true, "St2-Trace-Tag": true, "X-Request-Id": true}

// field is one header; its name consists of token characters, none of which JSON escapes.
type field struct{ name, value string }

// usualHeaders is how many headers most requests have at most.
const usualHeaders = 24

// customPayload is what a custom webhook dispatches: the headers, the same in lower case, and the body as it is.
func (x *exchange) customPayload() []byte {
	var buffer [usualHeaders]field
	headers := append(buffer[:0],
		field{"Content-Length", strconv.Itoa(len(x.body))}, field{"Host", x.r.Host}, field{"X-Request-Id", x.requestID})
	headers = appendFields(headers, x.r.Header)
	slices.SortFunc(headers, func(a, b field) int { return cmp.Compare(a.name, b.name) })

	size := len(x.document) + len(`{"headers":{},"headers_lower":{},"body":}`)
	for _, f := range headers {
		size += 2 * (len(f.name) + len(f.value) + len(`"":"",`))
	}
	payload := append(x.emptyPayload(size), `{"headers":{`...)
	payload = appendHeaders(payload, headers, titleCase)
	payload = append(payload, `},"headers_lower":{`...)
	payload = appendHeaders(payload, headers, lowerCase)
	payload = append(payload, `},"body":`...)
	payload = append(payload, x.document...)
	return append(payload, '}')
}

// keptPayload is the capacity up to which the memory of a payload is used again.
const keptPayload = 16 << 10

// emptyPayload returns room for a payload of at most size bytes, until the exchange ends.
func (x *exchange) emptyPayload(size int) []byte {
	buffer, ok := x.payloads.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	x.payload = buffer
	*buffer = slices.Grow((*buffer)[:0], size)
	return *buffer
}

// appendFields adds what a payload shows of a request's headers. Names with an underscore are left out, as StackStorm's
// server does: WSGI cannot tell them from those with a hyphen, which would let X_Real_Ip pass for X-Real-Ip.
func appendFields(fields []field, header http.Header) []field {
	for name, values := range header {
		if withheld[name] || strings.Contains(name, "_") {
			continue
		}
		value := values[0]
		if len(values) > 1 {
			value = strings.Join(values, ",")
		}
		fields = append(fields, field{name, value})
	}
	return fields
}

func appendHeaders(b []byte, headers []field, spell func(b []byte, name string) []byte) []byte {
	for i, f := range headers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = spell(b, f.name)
		b = append(b, '"', ':')
		b = appendString(b, f.value)
	}
	return b
}

// titleCase spells a header's name as StackStorm shows it: an upper-case letter after everything that is no letter, after
// digits too.
func titleCase(b []byte, name string) []byte {
	start := true
	for _, c := range []byte(name) {
		lower := c | 0x20
		letter := 'a' <= lower && lower <= 'z'
		switch {
		case !letter:
			b = append(b, c)
		case start:
			b = append(b, lower-0x20)
		default:
			b = append(b, lower)
		}
		start = !letter
	}
	return b
}

func lowerCase(b []byte, name string) []byte {
	for _, c := range []byte(name) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// appendString appends text as a JSON string. Bytes that are no UTF-8 are taken for Latin-1, as HTTP once said.
func appendString(b []byte, text string) []byte {
	if plain(text) {
		b = append(b, '"')
		b = append(b, text...)
		return append(b, '"')
	}
	if !utf8.ValidString(text) {
		runes := make([]rune, len(text))
		for i, c := range []byte(text) {
			runes[i] = rune(c)
		}
		text = string(runes)
	}
	// A string can always be encoded.
	quoted, _ := json.Marshal(text)
	return append(b, quoted...)
}

// plain says that text is its own JSON but for the quotes.
func plain(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// cut returns at most the first size bytes of text, and whole characters of it.
func cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}
