package criteria

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// flags are the flags of Python's re that a part of an expression is under.
type flags struct {
	ignoreCase, multiLine, dotAll, verbose, ascii bool
}

// translation is an expression of Python's re in RE2's syntax. All its groups are without capture but for empty ones: they
// stand for Python's $, which also holds before a newline that ends the text, and which RE2 does not have.
type translation struct {
	text       string
	dollar     bool // whether it has Python's $
	boundaries bool // whether it has word boundaries of Unicode; those of RE2 are for ASCII
}

// translate translates an expression of Python's re, for matching anywhere in a text.
func translate(pattern string, initial flags) (translation, error) {
	t := translator{rest: pattern}
	if err := t.expression(initial); err != nil {
		return translation{}, fmt.Errorf("at %s: %w", showText(t.rest), err)
	}
	if t.boundaries && t.asciiBoundaries {
		return translation{}, errors.New(`\b is under the flag a in one place and not in another, which is not supported`)
	}
	return translation{text: t.out.String(), dollar: t.dollar, boundaries: t.boundaries}, nil
}

// translator reads an expression of Python's re from rest and writes RE2's syntax to out.
type translator struct {
	rest       string
	out        strings.Builder
	groups     []string // their names
	depth      int
	repeatable bool // whether a quantifier may follow

	dollar, boundaries, asciiBoundaries bool
}

// maxGroups bounds the depth of groups in groups.
const maxGroups = 250

func (t *translator) expression(f flags) error {
	f, err := t.globalFlags(f)
	if err != nil {
		return err
	}
	if err := t.alternatives(f); err != nil {
		return err
	}
	if t.rest != "" {
		return errors.New("this parenthesis closes nothing; write \\)")
	}
	return nil
}

// globalFlags reads the flags that an expression begins with, such as (?i).
func (t *translator) globalFlags(f flags) (flags, error) {
	for {
		t.skip(f)
		letters, after, global := globalFlagGroup(t.rest)
		if !global {
			return f, nil
		}
		if err := f.set(letters, true); err != nil {
			return f, err
		}
		t.rest = after
	}
}

// globalFlagGroup splits a text that begins with flags for the whole expression.
func globalFlagGroup(text string) (letters, after string, found bool) {
	inner, found := strings.CutPrefix(text, "(?")
	length := prefix(inner, isFlagLetter)
	if !found || length == 0 || !strings.HasPrefix(inner[length:], ")") {
		return "", "", false
	}
	return inner[:length], inner[length+1:], true
}

func isFlagLetter(b byte) bool { return strings.IndexByte("aiLmsux", b) >= 0 }

// set sets or clears flags by their letters.
func (f *flags) set(letters string, on bool) error {
	for _, letter := range letters {
		switch letter {
		case 'i':
			f.ignoreCase = on
		case 'm':
			f.multiLine = on
		case 's':
			f.dotAll = on
		case 'x':
			f.verbose = on
		case 'a', 'u':
			if !on {
				return errors.New("the flags a and u cannot be turned off")
			}
			f.ascii = letter == 'a'
		default:
			return errors.New("the flag L is for bytes only")
		}
	}
	if strings.Contains(letters, "a") && strings.Contains(letters, "u") {
		return errors.New("the flags a and u exclude each other")
	}
	return nil
}

// skip skips what has no meaning: comments, and under the flag x blanks too.
func (t *translator) skip(f flags) {
	for {
		before := len(t.rest)
		if f.verbose {
			t.rest = strings.TrimLeft(t.rest, " \t\n\r\v\f")
			if strings.HasPrefix(t.rest, "#") {
				_, t.rest, _ = strings.Cut(t.rest, "\n")
			}
		}
		if strings.HasPrefix(t.rest, "(?#") {
			if _, after, closed := strings.Cut(t.rest, ")"); closed {
				t.rest = after
			}
		}
		if len(t.rest) == before {
			return
		}
	}
}

// alternatives translates up to the parenthesis that closes the group, or to the end.
func (t *translator) alternatives(f flags) error {
	t.repeatable = false
	for {
		t.skip(f)
		if t.rest == "" || t.rest[0] == ')' {
			return nil
		}
		if err := t.item(f); err != nil {
			return err
		}
	}
}

// item translates one item: a quantifier is one of its own.
func (t *translator) item(f flags) error {
	switch first := t.rest[0]; first {
	case '|':
		t.write(1, "|", false)
	case '(':
		return t.group(f)
	case '[':
		return t.class(f)
	case '\\':
		return t.escape(f)
	case '*', '+', '?':
		return t.quantifier(t.rest[:1], t.rest[1:])
	case '{':
		return t.braces(f)
	case '.':
		t.write(1, dot(f), true)
	case '^':
		t.write(1, caret(f), false)
	case '$':
		t.end(f)
	default:
		r, size := utf8.DecodeRuneInString(t.rest)
		t.write(size, literal(r, f), true)
	}
	return nil
}

// write takes some bytes of the expression and writes their translation.
func (t *translator) write(size int, translated string, repeatable bool) {
	t.rest = t.rest[size:]
	t.out.WriteString(translated)
	t.repeatable = repeatable
}

func dot(f flags) string {
	if f.dotAll {
		return `(?s:.)`
	}
	return `[^\n]`
}

func caret(f flags) string {
	if f.multiLine {
		return `(?m:^)`
	}
	return `\A`
}

func (t *translator) end(f flags) {
	if f.multiLine {
		t.write(1, `(?m:$)`, false)
		return
	}
	t.dollar = true
	t.write(1, `()`, false)
}

// literal translates one character.
func literal(r rune, f flags) string {
	if !f.ignoreCase {
		return codePoint(r)
	}
	return set{chars: []charRange{{r, r}}}.text(f)
}

// braces translates a quantifier such as {2,3}, or a brace that is none, and so a character.
func (t *translator) braces(f flags) error {
	low := prefix(t.rest[1:], isDigit)
	least, after := t.rest[1:1+low], t.rest[1+low:]
	most := least
	if tail, comma := strings.CutPrefix(after, ","); comma {
		high := prefix(tail, isDigit)
		most, after = tail[:high], tail[high:]
	}
	tail, closed := strings.CutPrefix(after, "}")
	if !closed || strings.HasPrefix(t.rest, "{}") {
		t.write(1, literal('{', f), true)
		return nil
	}
	if least == "" {
		least = "0"
	}
	quantifier := "{" + least + "," + most + "}"
	low, lowErr := strconv.Atoi(least)
	high, highErr := strconv.Atoi("0" + most)
	switch {
	case lowErr != nil, highErr != nil, low > maxRepeat, high > maxRepeat:
		return fmt.Errorf("a repetition of more than %d is not supported", maxRepeat)
	case most != "" && high < low:
		return errors.New("the least repetition is greater than the most")
	}
	return t.quantifier(quantifier, tail)
}

// maxRepeat is RE2's bound of a repetition.
const maxRepeat = 1000

// quantifier writes a quantifier; after is what follows it.
func (t *translator) quantifier(text, after string) error {
	if !t.repeatable {
		return errors.New("there is nothing to repeat")
	}
	if strings.HasPrefix(after, "+") {
		return errors.New("possessive quantifiers are not supported: RE2 has none; leave out the +")
	}
	// Whether a quantifier is greedy decides what is captured, not whether the expression matches.
	after = strings.TrimPrefix(after, "?")
	t.rest = after
	t.out.WriteString(text)
	t.repeatable = false
	return nil
}

// group translates a group.
func (t *translator) group(f flags) error {
	if t.depth++; t.depth > maxGroups {
		return fmt.Errorf("groups nest more than %d deep", maxGroups)
	}
	inner, err := t.openGroup(f)
	if err != nil {
		return err
	}
	t.out.WriteString("(?:")
	if err := t.alternatives(inner); err != nil {
		return err
	}
	if t.rest == "" {
		return errors.New("a closing parenthesis is missing")
	}
	t.depth--
	t.write(1, ")", true)
	return nil
}

// openGroup reads what a group begins with, and returns the flags inside.
func (t *translator) openGroup(f flags) (flags, error) {
	extension, special := strings.CutPrefix(t.rest, "(?")
	if !special {
		t.rest = t.rest[1:]
		return f, nil
	}
	for opening, name := range unsupportedGroups {
		if strings.HasPrefix(extension, opening) {
			return f, fmt.Errorf("%s is not supported: RE2, which takes linear time, has none", name)
		}
	}
	if named, is := strings.CutPrefix(extension, "P<"); is {
		return f, t.groupName(named)
	}
	return t.flagGroup(extension, f)
}

// unsupportedGroups are what RE2 lacks, by what a group begins with after (?.
var unsupportedGroups = map[string]string{
	"=": "look-ahead", "!": "look-ahead", "<=": "look-behind", "<!": "look-behind",
	">": "an atomic group", "(": "a conditional group", "P=": "a back-reference",
}

// groupName reads a name up to its closing bracket.
func (t *translator) groupName(text string) error {
	name, after, closed := strings.Cut(text, ">")
	if !closed || !isIdentifier(name) || slices.Contains(t.groups, name) {
		return errors.New("a group's name is an identifier that no other group has: (?P<name>…)")
	}
	t.groups = append(t.groups, name)
	t.rest = after
	return nil
}

func isIdentifier(name string) bool {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != ""
}

// flagGroup reads (?: and groups with flags of their own, such as (?i-s:.
func (t *translator) flagGroup(extension string, f flags) (flags, error) {
	if _, _, global := globalFlagGroup(t.rest); global {
		return f, errors.New("flags for the whole expression stand at its start only")
	}
	on, after := cutFlags(extension)
	off, after, minus := "", after, false
	if after, minus = strings.CutPrefix(after, "-"); minus {
		off, after = cutFlags(after)
	}
	after, colon := strings.CutPrefix(after, ":")
	switch {
	case !colon || minus && off == "":
		return f, errors.New("unknown kind of group; write (…), (?:…) or (?P<name>…)")
	case on != "" && strings.ContainsAny(off, on):
		return f, errors.New("a flag is turned on and off")
	}
	t.rest = after
	return f, errors.Join(f.set(on, true), f.set(off, false))
}

// cutFlags splits a text after the flags that it begins with.
func cutFlags(text string) (letters, after string) {
	length := prefix(text, isFlagLetter)
	return text[:length], text[length:]
}
