package criteria

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hookstorm/hookstorm/internal/expression"
)

// node is a value on the way of a query, with what it is a part of.
type node struct {
	value  value
	parent *node
}

// part returns a part of the node.
func (n *node) part(part expression.Value) *node { return &node{value: value{part}, parent: n} }

// query is a key that may find more than one value: jsonpath-rw's language as a tree.
type query interface {
	// find returns the values that are meant, seen from a node, in order.
	find(from *node, left *budget) ([]*node, error)
}

// The kinds of queries.
type (
	// fields finds the members with some names.
	fields []string
	// index finds an element.
	index int
	// slice finds elements; without bounds all of them.
	slice struct{ start, end *int }
	// child finds what the right side finds, seen from what the left side finds.
	child struct{ left, right query }
	// descendants finds what the right side finds, seen from what the left side finds and from everything in it.
	descendants struct{ left, right query }
	// union finds what either side finds.
	union struct{ left, right query }
	// filter finds what the left side finds, if the right side finds something in it.
	filter struct{ left, right query }
	// root finds what everything is a part of.
	root struct{}
	// this finds the node itself.
	this struct{}
	// parent finds what the node is a part of.
	parent struct{}
)

// anyName stands for every name, in quotes too: so it is in jsonpath-rw.
const anyName = "*"

func (f fields) any() bool { return slices.Contains(f, anyName) }

func (f fields) find(from *node, left *budget) ([]*node, error) {
	if err := left.spend(from); err != nil {
		return nil, err
	}
	var found []*node
	if f.any() {
		for _, member := range from.value.Members() {
			found = append(found, from.part(member))
		}
		return found, nil
	}
	for _, name := range f {
		if part := from.value.Member(name); part.Exists() {
			found = append(found, from.part(part))
		}
	}
	return found, nil
}

func (i index) find(from *node, left *budget) ([]*node, error) {
	if err := left.spend(from); err != nil {
		return nil, err
	}
	element, err := from.value.element(int(i))
	if err != nil || !element.Exists() {
		return nil, err
	}
	return []*node{from.part(element.Value)}, nil
}

func (s slice) find(from *node, left *budget) ([]*node, error) {
	if err := left.spend(from); err != nil {
		return nil, err
	}
	switch from.value.kind() {
	case kindList:
	case kindNothing:
		return nil, fmt.Errorf("the key takes a slice of what is %s", from.value.kind())
	case kindNumber:
		if n, err := parseNumber(from.value.JSON()); err != nil || n.kind == float {
			return nil, errors.New("the key takes a slice of a number with a fraction")
		}
		fallthrough
	default:
		// What is no list counts as a list of one.
		list, err := parse("[" + from.value.JSON() + "]")
		if err != nil {
			return nil, err
		}
		from = &node{value: list, parent: from.parent}
	}
	var elements []*node
	for element := range from.value.Elements() {
		elements = append(elements, from.part(element))
	}
	start, end := bound(s.start, 0, len(elements)), bound(s.end, len(elements), len(elements))
	return elements[min(start, end):end], nil
}

// bound returns a bound of a slice of a list, as Python has it: counted from the end where negative, and cut to the list.
func bound(given *int, otherwise, length int) int {
	if given == nil {
		return otherwise
	}
	place := *given
	if place < 0 {
		place += length
	}
	return min(max(place, 0), length)
}

func (c child) find(from *node, left *budget) ([]*node, error) {
	parents, err := c.left.find(from, left)
	if err != nil {
		return nil, err
	}
	var found []*node
	for _, parent := range parents {
		children, err := c.right.find(parent, left)
		if err != nil {
			return nil, err
		}
		found = append(found, children...)
	}
	return found, nil
}

func (d descendants) find(from *node, left *budget) ([]*node, error) {
	tops, err := d.left.find(from, left)
	if err != nil {
		return nil, err
	}
	var found []*node
	for _, top := range tops {
		if found, err = d.below(top, found, left); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// below appends what the right side finds, seen from a node and from everything in it.
func (d descendants) below(top *node, found []*node, left *budget) ([]*node, error) {
	if err := left.spend(top); err != nil {
		return nil, err
	}
	here, err := d.right.find(top, left)
	if err != nil {
		return nil, err
	}
	found = append(found, here...)
	for element := range top.value.Elements() {
		if found, err = d.below(top.part(element), found, left); err != nil {
			return nil, err
		}
	}
	for _, member := range top.value.Members() {
		if found, err = d.below(top.part(member), found, left); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (u union) find(from *node, left *budget) ([]*node, error) {
	first, err := u.left.find(from, left)
	if err != nil {
		return nil, err
	}
	second, err := u.right.find(from, left)
	return append(first, second...), err
}

func (f filter) find(from *node, left *budget) ([]*node, error) {
	var found []*node
	candidates, err := f.left.find(from, left)
	for _, candidate := range candidates {
		inside, err := f.right.find(candidate, left)
		if err != nil {
			return nil, err
		}
		if len(inside) > 0 {
			found = append(found, candidate)
		}
	}
	return found, err
}

func (root) find(from *node, _ *budget) ([]*node, error) {
	for from.parent != nil {
		from = from.parent
	}
	return []*node{from}, nil
}

func (this) find(from *node, _ *budget) ([]*node, error) { return []*node{from}, nil }

func (parent) find(from *node, _ *budget) ([]*node, error) {
	if from.parent == nil {
		return nil, errors.New("the key takes the parent of what has none")
	}
	return []*node{from.parent}, nil
}

// budget is how much work a query may still cause, in bytes of text it looks at.
type budget int

// maxWork is the budget of a query. Payloads of some MiB need less; one that was made to be slow is given up after some
// tenths of a second.
const maxWork = 256 << 20

// nodeWork is what looking at a node costs besides its text: as much as reading so many bytes.
const nodeWork = 256

// spend takes the cost of looking at a node.
func (b *budget) spend(on *node) error {
	*b -= budget(nodeWork + len(on.value.JSON()))
	if *b < 0 {
		return errors.New("the key looks at too much of this payload; write a path without .. and *")
	}
	return nil
}
