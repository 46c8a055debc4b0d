package webhookserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// The limits of a JSON text. They bound what one delivery costs whoever reads it later: rules, templates and schemas.
const (
	// deepest is how many lists and objects may be within each other: several times what any provider sends, and few
	// enough for code that descends by calling itself.
	deepest = 64
	// mostTokens is how many names, values, and beginnings and ends of lists and objects there may be. Decoded, each takes up
	// to some 100 bytes, however few it takes in the body.
	mostTokens = 100_000
	// longestNumber is how many bytes a number may have: more than any float64, or any integer of 128 bits, is written with.
	longestNumber = 64
)

// scanner reads a JSON text token by token, from where it is: the decoder makes no copy of what a bytes.Buffer holds.
type scanner struct {
	buffer  bytes.Buffer
	decoder jsontext.Decoder
}

// scanners keeps the decoders' own memory for the next text.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

// scan checks that a text is one JSON value that every reader reads alike, within the limits: no name twice in one object,
// nothing that is no Unicode, nothing behind the value.
func scan(text []byte) error {
	s := scanners.Get().(*scanner)
	s.reset(text)
	err := s.scan(text)
	s.reset(nil) // the pool must not hold on to the text
	scanners.Put(s)
	return err
}

func (s *scanner) reset(text []byte) {
	s.buffer = *bytes.NewBuffer(text)
	s.decoder.Reset(&s.buffer)
}

func (s *scanner) scan(text []byte) error {
	for range mostTokens {
		token, err := s.decoder.ReadToken()
		if err != nil {
			return unreadableJSON(err, len(text))
		}
		if err := s.check(token.Kind(), text); err != nil {
			return err
		}
		if s.decoder.StackDepth() == 0 {
			return s.checkEnd(text)
		}
	}
	return s.fault(fmt.Sprintf("more than %d tokens", mostTokens), 0)
}

// check checks the token that was read last against the limits.
func (s *scanner) check(kind jsontext.Kind, text []byte) error {
	switch kind {
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		if s.decoder.StackDepth() > deepest {
			return s.fault(fmt.Sprintf("more than %d levels", deepest), 1)
		}
	case jsontext.KindNumber:
		number := lastNumber(text[:s.decoder.InputOffset()])
		switch {
		case len(number) > longestNumber:
			return s.fault(fmt.Sprintf("a number of more than %d bytes", longestNumber), len(number))
		case !inRange(string(number)):
			return s.fault(fmt.Sprintf("number %s is out of range", number), len(number))
		}
	}
	return nil
}

// checkEnd checks that nothing comes after the value.
func (s *scanner) checkEnd(text []byte) error {
	rest := bytes.TrimLeft(text[s.decoder.InputOffset():], " \t\r\n")
	if len(rest) > 0 {
		return &jsonError{what: "more after the value", offset: len(text) - len(rest)}
	}
	return nil
}

// fault says what is wrong with the token that was read last, or with its last bytes.
func (s *scanner) fault(what string, size int) error {
	return &jsonError{what, s.decoder.StackPointer(), int(s.decoder.InputOffset()) - size}
}

// lastNumber returns the number at the end of a text; of one that is too long, one byte more than is allowed. What comes
// before a number, or nothing, is none of its characters.
func lastNumber(text []byte) []byte {
	start := len(text)
	for start > 0 && len(text)-start <= longestNumber && isNumeric(text[start-1]) {
		start--
	}
	return text[start:]
}

func isNumeric(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '.' || c == '+' || c == 'e' || c == 'E'
}

// jsonError says what is wrong with a JSON text, and where.
type jsonError struct {
	what   string
	at     jsontext.Pointer
	offset int // in bytes, from 0
}

func (e *jsonError) Error() string {
	if e.at == "" {
		return fmt.Sprintf("%s at byte %d", e.what, e.offset)
	}
	return fmt.Sprintf("%s at %s, byte %d", e.what, cut(string(e.at), longestQuote), e.offset)
}

// unreadableJSON words an error of the decoder for a text of so many bytes.
func unreadableJSON(err error, size int) error {
	const ended = "unexpected end of JSON input"
	var wrong *jsontext.SyntacticError
	if !errors.As(err, &wrong) {
		// All there is are blanks, for which the decoder has only io.EOF.
		return &jsonError{what: ended, offset: size}
	}
	what, at := wrong.Err.Error(), wrong.JSONPointer
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		what = ended
	case errors.Is(err, jsontext.ErrDuplicateName):
		what, at = fmt.Sprintf("duplicate name %q", cut(at.LastToken(), longestRepr)), at.Parent()
	}
	return &jsonError{what, at, int(wrong.ByteOffset)}
}
