package criteria

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// regex is a compiled expression of Python's re. Package regexp matches all texts in which its assertions mean what they
// mean in Python; the machine matches the others.
type regex struct {
	translation translation
	ordinary    *regexp.Regexp
	machine     machine
}

// maxRegex bounds an expression in bytes, and maxInstructions what is compiled from it: the time that a text takes grows with
// both the text and this.
const (
	maxRegex        = 1024
	maxInstructions = 2000
)

// compileRegex compiles an expression of Python's re, for matching anywhere in a text, or if it is anchored at its start.
func compileRegex(pattern string, initial flags, anchored bool) (*regex, error) {
	if len(pattern) > maxRegex {
		return nil, fmt.Errorf("the expression has %d bytes; write one of at most %d", len(pattern), maxRegex)
	}
	translated, err := translate(pattern, initial)
	if err != nil {
		return nil, fmt.Errorf("not a regular expression: %w", err)
	}
	if anchored {
		translated.text = `\A(?:` + translated.text + `)`
	}
	parsed, err := syntax.Parse(translated.text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("not supported by RE2, which takes linear time: %w", err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("compiling the regular expression: %w", err)
	}
	if len(program.Inst) > maxInstructions {
		return nil, fmt.Errorf("the regular expression is too large: repeat less")
	}
	ordinary, err := regexp.Compile(strings.ReplaceAll(translated.text, `()`, `\z`))
	if err != nil {
		return nil, fmt.Errorf("compiling the regular expression: %w", err)
	}
	return &regex{translation: translated, ordinary: ordinary, machine: machine{program, !translated.boundaries}}, nil
}

// match reports whether the expression matches somewhere in a text.
func (r *regex) match(text string) bool {
	switch {
	case r.translation.dollar && strings.HasSuffix(text, "\n"), r.translation.boundaries && !isASCII(text):
		return r.machine.match(text)
	default:
		return r.ordinary.MatchString(text)
	}
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Where an expression must match.
const (
	anywhere = false
	atStart  = true
)

// matches returns what compiles an operator that matches a regular expression.
func matches(initial flags, anchored bool) func(operand) (test, error) {
	return func(o operand) (test, error) {
		pattern, is := o.pattern.(string)
		if !is {
			return nil, errNotText(o.pattern)
		}
		compiled, err := compileRegex(pattern, initial, anchored)
		if err != nil {
			return nil, err
		}
		return func(_ *environment, v value) (bool, error) {
			text, err := textValue(v)
			return err == nil && compiled.match(text), err
		}, nil
	}
}
