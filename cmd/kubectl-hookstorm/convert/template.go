package convert

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The variables that a template may read, as StackStorm names them and as HookStorm does.
const (
	varTrigger = "trigger"
	varItem    = "item"
)

// template is a text of StackStorm with Jinja expressions in it.
type template []piece

// piece is a text, or an expression, which is in CEL.
type piece struct {
	text, expression string
}

// parseTemplate reads a text with Jinja expressions that are paths from one of the roots. The error names the first thing
// that is more than that.
func parseTemplate(source string, roots ...string) (template, error) {
	var t template
	rest := source
	for {
		at := nextMark(rest)
		if at < 0 {
			return t.add(piece{text: rest}), nil
		}
		t = t.add(piece{text: rest[:at]})
		if rest[at+1] != '{' {
			return nil, fmt.Errorf("%s is a statement or a comment of Jinja; write CEL by hand", short(rest[at:]))
		}
		inner, after, closed := strings.Cut(rest[at+2:], "}}")
		if !closed {
			return nil, fmt.Errorf("%s has no end", short(rest[at:]))
		}
		expression, err := celPath(strings.TrimSpace(inner), roots)
		if err != nil {
			return nil, fmt.Errorf("{{%s}}: %w", inner, err)
		}
		t = t.add(piece{expression: expression})
		rest = after
	}
}

// nextMark returns where the next {{, {% or {# is, and -1 if there is none.
func nextMark(source string) int {
	for at := 0; at+1 < len(source); at++ {
		if source[at] == '{' && strings.IndexByte("{%#", source[at+1]) >= 0 {
			return at
		}
	}
	return -1
}

func (t template) add(p piece) template {
	if p == (piece{}) {
		return t
	}
	return append(t, p)
}

// maxShort is how much of a text a message shows, in bytes.
const maxShort = 60

func short(source string) string {
	if len(source) > maxShort {
		source = strings.ToValidUTF8(source[:maxShort], "") + "…"
	}
	return strconv.Quote(source)
}

// dynamic reports whether there are expressions.
func (t template) dynamic() bool {
	return slices.ContainsFunc(t, func(p piece) bool { return p.expression != "" })
}

// lone returns the expression of a template that is nothing else, but for blanks if these do not count.
func (t template) lone(blanks bool) (expression string, lone bool) {
	for _, p := range t {
		switch {
		case p.expression == "" && blanks && strings.TrimSpace(p.text) == "":
		case p.expression == "" || expression != "":
			return "", false
		default:
			expression = p.expression
		}
	}
	return expression, expression != ""
}

// String returns the template in HookStorm's language.
func (t template) String() string {
	var b strings.Builder
	for i, p := range t {
		if p.expression != "" {
			b.WriteString("${" + p.expression + "}")
			continue
		}
		literal := strings.ReplaceAll(p.text, "${", "$${")
		if i+1 < len(t) && strings.HasSuffix(literal, "$") {
			// A dollar sign before ${ would escape it.
			literal = strings.TrimSuffix(literal, "$") + `${"$"}`
		}
		b.WriteString(literal)
	}
	return b.String()
}

// asText returns the template in HookStorm's language, for a field that holds text only: a lone expression is made one.
func (t template) asText() string {
	if expression, lone := t.lone(false); lone {
		return "${string(" + expression + ")}"
	}
	return t.String()
}

// maybeJSON reports whether StackStorm may read the rendered pattern as JSON although it is more than one expression: it
// makes a number of 1{{ trigger.digit }}, and a list of [{{ trigger.n }}].
func (t template) maybeJSON() bool {
	var rendered strings.Builder
	for _, p := range t {
		rendered.WriteString(p.text)
		if p.expression != "" {
			rendered.WriteByte('1')
		}
	}
	return t.dynamic() && json.Valid([]byte(rendered.String()))
}

// translate returns a tree with the Jinja expressions of its strings in HookStorm's language. A string that is nothing but
// one expression takes the type of its value.
func translate(n *yaml.Node) (*yaml.Node, error) {
	switch {
	case n.Kind == yaml.ScalarNode && !isText(n):
		return n, nil
	case n.Kind == yaml.ScalarNode:
		t, err := parseTemplate(n.Value, varTrigger)
		if err != nil {
			return nil, err
		}
		return text(t.String()), nil
	}
	translated := &yaml.Node{Kind: n.Kind}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if strings.Contains(child.Value, "{{") || strings.Contains(child.Value, "{%") {
				return nil, fmt.Errorf("%s: the name of a member cannot be a template", short(child.Value))
			}
			translated.Content = append(translated.Content, child)
			continue
		}
		value, err := translate(child)
		if err != nil {
			return nil, err
		}
		translated.Content = append(translated.Content, value)
	}
	return translated, nil
}
