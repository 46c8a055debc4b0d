package expression

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// document is a JSON text as expressions see it: its values are read from the text when an expression looks at them.
// It is safe for concurrent use.
type document struct {
	text   string
	places []place
	// kept holds what is made once of a place, because making it each time would let a loop read the payload each time:
	// the elements of a list, the members of a large object, a long string that had to be decoded.
	kept sync.Map
}

// newDocument indexes a JSON text, which must never change; an empty text is null.
func newDocument(text []byte) (*document, error) {
	if len(text) == 0 {
		text = []byte("null")
	}
	places, err := index(text)
	if err != nil {
		return nil, fmt.Errorf("decoding JSON: %w", err)
	}
	// The text is not copied: that would cost a tenth of what it takes to index it, and as much memory again.
	return &document{text: unsafe.String(unsafe.SliceData(text), len(text)), places: places}, nil
}

// value returns the value at a place as CEL sees it.
func (d *document) value(at uint32) ref.Val {
	p := &d.places[at]
	switch p.kind {
	case kindNull:
		return types.NullValue
	case kindFalse:
		return types.False
	case kindTrue:
		return types.True
	case kindNumber:
		return number(d.text[p.start:p.end])
	case kindPlain, kindEscaped:
		return types.String(d.string(at))
	case kindList:
		return d.list(at)
	default:
		return object{source{d, at}}
	}
}

// number is an int if it is written as an integer and fits, else a uint if it fits, else a double.
func number(text string) ref.Val {
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return types.Int(n)
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return types.Uint(n)
		}
	}
	// The index has checked the syntax. Out of range is infinite, which compares as one expects and cannot be rendered.
	n, _ := strconv.ParseFloat(text, 64)
	return types.Double(n)
}

// longString is from where a decoded string is kept.
const longString = 256

func (d *document) string(at uint32) string {
	p := &d.places[at]
	if p.kind == kindPlain {
		return d.text[p.start:p.end]
	}
	if p.end-p.start < longString {
		return decodeString(source{d, at}.raw())
	}
	return keep(d, at, func() string { return decodeString(source{d, at}.raw()) })
}

// decodeString decodes a string, with its quotes, as encoding/json does.
func decodeString(quoted string) string {
	var text string
	if err := json.Unmarshal([]byte(quoted), &text); err != nil {
		return quoted // cannot be: the index has checked it
	}
	return text
}

// keep returns what was made of a place, and makes it the first time.
func keep[T any](d *document, at uint32, create func() T) T {
	kept, ok := d.kept.Load(at)
	if !ok {
		kept, _ = d.kept.LoadOrStore(at, create())
	}
	return kept.(T) // a place is always of one kind
}

// source is where a value was read from.
type source struct {
	document *document
	at       uint32
}

// raw returns the JSON text of the value.
func (s source) raw() string {
	p := &s.document.places[s.at]
	if p.kind == kindPlain || p.kind == kindEscaped {
		return s.document.text[p.start-1 : p.end+1]
	}
	return s.document.text[p.start:p.end]
}

// elements yields the places of a list's elements.
func (s source) elements(yield func(uint32) bool) {
	places := s.document.places
	for at := s.at + 1; at < places[s.at].next; at = places[at].next {
		if !yield(at) {
			return
		}
	}
}

// native decodes the value, for what knows nothing of documents.
func (s source) native(as reflect.Type) (any, error) {
	value, err := decodeJSON([]byte(s.raw()))
	if err != nil {
		return nil, err
	}
	if !reflect.TypeOf(value).AssignableTo(as) {
		return nil, fmt.Errorf("a %T is no %v", value, as)
	}
	return value, nil
}

// list is a JSON list: its elements, and where it was read from.
type list struct {
	traits.Lister
	source
}

func (d *document) list(at uint32) ref.Val {
	return keep(d, at, func() list {
		in, elements := source{d, at}, []ref.Val{}
		for element := range in.elements {
			elements = append(elements, d.value(element))
		}
		return list{types.NewRefValList(types.DefaultTypeAdapter, elements), in}
	})
}

// object is a JSON object, as a CEL map with its keys in the order of the text. Of members with one name the last counts,
// as for encoding/json.
type object struct {
	source
}

var (
	_ traits.Mapper = object{}
	_ traits.Zeroer = object{}
)

// members are the members of an object.
type members struct {
	names  []string
	values map[string]uint32
}

// members returns the members, which are kept.
func (o object) members() members { return keep(o.document, o.at, o.collect) }

func (o object) collect() members {
	m, places := members{values: map[string]uint32{}}, o.document.places
	for name := o.at + 1; name < places[o.at].next; name = places[name+1].next {
		text := o.document.string(name)
		if _, again := m.values[text]; !again {
			m.names = append(m.names, text)
		}
		m.values[text] = name + 1
	}
	return m
}

// maxScanned is how many members an object may have so that it is faster to compare the names than to keep a map of them.
const maxScanned = 64

// find returns the place of a member's value.
func (o object) find(wanted string) (value uint32, found bool) {
	d, places, scanned := o.document, o.document.places, 0
	for name := o.at + 1; name < places[o.at].next; name = places[name+1].next {
		if scanned++; scanned > maxScanned {
			value, found = o.members().values[wanted]
			return value, found
		}
		p := &places[name]
		if p.kind == kindPlain && d.text[p.start:p.end] == wanted || p.kind == kindEscaped && d.string(name) == wanted {
			value, found = name+1, true
		}
	}
	return value, found
}

// Find implements traits.Mapper.
func (o object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	at, found := o.find(string(name))
	if !found {
		return nil, false
	}
	return o.document.value(at), true
}

// Get implements traits.Indexer.
func (o object) Get(key ref.Val) ref.Val {
	value, found := o.Find(key)
	if !found {
		return types.ValOrErr(key, "no such key: %v", key)
	}
	return value
}

// Contains implements traits.Container.
func (o object) Contains(key ref.Val) ref.Val {
	_, found := o.Find(key)
	return types.Bool(found)
}

// Iterator implements traits.Iterable.
func (o object) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, o.members().names).Iterator()
}

// Size implements traits.Sizer.
func (o object) Size() ref.Val { return types.Int(len(o.members().names)) }

// IsZeroValue implements traits.Zeroer.
func (o object) IsZeroValue() bool { return o.document.places[o.at].next == o.at+1 }

// Equal implements ref.Val.
func (o object) Equal(other ref.Val) ref.Val {
	mapper, ok := other.(traits.Mapper)
	if !ok || mapper.Size() != o.Size() {
		return types.False
	}
	m := o.members()
	for _, name := range m.names {
		value, found := mapper.Find(types.String(name))
		if !found || types.Equal(o.document.value(m.values[name]), value) != types.True {
			return types.False
		}
	}
	return types.True
}

// Type implements ref.Val.
func (o object) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (o object) Value() any {
	value, err := o.native(reflect.TypeFor[map[string]any]())
	if err != nil {
		return err
	}
	return value
}

// ConvertToType implements ref.Val.
func (o object) ConvertToType(to ref.Type) ref.Val {
	switch to {
	case types.MapType:
		return o
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("a map cannot be converted to %s", to.TypeName())
}

// ConvertToNative implements ref.Val.
func (o object) ConvertToNative(to reflect.Type) (any, error) { return o.native(to) }
