// Package convert turns StackStorm's rules into Rules: core.http and core.inject_trigger become actions, simple Jinja
// expressions become templates in CEL, and what cannot be turned is named with its place and stands as a comment where it
// would be. It reads nothing but what it is given. A Converter is for one goroutine.
package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Problem is something that cannot be turned.
type Problem struct {
	// File and Line say where it is.
	File string
	Line int
	// Rule is the rule's reference in StackStorm; Field is the path in it, such as action.parameters.url. Both may be empty.
	Rule, Field string
	// Message says why, and what to do.
	Message string
}

// String returns the problem as one line.
func (p Problem) String() string {
	place := fmt.Sprintf("%s:%d", p.File, p.Line)
	if p.Rule != "" {
		place += ": rule " + p.Rule
	}
	if p.Field != "" {
		place += ": " + p.Field
	}
	return place + ": " + p.Message
}

// Converter converts the rules of several files, and gives each Rule a name of its own.
type Converter struct {
	// refs are the references of the rules that have a name.
	refs map[string]string
}

// New returns a Converter.
func New() *Converter { return &Converter{refs: map[string]string{}} }

// File converts the rules in a file's content: YAML documents or JSON, each a rule or a list of them. It returns a YAML
// document for each rule, in order, and what could not be turned. The error says that the content cannot be read.
func (c *Converter) File(name string, content []byte) (documents [][]byte, problems []Problem, err error) {
	sources, err := readRules(content)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", name, err)
	}
	for _, source := range sources {
		r := &conversion{file: name, source: source}
		if !r.identify() {
			problems = append(problems, r.problems...)
			continue
		}
		document, err := encode(r.convert(c.name(r)))
		if err != nil {
			return nil, nil, fmt.Errorf("writing rule %s of %s: %w", r.ref, name, err)
		}
		documents = append(documents, document)
		problems = append(problems, r.problems...)
	}
	return documents, problems, nil
}

const (
	// maxName is how long a Rule's name may be, and maxActionName an action's.
	maxName       = 63
	maxActionName = 40
	// hashLength is how many digits of a hash tell names apart that would be the same.
	hashLength = 8
)

// name returns the name of a rule's Rule: its reference as a DNS label. Where that is too long or taken, it ends with a hash.
func (c *Converter) name(r *conversion) string {
	name := slug(r.ref, maxName+1)
	other, taken := c.refs[name]
	if taken && other == r.ref {
		r.problem(r.source, "name", "there is a rule %s already, and StackStorm has one of a name; leave one of them out", r.ref)
	}
	if taken || len(name) > maxName || name == "" {
		digest := sha256.Sum256(fmt.Appendf(nil, "%s %s:%d", r.ref, r.file, r.source.Line))
		name = strings.Trim(slug(r.ref, maxName-hashLength-1)+"-"+hex.EncodeToString(digest[:])[:hashLength], "-")
	}
	c.refs[name] = r.ref
	return name
}

// slug returns at most size characters of a text as a DNS label.
func slug(source string, size int) string {
	var b strings.Builder
	for _, r := range strings.ToLower(source) {
		switch {
		case b.Len() >= size:
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.TrimRight(b.String(), "-")
}
