package expression

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// mark begins an expression in a template; with another $ before it, it is the text ${.
const mark = "${"

// maxTemplate is how long a template may be, in bytes.
const maxTemplate = 64 << 10

// Template is a string in which ${…} stands for the value of a CEL expression.
type Template struct {
	parts []part
}

// part is a piece of a template: a text, or an expression.
type part struct {
	text    string
	program *program
}

// IsTemplate reports whether a text holds a template's mark, ${, so that it must be compiled rather than taken as it is.
func IsTemplate(text string) bool { return strings.Contains(text, mark) }

// CheckLiteral refuses a text with the marks of another template language, which would be taken as they are: somebody who
// wrote {{ … }} did not mean these characters.
func CheckLiteral(text string) error {
	for _, other := range []string{"{{", "{%", "{#"} {
		if strings.Contains(text, other) {
			return fmt.Errorf("%q begins no template here; write ${…}, or ${%q} for these characters", other, other)
		}
	}
	return nil
}

// CompileTemplate compiles a template. $${ is the text ${.
func CompileTemplate(text string, variables Variables) (*Template, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("the template has %d bytes; at most %d are allowed", len(text), maxTemplate)
	}
	t := &Template{}
	var literal strings.Builder
	for rest := text; rest != ""; {
		at := strings.Index(rest, mark)
		switch {
		case at < 0:
			literal.WriteString(rest)
			rest = ""
		case at > 0 && rest[at-1] == '$':
			literal.WriteString(rest[:at-1] + mark)
			rest = rest[at+len(mark):]
		default:
			literal.WriteString(rest[:at])
			if err := t.literal(&literal); err != nil {
				return nil, err
			}
			expression, after, err := cutExpression(rest[at+len(mark):])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", clean(rest[at:], maxPart), err)
			}
			p, _, err := compile(expression, variables)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", marked(expression), err)
			}
			t.parts = append(t.parts, part{program: p})
			rest = after
		}
	}
	return t, t.literal(&literal)
}

// literal adds the text that was collected, if any.
func (t *Template) literal(collected *strings.Builder) error {
	text := collected.String()
	collected.Reset()
	if text == "" {
		return nil
	}
	t.parts = append(t.parts, part{text: text})
	return CheckLiteral(text)
}

// marked returns an expression as it stands in a template, for messages.
func marked(expression string) string { return mark + clean(expression, maxPart) + "}" }

// Render returns the value of a template: the value itself, with its type, where ${…} is the whole text, else a string, in
// which a string stands as it is and any other value as JSON: null as null, a timestamp as RFC 3339, bytes in base64.
// Values are decoded JSON with numbers as json.Number, so that they are exact, and belong to the caller.
func (t *Template) Render(ctx context.Context, scope *Scope) (any, error) {
	return t.render(ctx, scope, &renderer{left: maxRendered})
}

func (t *Template) render(ctx context.Context, scope *Scope, r *renderer) (any, error) {
	if len(t.parts) == 1 && t.parts[0].program != nil {
		return t.parts[0].value(ctx, scope, r)
	}
	var b strings.Builder
	for i := range t.parts {
		if err := t.parts[i].write(ctx, scope, r, &b); err != nil {
			return nil, err
		}
		if b.Len() > maxString {
			return nil, errLongText
		}
	}
	return b.String(), nil
}

var errLongText = fmt.Errorf("the text is longer than %d KiB", maxString>>10)

// value returns the value of an expression.
func (p *part) value(ctx context.Context, scope *Scope, r *renderer) (any, error) {
	value, err := p.eval(ctx, scope)
	if err != nil {
		return nil, p.failed(err)
	}
	rendered, err := r.value(value)
	if text, ok := rendered.(string); ok && len(text) > maxString && err == nil {
		err = errLongText
	}
	if err != nil {
		return nil, p.failed(err)
	}
	return rendered, nil
}

// eval evaluates the part's expression.
func (p *part) eval(ctx context.Context, scope *Scope) (ref.Val, error) {
	value, err := p.program.eval(ctx, scope)
	if number, ok := value.(types.Double); ok && err == nil {
		if exact, found := p.program.exactly(number, scope); found {
			return exact, nil
		}
	}
	return value, err
}

// write adds the part to a text.
func (p *part) write(ctx context.Context, scope *Scope, r *renderer, b *strings.Builder) error {
	if p.program == nil {
		b.WriteString(p.text)
		return r.spend(len(p.text))
	}
	value, err := p.eval(ctx, scope)
	if err != nil {
		return p.failed(err)
	}
	text, err := r.text(value)
	if err != nil {
		return p.failed(err)
	}
	b.WriteString(text)
	return nil
}

func (p *part) failed(err error) error { return fmt.Errorf("%s: %w", marked(p.program.text), err) }

// errOpen is the error of an expression without end.
var errOpen = errors.New("the } that ends the expression is missing; write $${ for the characters ${")

// cutExpression returns the CEL expression that a text begins with, which ends before the } that nothing in it opened, and
// what stands behind that. Braces in strings and comments do not count.
func cutExpression(text string) (expression, after string, err error) {
	depth := 0
	for at := 0; at < len(text); {
		switch c := text[at]; c {
		case '{':
			depth++
			at++
		case '}':
			if depth == 0 {
				return text[:at], text[at+1:], nil
			}
			depth--
			at++
		case '"', '\'':
			end := endOfString(text, at)
			if end < 0 {
				return "", "", errors.New("a string in it is not closed")
			}
			at = end
		case '/':
			at++
			if strings.HasPrefix(text[at:], "/") {
				at += endOfLine(text[at:])
			}
		default:
			at++
		}
	}
	return "", "", errOpen
}

func endOfLine(text string) int {
	if end := strings.IndexByte(text, '\n'); end >= 0 {
		return end
	}
	return len(text)
}

// endOfString returns where the string ends whose quotes begin at an index, and -1 if it has no end. A string may have
// three quotes, and then hold lines; with the prefix r a backslash escapes nothing.
func endOfString(text string, at int) int {
	quotes := text[at : at+1]
	if triple := strings.Repeat(quotes, 3); strings.HasPrefix(text[at:], triple) {
		quotes = triple
	}
	raw := isRaw(text[:at])
	for at += len(quotes); at < len(text); at++ {
		switch {
		case strings.HasPrefix(text[at:], quotes):
			return at + len(quotes)
		case text[at] == '\\' && !raw:
			at++
		case text[at] == '\n' && len(quotes) == 1:
			return -1
		}
	}
	return -1
}

// isRaw reports whether what stands before a string's quotes is the prefix of a raw string: r, br or rb, in either case,
// and no part of a longer name.
func isRaw(before string) bool {
	name := strings.LastIndexFunc(before, func(r rune) bool { return !isNameRune(r) }) + 1
	switch strings.ToLower(before[name:]) {
	case "r", "br", "rb":
		return true
	}
	return false
}

func isNameRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
