package expression

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// kind is what a place in a JSON text holds.
type kind uint8

const (
	kindNull kind = iota
	kindFalse
	kindTrue
	kindNumber
	// kindPlain is a string that stands in the text as it is; kindEscaped is one that must be decoded.
	kindPlain
	kindEscaped
	kindList
	kindObject
)

// place is where a value stands in a JSON text. The elements of a list follow it, and so do the members of an object: a
// name, then its value.
type place struct {
	start, end uint32 // of a string: without its quotes
	next       uint32 // the place after this value and all that is in it
	kind       kind
}

// maxDepth is how deep lists and objects may be nested; encoding/json has the same limit.
const maxDepth = 10000

// index reads a JSON text once, and notes where each value stands. Nothing is decoded: an expression looks at a few values
// of a payload, and decoding them all costs twenty times this.
func index(text []byte) ([]place, error) {
	if len(text) > math.MaxUint32 {
		return nil, errors.New("the text is too long")
	}
	// A payload has about one value or name for each 12 bytes; a short estimate costs a copy.
	s := &scanner{text: text, places: make([]place, 0, len(text)/10+4)}
	s.skipSpace()
	if err := s.value(0); err != nil {
		return nil, err
	}
	if s.skipSpace(); s.at < len(text) {
		return nil, s.unexpected("after the value")
	}
	return s.places, nil
}

// scanner walks through a JSON text (RFC 8259).
type scanner struct {
	text   []byte
	at     int
	places []place
}

func (s *scanner) value(depth int) error {
	if s.at >= len(s.text) {
		return s.unexpected("where a value begins")
	}
	switch c := s.text[s.at]; {
	case c == '"':
		return s.string()
	case c == '{':
		return s.object(depth + 1)
	case c == '[':
		return s.list(depth + 1)
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return s.word("true", kindTrue)
	case c == 'f':
		return s.word("false", kindFalse)
	case c == 'n':
		return s.word("null", kindNull)
	default:
		return s.unexpected("where a value begins")
	}
}

// open notes the place of a list or an object, and returns it.
func (s *scanner) open(k kind, depth int) (int, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("more than %d lists and objects are nested", maxDepth)
	}
	s.places = append(s.places, place{start: uint32(s.at), kind: k})
	s.at++
	s.skipSpace()
	return len(s.places) - 1, nil
}

// closed reports whether a list or an object ends here, and if so completes its place.
func (s *scanner) closed(opened int, bracket byte) bool {
	if s.at >= len(s.text) || s.text[s.at] != bracket {
		return false
	}
	s.at++
	s.places[opened].end = uint32(s.at)
	s.places[opened].next = uint32(len(s.places))
	return true
}

func (s *scanner) list(depth int) error {
	opened, err := s.open(kindList, depth)
	if err != nil || s.closed(opened, ']') {
		return err
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		if s.skipSpace(); s.closed(opened, ']') {
			return nil
		}
		if err := s.expect(',', "after an element"); err != nil {
			return err
		}
	}
}

func (s *scanner) object(depth int) error {
	opened, err := s.open(kindObject, depth)
	if err != nil || s.closed(opened, '}') {
		return err
	}
	for {
		if s.at >= len(s.text) || s.text[s.at] != '"' {
			return s.unexpected("where a name begins")
		}
		if err := s.string(); err != nil {
			return err
		}
		s.skipSpace()
		if err := s.expect(':', "after a name"); err != nil {
			return err
		}
		if err := s.value(depth); err != nil {
			return err
		}
		if s.skipSpace(); s.closed(opened, '}') {
			return nil
		}
		if err := s.expect(',', "after a member"); err != nil {
			return err
		}
	}
}

// string reads a string. One with escapes, or with bytes that are no UTF-8, is left for encoding/json to decode.
func (s *scanner) string() error {
	s.at++
	start, escaped, ascii := s.at, false, true
	for ; ; s.at++ {
		s.skipPlain()
		if s.at >= len(s.text) {
			return s.unexpected("in a string")
		}
		switch c := s.text[s.at]; {
		case c == '"':
			k := kindPlain
			if escaped || !ascii && !utf8.Valid(s.text[start:s.at]) {
				k = kindEscaped
			}
			s.note(start, s.at, k)
			s.at++
			return nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return err
			}
		case c < ' ':
			return s.unexpected("in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
}

// skipPlain skips plain characters, eight at a time, because most of a payload is strings. The last few it leaves.
func (s *scanner) skipPlain() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for s.at+8 <= len(s.text) {
		word := binary.LittleEndian.Uint64(s.text[s.at:])
		quote, backslash := word^(ones*'"'), word^(ones*'\\')
		// A byte's high bit is set where it is a quote, a backslash, a control character, or not ASCII. The lowest that is
		// set is right; what is above it may come from a borrow.
		special := (word | (quote-ones)&^quote | (backslash-ones)&^backslash | (word-ones*' ')&^word) & highs
		if special != 0 {
			s.at += bits.TrailingZeros64(special) / 8
			return
		}
		s.at += 8
	}
}

// escape checks an escape sequence, and leaves the scanner at its last byte.
func (s *scanner) escape() error {
	s.at++
	if s.at >= len(s.text) {
		return s.unexpected("in a string")
	}
	if s.text[s.at] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, s.text[s.at]) < 0 {
			return s.unexpected("in an escape sequence")
		}
		return nil
	}
	for range 4 {
		s.at++
		if s.at >= len(s.text) || !isHex(s.text[s.at]) {
			return s.unexpected("in an escape sequence")
		}
	}
	return nil
}

func (s *scanner) number() error {
	start := s.at
	s.skip('-', '-')
	if !s.skip('0', '0') {
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.skip('.', '.') {
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.skip('e', 'E') {
		s.skip('+', '-')
		if err := s.digits(); err != nil {
			return err
		}
	}
	s.note(start, s.at, kindNumber)
	return nil
}

// skip reads one of two characters, if one is there.
func (s *scanner) skip(a, b byte) bool {
	if s.at >= len(s.text) || s.text[s.at] != a && s.text[s.at] != b {
		return false
	}
	s.at++
	return true
}

// digits reads one digit or more.
func (s *scanner) digits() error {
	start := s.at
	for s.at < len(s.text) && isDigit(s.text[s.at]) {
		s.at++
	}
	if s.at == start {
		return s.unexpected("in a number")
	}
	return nil
}

func (s *scanner) word(word string, k kind) error {
	if !bytes.HasPrefix(s.text[s.at:], []byte(word)) {
		return s.unexpected("where a value begins")
	}
	s.note(s.at, s.at+len(word), k)
	s.at += len(word)
	return nil
}

// note adds the place of a value that holds no others.
func (s *scanner) note(start, end int, k kind) {
	s.places = append(s.places, place{start: uint32(start), end: uint32(end), next: uint32(len(s.places) + 1), kind: k})
}

// expect reads a mark and the space behind it.
func (s *scanner) expect(mark byte, where string) error {
	if s.at >= len(s.text) || s.text[s.at] != mark {
		return s.unexpected(where)
	}
	s.at++
	s.skipSpace()
	return nil
}

func (s *scanner) skipSpace() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) unexpected(where string) error {
	if s.at >= len(s.text) {
		return fmt.Errorf("the text ends %s", where)
	}
	return fmt.Errorf("byte %d: unexpected %q %s", s.at+1, s.text[s.at], where)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
