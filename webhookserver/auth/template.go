package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What a signed text may hold in braces.
const (
	bodyPart      = "body"
	timestampPart = "timestamp"
	idPart        = "id"
)

// template is what is signed: literal text and parts of the request.
type template []piece

type piece struct {
	part    string // "" is a literal
	literal []byte
}

// parseTemplate reads a text such as "{timestamp}.{body}". "" is a template that nothing is made of.
func parseTemplate(text string) (template, error) {
	var t template
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if strings.Contains(literal, "}") {
			return nil, errors.New("has a } without its {; write only {id}, {timestamp} and {body} in braces")
		}
		if literal != "" {
			t = append(t, piece{literal: []byte(literal)})
		}
		if !found {
			break
		}
		part, after, closed := strings.Cut(after, "}")
		switch {
		case !closed:
			return nil, fmt.Errorf("has {%s without its }; write only {id}, {timestamp} and {body} in braces", part)
		case part != bodyPart && part != timestampPart && part != idPart:
			return nil, fmt.Errorf("has {%s}; write only {id}, {timestamp} and {body} in braces", part)
		case t.uses(part):
			return nil, fmt.Errorf("has {%s} twice; write it once", part)
		}
		t = append(t, piece{part: part})
		rest = after
	}
	if text != "" && !t.uses(bodyPart) {
		return nil, errors.New("has no {body}, so that a request with any body would be admitted; add it")
	}
	return t, nil
}

func (t template) uses(part string) bool {
	return slices.ContainsFunc(t, func(p piece) bool { return p.part == part })
}

// fill returns the signed text, in pieces so that the body need not be copied.
func (t template) fill(c *claim, body []byte) [][]byte {
	filled := make([][]byte, len(t))
	for i, p := range t {
		switch p.part {
		case bodyPart:
			filled[i] = body
		case timestampPart:
			filled[i] = []byte(c.timestamp)
		case idPart:
			filled[i] = []byte(c.id)
		default:
			filled[i] = p.literal
		}
	}
	return filled
}
