package criteria

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// charRange is a range of characters.
type charRange struct{ from, to rune }

// set is a set of characters of an expression.
type set struct {
	negated bool
	chars   []charRange
	classes string // the classes in it, such as \d, in RE2's syntax
}

// classes are the classes of Python's re for Unicode, in RE2's syntax, for use inside brackets. RE2 has them for ASCII only.
var classes = map[byte]string{
	'd': `\p{Nd}`,
	'D': `\P{Nd}`,
	's': `\x{9}-\x{D}\x{1C}-\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}`,
	'S': `\x{0}-\x{8}\x{E}-\x{1B}\x{21}-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}` +
		`\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF}`,
	'w': `\p{L}\p{N}_`,
	// All categories but letters and numbers, and of the connecting punctuation all but the underscore.
	'W': `\p{M}\p{S}\p{Z}\p{C}\p{Cn}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}` +
		`\x{203F}\x{2040}\x{2054}\x{FE33}\x{FE34}\x{FE4D}-\x{FE4F}\x{FF3F}`,
}

// asciiClasses are the same under the flag a.
var asciiClasses = map[byte]string{
	'd': `0-9`,
	'D': `\x{0}-/:-\x{10FFFF}`,
	's': `\x{9}-\x{D} `,
	'S': `\x{0}-\x{8}\x{E}-\x{1F}!-\x{10FFFF}`,
	'w': `0-9A-Z_a-z`,
	'W': "\\x{0}-/:-@\\x{5B}-\\x{5E}`\\x{7B}-\\x{10FFFF}",
}

// classOf returns the class that a letter names.
func classOf(letter byte, f flags) (class string, is bool) {
	if f.ascii {
		class, is = asciiClasses[letter]
	} else {
		class, is = classes[letter]
	}
	return class, is
}

// text writes the set in RE2's syntax. It never needs RE2's flag i, which folds classes too, as Python does not.
func (s set) text(f flags) string {
	chars := s.chars
	if f.ignoreCase {
		for _, c := range s.chars {
			chars = append(chars, c.otherCases(f)...)
		}
	}
	var b strings.Builder
	b.WriteString("[")
	if s.negated {
		b.WriteString("^")
	}
	for _, c := range chars {
		b.WriteString(codePoint(c.from))
		if c.to > c.from {
			b.WriteString("-" + codePoint(c.to))
		}
	}
	b.WriteString(s.classes + "]")
	return b.String()
}

// codePoint writes a character so that it means nothing but itself.
func codePoint(r rune) string { return fmt.Sprintf(`\x{%X}`, r) }

// caseGroups are the characters that Python takes for one when it ignores case, and Unicode's simple folding does not.
var caseGroups = []string{"iIİı", "\u0390\u1fd3", "\u03b0\u1fe3", "\ufb05\ufb06"}

// otherCases returns what Python takes for characters of the range when it ignores case.
func (c charRange) otherCases(f flags) []charRange {
	if f.ascii {
		return append(c.shift('a', 'z', 'A'-'a'), c.shift('A', 'Z', 'a'-'A')...)
	}
	var others []charRange
	for _, cased := range unicode.CaseRanges {
		for r := max(c.from, rune(cased.Lo)); r <= min(c.to, rune(cased.Hi)); r++ {
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				others = append(others, charRange{other, other})
			}
		}
	}
	for _, group := range caseGroups {
		if strings.ContainsFunc(group, func(r rune) bool { return c.from <= r && r <= c.to }) {
			for _, other := range group {
				others = append(others, charRange{other, other})
			}
		}
	}
	return others
}

// shift returns the part of the range that lies between two characters, moved.
func (c charRange) shift(first, last, by rune) []charRange {
	from, to := max(c.from, first), min(c.to, last)
	if from > to {
		return nil
	}
	return []charRange{{from + by, to + by}}
}

// class translates a set in brackets.
func (t *translator) class(f flags) error {
	rest, negated := strings.CutPrefix(t.rest[1:], "^")
	s := set{negated: negated}
	for first := true; ; first = false {
		if rest == "" {
			return errors.New("a closing bracket is missing")
		}
		if rest[0] == ']' && !first {
			break
		}
		var err error
		if rest, err = s.add(rest, f); err != nil {
			return err
		}
	}
	t.rest = rest
	t.write(1, s.text(f), true)
	return nil
}

// add adds the range, the character or the class that a text begins with, and returns the rest of the text.
func (s *set) add(text string, f flags) (rest string, err error) {
	from, rest, err := bracketed(text, f)
	if err != nil {
		return "", err
	}
	tail, dash := strings.CutPrefix(rest, "-")
	if !dash || tail == "" || tail[0] == ']' {
		s.classes += from.classes
		s.chars = append(s.chars, from.chars...)
		return rest, nil
	}
	to, rest, err := bracketed(tail, f)
	if err != nil {
		return "", err
	}
	if from.classes+to.classes != "" || to.chars[0].to < from.chars[0].from {
		return "", errors.New("a range in brackets leads from one character to a later one")
	}
	s.chars = append(s.chars, charRange{from.chars[0].from, to.chars[0].to})
	return rest, nil
}

// bracketed reads one character, or one class, in brackets.
func bracketed(text string, f flags) (one set, rest string, err error) {
	r, size := utf8.DecodeRuneInString(text)
	if r == '\\' && len(text) > 1 {
		if class, is := classOf(text[1], f); is {
			return set{classes: class}, text[2:], nil
		}
	}
	rest = text[size:]
	switch {
	case strings.HasPrefix(text, `\b`):
		r, rest = '\b', text[2:]
	case r == '\\':
		if r, rest, err = escaped(text, true); err != nil {
			return set{}, "", err
		}
	}
	return set{chars: []charRange{{r, r}}}, rest, nil
}

// escape translates an escape outside brackets.
func (t *translator) escape(f flags) error {
	letter := byte(0)
	if len(t.rest) > 1 {
		letter = t.rest[1]
	}
	if class, is := classOf(letter, f); is {
		t.write(2, "["+class+"]", true)
		return nil
	}
	switch letter {
	case 'A':
		t.write(2, `\A`, false)
	case 'Z':
		t.write(2, `\z`, false)
	case 'b', 'B':
		t.boundaries = t.boundaries || !f.ascii
		t.asciiBoundaries = t.asciiBoundaries || f.ascii
		t.write(2, t.rest[:2], false)
	default:
		r, rest, err := escaped(t.rest, false)
		if err != nil {
			return err
		}
		t.write(len(t.rest)-len(rest), literal(r, f), true)
	}
	return nil
}

// simpleEscapes are the escapes of control characters.
var simpleEscapes = map[byte]rune{'a': '\a', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// escaped reads an escape that stands for one character.
func escaped(text string, inBrackets bool) (r rune, rest string, err error) {
	if len(text) < 2 {
		return 0, "", errors.New(`a backslash ends the expression; write \\`)
	}
	letter := text[1]
	if r, simple := simpleEscapes[letter]; simple {
		return r, text[2:], nil
	}
	switch {
	case letter == 'x':
		return hexadecimal(text, 2)
	case letter == 'u':
		return hexadecimal(text, 4)
	case letter == 'U':
		return hexadecimal(text, 8)
	case letter == 'N':
		return 0, "", errors.New(`names of characters are not supported; write \u and the number`)
	case isDigit(letter):
		return octal(text, inBrackets)
	case isNameStart(letter) && letter != '_' && letter != '@':
		return 0, "", fmt.Errorf("unknown escape %s", text[:2])
	}
	r, size := utf8.DecodeRuneInString(text[1:])
	return r, text[1+size:], nil
}

// hexadecimal reads an escape with so many digits.
func hexadecimal(text string, digits int) (rune, string, error) {
	if len(text) >= 2+digits {
		if number, err := strconv.ParseUint(text[2:2+digits], 16, 32); err == nil && utf8.ValidRune(rune(number)) {
			return rune(number), text[2+digits:], nil
		}
	}
	return 0, "", fmt.Errorf("%s is followed by %d hexadecimal digits of a character", text[:2], digits)
}

// octal reads an escape of digits. Outside brackets all but a zero and at most two more, or three, refer to a group.
func octal(text string, inBrackets bool) (rune, string, error) {
	digits := prefix(text[1:min(len(text), 4)], func(b byte) bool { return b >= '0' && b <= '7' })
	switch {
	case inBrackets && digits == 0:
		return 0, "", errors.New("an octal escape has digits from 0 to 7")
	case !inBrackets && text[1] != '0' && digits < 3:
		return 0, "", errors.New("a back-reference is not supported: RE2, which takes linear time, has none")
	}
	number, err := strconv.ParseUint(text[1:1+digits], 8, 32)
	if err != nil || number > 0o377 {
		return 0, "", errors.New(`an octal escape is at most \377`)
	}
	return rune(number), text[1+digits:], nil
}
