package webhookserver

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The limits of a schema's document. They bound what compiling it costs, which grows with the square of its size.
const (
	// mostSubschemas is how many objects and booleans a document may have, each of which may be a schema: more than the
	// schema of a Pod has.
	mostSubschemas = 5_000
	// mostValues is how many values of any kind a document may have: each may be wrong, in several ways.
	mostValues = 50_000
	// longestPointer is how many bytes the JSON pointer of a subschema may have: the compiler keeps each several times.
	longestPointer = 1024
	// longestPattern is how many bytes a regular expression may have.
	longestPattern = 4096
	// mostInstructions is how many instructions all regular expressions of a document may be compiled to, each of which
	// takes some 40 bytes: x{1000} has a thousand.
	mostInstructions = 100_000
)

// errDynamic refuses what refers to a different schema depending on how it was reached: its cost cannot be told.
var errDynamic = errors.New("$dynamicRef and $recursiveRef are not followed; use $ref")

// documentSize counts what the limits of a document are on.
type documentSize struct{ values, subschemas, instructions int }

// add counts a value of a document and what is within.
func (d *documentSize) add(value any, pointerSize int) error {
	d.values++
	switch v := value.(type) {
	case []any:
		for i, element := range v {
			if err := d.add(element, pointerSize+len("/")+len(strconv.Itoa(i))); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := d.addObject(v); err != nil {
			return err
		}
		for name, member := range v {
			if err := d.add(member, pointerSize+len("/")+len(name)); err != nil {
				return err
			}
		}
	case bool:
		d.subschemas++
	}
	switch {
	case d.values > mostValues:
		return fmt.Errorf("more than %d values; describe less", mostValues)
	case d.subschemas > mostSubschemas:
		return fmt.Errorf("more than %d objects and booleans; describe less", mostSubschemas)
	case pointerSize > longestPointer:
		return fmt.Errorf("a JSON pointer of more than %d bytes; nest less", longestPointer)
	}
	return nil
}

// addObject counts an object, which may be a schema or be named like one's keyword.
func (d *documentSize) addObject(object map[string]any) error {
	d.subschemas++
	for _, keyword := range []string{"$dynamicRef", "$recursiveRef"} {
		if _, isReference := object[keyword].(string); isReference {
			return errDynamic
		}
	}
	if text, isPattern := object["pattern"].(string); isPattern {
		if err := d.addPattern(text); err != nil {
			return err
		}
	}
	patterns, _ := object["patternProperties"].(map[string]any)
	for text := range patterns {
		if err := d.addPattern(text); err != nil {
			return err
		}
	}
	return nil
}

func (d *documentSize) addPattern(text string) error {
	compiled, err := compilePattern(text)
	if err != nil {
		return nil //nolint:nilerr // the compiler says where it is
	}
	d.instructions += compiled.instructions
	if d.instructions > mostInstructions {
		return fmt.Errorf("patterns of more than %d instructions; repeat less, as in x{1000}", mostInstructions)
	}
	return nil
}

// pattern is a regular expression that knows what matching costs.
type pattern struct {
	*regexp.Regexp
	instructions int
}

// compilePattern compiles a regular expression.
func compilePattern(text string) (*pattern, error) {
	if len(text) > longestPattern {
		return nil, fmt.Errorf("more than %d bytes", longestPattern)
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	return &pattern{Regexp: compiled, instructions: len(program.Inst)}, nil
}

// patternEngine is compilePattern as the compiler of schemas wants it.
func patternEngine(text string) (jsonschema.Regexp, error) {
	compiled, err := compilePattern(text)
	if err != nil {
		return nil, err // not a nil *pattern, which is no nil jsonschema.Regexp
	}
	return compiled, nil
}
