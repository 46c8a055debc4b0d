package expression

import (
	"iter"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Value is one value of a JSON text, which is read where it stands. The zero Value is none. It is safe for concurrent use.
type Value struct {
	source
}

// ParseValue returns the value that a JSON text is.
func ParseValue(text string) (Value, error) {
	d, err := newDocument([]byte(text))
	if err != nil {
		return Value{}, err
	}
	return Value{source{d, 0}}, nil
}

// Exists reports whether there is a value; null is one.
func (v Value) Exists() bool { return v.document != nil }

// JSON returns the text of the value, without blanks around it; of none, the empty text.
func (v Value) JSON() string {
	if !v.Exists() {
		return ""
	}
	return v.raw()
}

// Text returns the string that the value is, decoded.
func (v Value) Text() (text string, isString bool) {
	if !v.is(kindPlain) && !v.is(kindEscaped) {
		return "", false
	}
	return v.document.string(v.at), true
}

// Member returns the member of an object with this name, or none. Of members with one name it is the last.
func (v Value) Member(name string) Value {
	if !v.is(kindObject) {
		return Value{}
	}
	at, found := object(v).find(name)
	if !found {
		return Value{}
	}
	return Value{source{v.document, at}}
}

// follow returns what the names of members lead to, each the name of a member of the last.
func (v Value) follow(names []string) Value {
	for _, name := range names {
		v = v.Member(name)
	}
	return v
}

// Members yields the members of an object, each name once, in the order of the text.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if !v.is(kindObject) {
			return
		}
		m := object(v).collect()
		for _, name := range m.names {
			if !yield(name, Value{source{v.document, m.values[name]}}) {
				return
			}
		}
	}
}

// Elements yields the elements of a list.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if !v.is(kindList) {
			return
		}
		for at := range v.elements {
			if !yield(Value{source{v.document, at}}) {
				return
			}
		}
	}
}

func (v Value) is(k kind) bool { return v.Exists() && v.document.places[v.at].kind == k }

// cel returns the value as CEL sees it; none is null.
func (v Value) cel() ref.Val {
	if !v.Exists() {
		return types.NullValue
	}
	return v.document.value(v.at)
}
