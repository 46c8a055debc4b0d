package convert

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// errNoPath is the error of an expression that is no path.
var errNoPath = errors.New("only a path such as {{ trigger.body.name }} can be turned; write CEL by hand")

var errDatastore = errors.New("there is no datastore; write the value itself, or let the sender give it")

// reserved are the words that cannot follow a dot in CEL.
var reserved = map[string]bool{
	"as": true, "break": true, "const": true, "continue": true, "else": true, "false": true, "for": true, "function": true,
	"if": true, "import": true, "in": true, "let": true, "loop": true, "namespace": true, "null": true, "package": true,
	"return": true, "true": true, "var": true, "void": true, "while": true,
}

// celPath returns a Jinja expression that is a path from one of the roots, in CEL.
func celPath(source string, roots []string) (string, error) {
	root, rest := cutName(source)
	switch {
	case root == "st2kv" || root == "system":
		return "", errDatastore
	case !slices.Contains(roots, root):
		return "", errNoPath
	}
	var path strings.Builder
	path.WriteString(root)
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		step, after, err := celStep(rest)
		if err != nil {
			return "", err
		}
		path.WriteString(step)
		rest = after
	}
	return path.String(), nil
}

// celStep returns the step that a path begins with, in CEL, and what follows it.
func celStep(source string) (step, after string, err error) {
	inner := strings.TrimSpace(source[1:])
	switch source[0] {
	case '.':
		name, after := cutName(inner)
		if name == "" {
			return "", "", errNoPath
		}
		return celMember(name), after, nil
	case '[':
		step, after, err := celBracket(inner)
		if err != nil {
			return "", "", err
		}
		after, closed := strings.CutPrefix(strings.TrimSpace(after), "]")
		if !closed {
			return "", "", errNoPath
		}
		return step, after, nil
	default:
		return "", "", errNoPath
	}
}

// celMember returns the step to a member. Jinja takes digits behind a dot for an index.
func celMember(name string) string {
	switch {
	case strings.Trim(name, "0123456789") == "":
		return "[" + name + "]"
	case reserved[name] || !isIdentifier(name):
		return "[" + strconv.Quote(name) + "]"
	default:
		return "." + name
	}
}

// celBracket reads a quoted name or an index.
func celBracket(source string) (step, after string, err error) {
	if source == "" {
		return "", "", errNoPath
	}
	if quote := source[:1]; quote == "'" || quote == `"` {
		name, after, closed := strings.Cut(source[1:], quote)
		if !closed || strings.Contains(name, `\`) {
			return "", "", errNoPath
		}
		return "[" + strconv.Quote(name) + "]", after, nil
	}
	end := strings.IndexByte(source, ']')
	if end < 0 {
		return "", "", errNoPath
	}
	number := strings.TrimSpace(source[:end])
	index, err := strconv.Atoi(number)
	if err != nil {
		return "", "", errNoPath
	}
	if index < 0 {
		return "", "", fmt.Errorf("[%d] counts from the end, which CEL does not; write CEL by hand", index)
	}
	return fmt.Sprintf("[%d]", index), source[end:], nil
}

// cutName returns the name that a text begins with, and the rest.
func cutName(source string) (name, rest string) {
	end := strings.IndexFunc(source, func(r rune) bool { return !isNameRune(r) && r < 0x80 })
	if end < 0 {
		end = len(source)
	}
	return source[:end], source[end:]
}

func isIdentifier(name string) bool {
	return name != "" && (name[0] < '0' || name[0] > '9') && !strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) })
}

func isNameRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
