package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds what the aliases of a document may expand to.
const maxNodes = 100_000

var errTooBig = fmt.Errorf("the document has more than %d values once its aliases are followed", maxNodes)

// The tags of YAML's scalars.
const (
	tagString = "!!str"
	tagBool   = "!!bool"
	tagNull   = "!!null"
	tagInt    = "!!int"
	tagFloat  = "!!float"
)

// readRules returns the rules of a file: its documents, and the elements of those that are lists. Each is a plain tree: no
// aliases, no comments, and the scalars as StackStorm reads them.
func readRules(content []byte) ([]*yaml.Node, error) {
	var rules []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	// What is JSON is read as such: there, 1e3 is a number.
	python := !json.Valid(content)
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return rules, nil
		}
		if err != nil {
			return nil, err
		}
		resolver := resolver{python: python, left: maxNodes}
		root, err := resolver.node(&document)
		if err != nil {
			return nil, err
		}
		switch {
		case root.Tag == tagNull:
		case root.Kind == yaml.SequenceNode:
			rules = append(rules, root.Content...)
		default:
			rules = append(rules, root)
		}
	}
}

// resolver makes plain trees of documents.
type resolver struct {
	python bool // scalars are read as PyYAML does, by YAML 1.1
	left   int  // how many nodes the tree may still have
}

func (r *resolver) node(n *yaml.Node) (*yaml.Node, error) {
	if r.left--; r.left < 0 {
		return nil, errTooBig
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return r.node(n.Content[0])
	case yaml.AliasNode:
		return r.node(n.Alias)
	case yaml.SequenceNode:
		return r.sequence(n)
	case yaml.MappingNode:
		return r.mapping(n)
	default:
		return r.scalar(n), nil
	}
}

func (r *resolver) sequence(n *yaml.Node) (*yaml.Node, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line}
	for _, element := range n.Content {
		resolved, err := r.node(element)
		if err != nil {
			return nil, err
		}
		list.Content = append(list.Content, resolved)
	}
	return list, nil
}

func (r *resolver) mapping(n *yaml.Node) (*yaml.Node, error) {
	mapping := &yaml.Node{Kind: yaml.MappingNode, Line: n.Line}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		value, err := r.node(n.Content[i+1])
		switch {
		case err != nil:
			return nil, err
		case key.ShortTag() == "!!merge":
			merge(mapping, value)
		case key.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: the key of a mapping must be a text", key.Line)
		default:
			name := text(r.scalar(key).Value)
			name.Line = key.Line
			set(mapping, name, value)
		}
	}
	return mapping, nil
}

// merge adds the members of other mappings that a mapping does not have.
func merge(mapping, others *yaml.Node) {
	if others.Kind == yaml.SequenceNode {
		for _, other := range others.Content {
			merge(mapping, other)
		}
		return
	}
	for key, value := range members(others) {
		if member(mapping, key.Value) == nil {
			set(mapping, key, value)
		}
	}
}

// scalar returns a scalar with the type that StackStorm gives it, spelled as JSON does.
func (r *resolver) scalar(n *yaml.Node) *yaml.Node {
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0
	tag, value := n.ShortTag(), n.Value
	if r.python && !quoted {
		tag, value = pythonScalar(tag, value)
	}
	switch tag {
	case tagBool:
		value = strings.ToLower(value)
	case tagNull:
		value = "null"
	case tagInt:
		if number, ok := new(big.Int).SetString(value, 0); ok {
			value = number.String()
		}
	case tagFloat:
	default:
		resolved := text(value)
		resolved.Line = n.Line
		return resolved
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Line: n.Line}
}

// pythonBools are the booleans of YAML 1.1 that later YAML takes for strings.
var pythonBools = map[string]string{
	"yes": "true", "Yes": "true", "YES": "true", "on": "true", "On": "true", "ON": "true",
	"no": "false", "No": "false", "NO": "false", "off": "false", "Off": "false", "OFF": "false",
}

// pythonScalar returns the type and the text of a plain scalar as PyYAML reads it: a number without a point is no float.
func pythonScalar(tag, value string) (string, string) {
	if boolean, is := pythonBools[value]; is {
		return tagBool, boolean
	}
	if tag == tagFloat && !strings.Contains(value, ".") {
		return tagString, value
	}
	return tag, value
}
