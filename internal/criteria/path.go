package criteria

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// path is a compiled key: the steps from the context, which holds the payload as "trigger", to one value.
type path []step

// step goes from a value to one of its members: by name, or where name is nil by index.
type step struct {
	name  *string
	index int
}

// contextTrigger is the name under which a key finds the payload.
const contextTrigger = "trigger"

// errPath is how the error of every key that cannot be parsed ends.
var errPath = errors.New("write a path such as trigger.body.action, trigger.body.items[0].id or trigger.headers['X-Github-Event']")

// parsePath compiles a key such as trigger.body.list[0]['odd name'].
func parsePath(text string) (path, error) {
	rest := strings.TrimSpace(text)
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "$"), ".")
	var steps path
	for rest != "" {
		s, after, err := parseStep(rest, len(steps) == 0)
		if err != nil {
			return nil, fmt.Errorf("at %q: %w; %w", rest, err, errPath)
		}
		steps = append(steps, s)
		rest = after
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("the key is empty; %w", errPath)
	}
	return steps, nil
}

// parseStep reads one step, with its leading dot unless it is the first, and returns what follows it.
func parseStep(text string, first bool) (step, string, error) {
	if strings.HasPrefix(text, "[") {
		return parseBracket(text)
	}
	if !first {
		if text[0] != '.' {
			return step{}, "", errors.New("a dot or a bracket is expected")
		}
		text = text[1:]
	}
	if text != "" && (text[0] == '\'' || text[0] == '"') {
		return parseQuoted(text)
	}
	end := strings.IndexFunc(text, func(r rune) bool { return !isNameRune(r) })
	if end < 0 {
		end = len(text)
	}
	name := text[:end]
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return step{}, "", errors.New("a name is expected; quote odd names: ['odd name']")
	}
	return step{name: &name}, text[end:], nil
}

// isNameRune reports whether an unquoted name may hold r.
func isNameRune(r rune) bool {
	return r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// parseBracket reads ['name'], ["name"] or [index].
func parseBracket(text string) (step, string, error) {
	inner := text[1:]
	if inner != "" && (inner[0] == '\'' || inner[0] == '"') {
		s, after, err := parseQuoted(inner)
		if err != nil {
			return step{}, "", err
		}
		after, closed := strings.CutPrefix(after, "]")
		if !closed {
			return step{}, "", errors.New("] is missing")
		}
		return s, after, nil
	}
	number, after, closed := strings.Cut(inner, "]")
	if !closed {
		return step{}, "", errors.New("] is missing")
	}
	index, err := strconv.Atoi(number)
	if err != nil {
		return step{}, "", errors.New("brackets hold an index or a quoted name")
	}
	return step{index: index}, after, nil
}

// parseQuoted reads a name in single or double quotes.
func parseQuoted(text string) (step, string, error) {
	name, after, closed := strings.Cut(text[1:], text[:1])
	if !closed {
		return step{}, "", errors.New("the closing quote is missing")
	}
	return step{name: &name}, after, nil
}

// find follows the path into a payload; found is false where there is no such value.
func (p path) find(payload any) (value any, found bool) {
	if p[0].name == nil || *p[0].name != contextTrigger {
		return nil, false
	}
	value = payload
	for _, s := range p[1:] {
		if value, found = s.follow(value); !found {
			return nil, false
		}
	}
	return value, true
}

func (s step) follow(value any) (any, bool) {
	if s.name != nil {
		members, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		member, ok := members[*s.name]
		return member, ok
	}
	switch v := value.(type) {
	case []any:
		return at(v, s.index)
	case string:
		// As in Python, a string is indexed by its characters.
		r, ok := at([]rune(v), s.index)
		return string(r), ok
	default:
		return nil, false
	}
}

// at returns the element at an index, which counts from the end where it is negative.
func at[T any](list []T, index int) (element T, found bool) {
	if index < 0 {
		index += len(list)
	}
	if index < 0 || index >= len(list) {
		return element, false
	}
	return list[index], true
}
