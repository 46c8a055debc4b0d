package expression

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const (
	// maxRendered is how large what a tree or a template renders may be, in bytes of JSON: an object for the API server has
	// little more, and it is held in memory for each action.
	maxRendered = 256 << 10
	// maxString is how long a text that a template renders may be.
	maxString = 64 << 10
)

// renderer makes JSON values of CEL values, and stops where they grow too large.
type renderer struct {
	left int // bytes that may still be rendered
}

// spend takes bytes from what is left.
func (r *renderer) spend(n int) error {
	if r.left -= n; r.left < 0 {
		return fmt.Errorf("the result is larger than %d KiB", maxRendered>>10)
	}
	return nil
}

// value returns a value as decodeJSON would have decoded it. It is new, and shares nothing with the payload, which may be a
// part of something larger.
func (r *renderer) value(value ref.Val) (any, error) {
	switch v := value.(type) {
	case types.Null:
		return nil, r.spend(len("null"))
	case types.Bool:
		return bool(v), r.spend(len("false"))
	case types.String:
		return strings.Clone(string(v)), r.spend(len(v) + len(`"",`))
	case types.Bytes:
		encoded := base64.StdEncoding.EncodeToString(v)
		return encoded, r.spend(len(encoded))
	case types.Int:
		return r.number(strconv.FormatInt(int64(v), 10))
	case types.Uint:
		return r.number(strconv.FormatUint(uint64(v), 10))
	case integer:
		return r.number(strings.Clone(v.text))
	case types.Double:
		return r.double(float64(v))
	default:
		return r.composed(value)
	}
}

// composed renders what holds other values, and what CEL can convert to a string: a timestamp as RFC 3339, a duration in
// seconds.
func (r *renderer) composed(value ref.Val) (any, error) {
	switch v := value.(type) {
	case interface{ raw() string }:
		if err := r.spend(len(v.raw())); err != nil {
			return nil, err
		}
		return decodeJSON([]byte(v.raw()))
	case *types.Optional:
		if !v.HasValue() {
			return nil, errors.New("there is no value; add .orValue(…)")
		}
		return r.value(v.GetValue())
	case traits.Lister:
		return r.list(v)
	case traits.Mapper:
		return r.object(v)
	}
	text, ok := value.ConvertToType(types.StringType).(types.String)
	if !ok {
		return nil, fmt.Errorf("a %s has no JSON form; convert it to a string or a number", value.Type().TypeName())
	}
	return r.value(text)
}

func (r *renderer) number(text string) (any, error) { return json.Number(text), r.spend(len(text)) }

// double writes a double as encoding/json does.
func (r *renderer) double(number float64) (any, error) {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return nil, fmt.Errorf("%v is no JSON number", number)
	}
	text, err := json.Marshal(number)
	if err != nil {
		return nil, err
	}
	return r.number(string(text))
}

func (r *renderer) list(list traits.Lister) (any, error) {
	elements := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		element, err := r.value(it.Next())
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	return elements, r.spend(len("[]"))
}

func (r *renderer) object(mapper traits.Mapper) (any, error) {
	members := map[string]any{}
	for it := mapper.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.ConvertToType(types.StringType).(types.String)
		if !ok {
			return nil, fmt.Errorf("a %s is no name of a member; use a string", key.Type().TypeName())
		}
		member, err := r.value(mapper.Get(key))
		if err != nil {
			return nil, err
		}
		if err := r.spend(len(name) + len(`"":,`)); err != nil {
			return nil, err
		}
		members[strings.Clone(string(name))] = member
	}
	return members, r.spend(len("{}"))
}

// text returns a value as it is put into a text: a string as it is, anything else as JSON.
func (r *renderer) text(value ref.Val) (string, error) {
	rendered, err := r.value(value)
	if err != nil {
		return "", err
	}
	if text, ok := rendered.(string); ok {
		return text, nil
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(rendered); err != nil {
		return "", fmt.Errorf("writing JSON: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
