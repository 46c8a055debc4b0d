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
	return t, t.checkBorders()
}

// checkBorders says where a part cannot be told from what is beside it: whoever has one signed request could send its text
// again, cut elsewhere, with a time or a body that was never signed.
func (t template) checkBorders() error {
	for i := range len(t) - 1 {
		left, right := t[i], t[i+1]
		switch {
		case left.part != "" && right.part != "":
			return fmt.Errorf("has nothing between {%s} and {%s}, so that one signature would do for several of them; "+
				"have the sender sign a text between them, such as a dot", left.part, right.part)
		case left.part == timestampPart && isDigit(right.literal[0]),
			right.part == timestampPart && isDigit(left.literal[len(left.literal)-1]):
			return errors.New("has a digit beside {timestamp}, so that one signature would do for several times; " +
				"have the sender sign another text there, such as a dot")
		}
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// delimits reports whether an id can be told from what is beside it, as checkBorders wants it of times: the text that delimits it
// is not in it, and does not begin or end in it.
func (t template) delimits(id string) bool {
	at := slices.IndexFunc(t, func(p piece) bool { return p.part == idPart })
	if at > 0 {
		if before := string(t[at-1].literal); strings.LastIndex(before+id, before) != 0 {
			return false
		}
	}
	if 0 <= at && at < len(t)-1 {
		if after := string(t[at+1].literal); strings.Index(id+after, after) != len(id) {
			return false
		}
	}
	return true
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
