package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// text returns a string, quoted where a reader could take it for something else.
func text(value string) *yaml.Node {
	n := &yaml.Node{}
	// A string can always be encoded.
	_ = n.Encode(value)
	return n
}

// boolean returns true or false.
func boolean(value bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tagBool, Value: fmt.Sprint(value)}
}

// isText reports whether a node is a string.
func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == tagString }

// isNull reports whether there is no value.
func isNull(n *yaml.Node) bool { return n == nil || n.ShortTag() == tagNull }

// members yields the members of a mapping in order; nothing for any other node.
func members(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// member returns a member of a mapping, or nil.
func member(n *yaml.Node, name string) *yaml.Node {
	for key, value := range members(n) {
		if key.Value == name {
			return value
		}
	}
	return nil
}

// memberText returns the text of a member; empty where it is missing or no string.
func memberText(n *yaml.Node, name string) string {
	if value := member(n, name); value != nil && isText(value) {
		return value.Value
	}
	return ""
}

// set sets a member of a mapping. As in Python, the last of two with one name counts.
func set(mapping, key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key.Value {
			mapping.Content[i+1] = value
			return
		}
	}
	mapping.Content = append(mapping.Content, key, value)
}

// block is a mapping under construction. A comment stands before the member that is set next, behind the last one if
// there is none.
type block struct {
	node    yaml.Node
	pending []string
}

func newBlock() *block { return &block{node: yaml.Node{Kind: yaml.MappingNode}} }

func (b *block) comment(lines ...string) { b.pending = append(b.pending, lines...) }

func (b *block) set(name string, value *yaml.Node) {
	key := text(name)
	key.HeadComment = b.takeComments()
	b.node.Content = append(b.node.Content, key, value)
}

func (b *block) empty() bool { return len(b.node.Content) == 0 }

// adopt sets a member that was built as a block. Where that has no members, its comments stand in its place.
func (b *block) adopt(name string, inner *block) {
	if inner.empty() {
		b.comment(inner.pending...)
		return
	}
	b.set(name, inner.end())
}

// end returns the mapping.
func (b *block) end() *yaml.Node {
	if len(b.pending) > 0 && !b.empty() {
		b.node.Content[len(b.node.Content)-2].FootComment = b.takeComments()
	}
	return &b.node
}

// takeComments returns the pending lines as a comment.
func (b *block) takeComments() string {
	var comment []string
	for _, line := range b.pending {
		comment = append(comment, strings.TrimRight("# "+line, " "))
	}
	b.pending = nil
	return strings.Join(comment, "\n")
}

// encode returns a node as a YAML document.
func encode(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(n); err != nil {
		return nil, fmt.Errorf("encoding YAML: %w", err)
	}
	return b.Bytes(), nil
}

// decode decodes a node as kubectl does, and refuses members that the type does not have.
func decode(n *yaml.Node, into any) error {
	document, err := encode(n)
	if err != nil {
		return err
	}
	return sigsyaml.UnmarshalStrict(document, into, sigsyaml.DisallowUnknownFields)
}

// lines returns a node as lines of YAML, for a comment.
func lines(n *yaml.Node) []string {
	document, err := encode(n)
	if err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimSpace(string(document)), "\n")
}

// readJSON returns a JSON text as a node that keeps the order of members; ok is false where the text is no JSON.
func readJSON(document string) (n *yaml.Node, ok bool) {
	if !json.Valid([]byte(document)) {
		return nil, false
	}
	var read yaml.Node
	if err := yaml.Unmarshal([]byte(document), &read); err != nil || len(read.Content) == 0 {
		return nil, false
	}
	resolver := resolver{left: maxNodes}
	n, err := resolver.node(&read)
	return n, err == nil
}

// setOrEmpty sets a member that was built as a block, which may be empty.
func (b *block) setOrEmpty(name string, inner *block) {
	if inner.empty() {
		b.comment(inner.pending...)
		b.set(name, &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle})
		return
	}
	b.set(name, inner.end())
}
