package criteria

import (
	"errors"
	"fmt"
	"strings"
)

// path is a compiled key. Where the key is a plain path, steps lead from the payload, which the root name names, to one
// value; else query says which values are meant.
type path struct {
	root  string
	steps []step
	query query
}

// step goes from a value to one of its parts: the member with this name, or where indexed the element at this index.
type step struct {
	name    string
	index   int
	indexed bool
}

// errPath is how the error of every key that cannot be parsed ends.
var errPath = errors.New(
	"write a path such as trigger.body.action, trigger.body.items[0].id or trigger.headers['X-Github-Event']")

// maxKey bounds a key in bytes, and with it the depth of what is parsed from it.
const maxKey = 1024

// parseKey compiles a key. Its language is that of jsonpath-rw 1.4.0, which StackStorm uses.
func parseKey(key string) (path, error) {
	// Text after # only makes the key unique.
	text, _, _ := strings.Cut(key, "#")
	if len(text) > maxKey {
		return path{}, fmt.Errorf("the key has %d bytes; write one of at most %d", len(text), maxKey)
	}
	if strings.Trim(text, " \t\n") == "" {
		return path{}, fmt.Errorf("the key is empty; %w", errPath)
	}
	tokens, err := tokenize(text)
	if err != nil {
		return path{}, fmt.Errorf("%w; %w", err, errPath)
	}
	parser := keyParser{tokens: tokens}
	parsed, err := parser.parse()
	if err != nil {
		return path{}, fmt.Errorf("%w; %w", err, errPath)
	}
	if root, steps, plain := plainPath(parsed); plain {
		return path{root: root, steps: steps}, nil
	}
	return path{query: parsed}, nil
}

// plainPath returns the steps of a query that can find one value only. It does so for chains of single names and indexes,
// the first of which is a name.
func plainPath(parsed query) (root string, steps []step, plain bool) {
	chain, plain := flatten(parsed, nil)
	if !plain || chain[0].indexed {
		return "", nil, false
	}
	return chain[0].name, chain[1:], true
}

// flatten appends the steps of a query to others.
func flatten(parsed query, steps []step) ([]step, bool) {
	switch q := parsed.(type) {
	case fields:
		if len(q) != 1 || q.any() {
			return nil, false
		}
		return append(steps, step{name: q[0]}), true
	case index:
		return append(steps, step{index: int(q), indexed: true}), true
	case child:
		left, plain := flatten(q.left, steps)
		if !plain {
			return nil, false
		}
		return flatten(q.right, left)
	default:
		return nil, false
	}
}

// keyParser is a parser of keys by precedence climbing.
type keyParser struct {
	tokens []token
	next   int
}

// precedences are how tightly the operators of keys bind. All group to the left. A bracket binds least: a.b|c[0] is the
// element 0 of all that stands before it.
var precedences = map[string]int{"[": 1, "..": 2, ".": 3, "|": 4, where: 5}

func (p *keyParser) peek() token { return p.tokens[p.next] }

func (p *keyParser) take() token {
	taken := p.tokens[p.next]
	if taken.kind != tokenEnd {
		p.next++
	}
	return taken
}

// takeMark takes the next token if it is this mark.
func (p *keyParser) takeMark(mark string) bool {
	taken := p.isMark(mark)
	if taken {
		p.next++
	}
	return taken
}

func (p *keyParser) isMark(mark string) bool {
	next := p.peek()
	return next.kind == tokenMark && next.text == mark
}

// unexpected is the error for the next token.
func (p *keyParser) unexpected(wanted string) error {
	if next := p.peek(); next.kind != tokenEnd {
		return fmt.Errorf("at %s: %s", showText(next.rest), wanted)
	}
	return fmt.Errorf("at the end of the key: %s", wanted)
}

func (p *keyParser) parse() (query, error) {
	parsed, err := p.expression(1)
	if err != nil {
		return nil, err
	}
	if p.peek().kind != tokenEnd {
		return nil, p.unexpected("a dot or a bracket is expected; quote odd names: ['odd name']")
	}
	return parsed, nil
}

// expression parses operands with operators that bind at least as tightly as a precedence.
func (p *keyParser) expression(precedence int) (query, error) {
	left, err := p.operand()
	for err == nil {
		operator := p.peek()
		binding := precedences[operator.text]
		if operator.kind != tokenMark || binding < precedence {
			return left, nil
		}
		p.take()
		var right query
		if operator.text == "[" {
			right, err = p.bracket()
		} else {
			right, err = p.expression(binding + 1)
		}
		left = combine(operator.text, left, right)
	}
	return nil, err
}

func combine(operator string, left, right query) query {
	switch operator {
	case "..":
		return descendants{left, right}
	case "|":
		return union{left, right}
	case where:
		return filter{left, right}
	default:
		return child{left, right}
	}
}

// operand parses what stands between operators.
func (p *keyParser) operand() (query, error) {
	switch next := p.peek(); {
	case next.kind == tokenName:
		return p.names(), nil
	case next.kind == tokenNamed:
		return p.named()
	case p.takeMark("*"):
		return fields{anyName}, nil
	case p.takeMark("$"):
		return root{}, nil
	case p.takeMark("["):
		return p.bracket()
	case p.takeMark("("):
		inner, err := p.expression(1)
		if err == nil && !p.takeMark(")") {
			err = p.unexpected(") is missing")
		}
		return inner, err
	default:
		return nil, p.unexpected("a name is expected; quote odd names: ['odd name']")
	}
}

// names parses one name, or several between commas.
func (p *keyParser) names() query {
	names := fields{p.take().text}
	for p.isMark(",") && p.tokens[p.next+1].kind == tokenName {
		p.take()
		names = append(names, p.take().text)
	}
	return names
}

func (p *keyParser) named() (query, error) {
	switch p.peek().text {
	case "this":
		p.take()
		return this{}, nil
	case "parent":
		p.take()
		return parent{}, nil
	default:
		return nil, p.unexpected("unknown operator in back-quotes; use `this` or `parent`")
	}
}

// bracket parses what follows an opening bracket: names, an index, a slice, or *.
func (p *keyParser) bracket() (query, error) {
	var inner query
	switch {
	case p.peek().kind == tokenName:
		inner = p.names()
	case p.takeMark("*"):
		inner = slice{}
	default:
		var err error
		if inner, err = p.indexOrSlice(); err != nil {
			return nil, err
		}
	}
	if !p.takeMark("]") {
		return nil, p.unexpected("] is missing")
	}
	return inner, nil
}

func (p *keyParser) indexOrSlice() (query, error) {
	start := p.number()
	if !p.takeMark(":") {
		if start == nil {
			return nil, p.unexpected("brackets hold a quoted name, an index, a slice such as 0:2, or *")
		}
		return index(*start), nil
	}
	return slice{start: start, end: p.number()}, nil
}

// number takes the next token if it is a number.
func (p *keyParser) number() *int {
	if p.peek().kind != tokenNumber {
		return nil
	}
	taken := p.take().index
	return &taken
}
