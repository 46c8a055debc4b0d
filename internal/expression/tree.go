package expression

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tree is a JSON document whose strings may be templates.
type Tree struct {
	// root is the decoded document, in which a leaf stands for each string that is a template. It never changes.
	root any
	size int // of the document
}

// leaf is a template in a tree.
type leaf struct {
	path     string
	template *Template
}

// CompileTree compiles the strings of a JSON document; the names of members are taken as they are, and may hold no
// template. literal names the values that may hold none either, nor anything in them, as paths from the document's root
// such as "metadata.namespace". The error joins what is wrong, each with its path.
func CompileTree(document []byte, literal ...string) (*Tree, error) {
	if len(document) > maxRendered {
		return nil, fmt.Errorf("the document has %d bytes; at most %d are allowed", len(document), maxRendered)
	}
	decoded, err := decodeJSON(document)
	if err != nil {
		return nil, err
	}
	c := treeCompiler{literal: literal}
	t := &Tree{root: c.compile(decoded, "", false), size: len(document)}
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return t, nil
}

// treeCompiler collects what is wrong with a tree.
type treeCompiler struct {
	literal []string
	errs    []error
}

// compile returns a node with its templates compiled. fixed says that none is allowed.
func (c *treeCompiler) compile(node any, path string, fixed bool) any {
	fixed = fixed || slices.Contains(c.literal, path)
	switch n := node.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(n)) {
			member := join(path, name)
			if IsTemplate(name) || CheckLiteral(name) != nil {
				c.fail(member, errors.New("the name of a member cannot be a template; only values can"))
			}
			n[name] = c.compile(n[name], member, fixed)
		}
	case []any:
		for i, element := range n {
			n[i] = c.compile(element, fmt.Sprintf("%s[%d]", path, i), fixed)
		}
	case string:
		return c.text(n, path, fixed)
	}
	return node
}

func (c *treeCompiler) text(text, path string, fixed bool) any {
	switch {
	case !IsTemplate(text):
		c.fail(path, CheckLiteral(text))
		return text
	case fixed:
		c.fail(path, errors.New("it cannot be a template; write the value itself"))
		return text
	default:
		template, err := CompileTemplate(text, RuleVariables)
		c.fail(path, err)
		return leaf{path, template}
	}
}

// fail notes an error, if there is one.
func (c *treeCompiler) fail(path string, err error) {
	if err != nil {
		c.errs = append(c.errs, at(path, err))
	}
}

// at says where an error is.
func at(path string, err error) error {
	if path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", clean(path, maxPart), err)
}

// join returns the path of a member: a.b, or a["odd name"].
func join(path, name string) string {
	odd := name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) && r != '-' })
	switch {
	case odd:
		return fmt.Sprintf("%s[%q]", path, name)
	case path == "":
		return name
	default:
		return path + "." + name
	}
}

// Render returns the document with every template replaced by its value: it is as decoded JSON, with numbers as
// json.Number, and belongs to the caller. The error names the path of the template that failed.
func (t *Tree) Render(ctx context.Context, scope *Scope) (any, error) {
	r := &renderer{left: maxRendered - t.size}
	return r.tree(ctx, scope, t.root)
}

func (r *renderer) tree(ctx context.Context, scope *Scope, node any) (any, error) {
	switch n := node.(type) {
	case map[string]any:
		members := make(map[string]any, len(n))
		// In order, so that of several errors it is always the same that is returned.
		for _, name := range slices.Sorted(maps.Keys(n)) {
			member, err := r.tree(ctx, scope, n[name])
			if err != nil {
				return nil, err
			}
			members[name] = member
		}
		return members, nil
	case []any:
		elements := make([]any, len(n))
		for i, element := range n {
			rendered, err := r.tree(ctx, scope, element)
			if err != nil {
				return nil, err
			}
			elements[i] = rendered
		}
		return elements, nil
	case leaf:
		rendered, err := n.template.render(ctx, scope, r)
		if err != nil {
			return nil, at(n.path, err)
		}
		return rendered, nil
	default:
		return node, nil
	}
}
