package criteria

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// matchesWildcard compiles the operator for Python's fnmatch.
func matchesWildcard(o operand) (test, error) {
	pattern, is := o.pattern.(string)
	if !is {
		return nil, errNotText(o.pattern)
	}
	if len(pattern) > maxRegex {
		return nil, fmt.Errorf("the wildcards have %d bytes; write at most %d", len(pattern), maxRegex)
	}
	compiled, err := regexp.Compile(translateWildcard(pattern))
	if err != nil {
		return nil, fmt.Errorf("compiling the wildcards: %w", err)
	}
	return func(_ *environment, v value) (bool, error) {
		text, err := textValue(v)
		return err == nil && compiled.MatchString(text), err
	}, nil
}

// translateWildcard writes wildcards as a regular expression of RE2.
func translateWildcard(pattern string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for rest := pattern; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		switch r {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteString(`.`)
		case '[':
			if inner, after, closed := cutBrackets(rest); closed {
				b.WriteString(wildcardSet(inner).text(flags{}))
				rest = after
				continue
			}
			fallthrough
		default:
			b.WriteString(codePoint(r))
		}
	}
	b.WriteString(`\z`)
	return b.String()
}

// cutBrackets splits a text at the bracket that closes a set: one that follows the opening bracket at once is a member.
func cutBrackets(text string) (inner, after string, closed bool) {
	start := 0
	if strings.HasPrefix(text, "!") {
		start++
	}
	if strings.HasPrefix(text[start:], "]") {
		start++
	}
	end := strings.IndexByte(text[start:], ']')
	if end < 0 {
		return "", "", false
	}
	return text[:start+end], text[start+end+1:], true
}

// wildcardSet reads what stands between brackets. A range that leads back holds nothing.
func wildcardSet(inner string) set {
	inner, negated := strings.CutPrefix(inner, "!")
	s := set{negated: negated}
	for members := []rune(inner); len(members) > 0; {
		one := charRange{members[0], members[0]}
		members = members[1:]
		if len(members) > 1 && members[0] == '-' {
			one.to = members[1]
			members = members[2:]
		}
		if one.from <= one.to {
			s.chars = append(s.chars, one)
		}
	}
	if len(s.chars) == 0 {
		// Brackets that hold nothing are no expression: everything is what a set without members leaves out.
		return set{negated: !negated, chars: []charRange{{0, utf8.MaxRune}}}
	}
	return s
}
