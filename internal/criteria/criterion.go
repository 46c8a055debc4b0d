package criteria

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hookstorm/hookstorm/internal/expression"
)

// criterion is one compiled comparison.
type criterion struct {
	key      string
	path     path
	operator operator
	operand  operand
	name     string // the operator and its condition, for messages
	wanted   string // those and the pattern

	// Either test is compiled, or the pattern is a template, from which each evaluation compiles a test.
	test     test
	template *expression.Template
}

// test compares a value with a pattern that was compiled before.
type test func(env *environment, v value) (bool, error)

// verdict is what became of a criterion.
type verdict struct {
	held   bool
	saw    value
	wanted string
}

// setPattern compiles the criterion's pattern. As in StackStorm, only a pattern that is a string may be a template.
func (c *criterion) setPattern(document []byte) error {
	pattern, err := decodePattern(document)
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	c.wanted = c.name
	if !c.operator.patternless {
		c.wanted += " " + show(strings.Trim(string(document), jsonBlanks))
	}
	if pattern == nil && !c.operator.patternless {
		return fmt.Errorf("pattern: required and not null for operator %s", c.name)
	}
	text, isText := pattern.(string)
	switch {
	case isText && expression.IsTemplate(text):
		c.template, err = expression.CompileTemplate(text, c.operand.compiler.variables)
	case isText && expression.CheckLiteral(text) != nil:
		err = expression.CheckLiteral(text)
	default:
		c.test, err = c.compile(pattern)
	}
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	return nil
}

// decodePattern decodes a pattern's JSON text; none is null.
func decodePattern(document []byte) (any, error) {
	if len(document) == 0 {
		return nil, nil
	}
	if !json.Valid(document) {
		return nil, errors.New("not a JSON text")
	}
	return decode(string(document))
}

// compile compiles a test for a pattern.
func (c *criterion) compile(pattern any) (test, error) {
	if pattern == nil && !c.operator.takesNull {
		return func(*environment, value) (bool, error) { return false, nil }, nil
	}
	given := c.operand
	given.pattern = pattern
	return c.operator.compile(given)
}

// evaluate looks the value up and tests it.
func (c *criterion) evaluate(env *environment, in source) (verdict, error) {
	found := verdict{wanted: c.wanted}
	tested := c.test
	if c.template != nil {
		rendered, err := c.template.Render(env.ctx, env.scope)
		if err != nil {
			return found, fmt.Errorf("rendering the pattern: %w", err)
		}
		found.wanted = c.name + " " + showDecoded(rendered)
		if tested, err = c.compile(rendered); err != nil {
			return found, fmt.Errorf("the rendered pattern: %w", err)
		}
	}
	var err error
	if found.saw, err = c.path.find(in); err != nil {
		return found, err
	}
	found.held, err = tested(env, found.saw)
	return found, err
}
