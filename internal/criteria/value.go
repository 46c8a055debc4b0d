package criteria

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hookstorm/hookstorm/internal/expression"
)

// value is one value of a payload, or none, with what it means in Python.
type value struct{ expression.Value }

// parse returns the value that a JSON text is.
func parse(text string) (value, error) {
	parsed, err := expression.ParseValue(text)
	return value{parsed}, err
}

// kind is the type of a value.
type kind int

const (
	kindNothing kind = iota // missing, or null: StackStorm cannot tell one from the other
	kindString
	kindNumber
	kindBoolean
	kindList
	kindObject
)

// String names a kind for messages.
func (k kind) String() string {
	return [...]string{"missing or null", "a string", "a number", "a boolean", "a list", "an object"}[k]
}

// kind returns the type, which the first byte of a JSON text tells.
func (v value) kind() kind {
	text := v.JSON()
	if text == "" {
		return kindNothing
	}
	switch text[0] {
	case 'n':
		return kindNothing
	case '"':
		return kindString
	case 't', 'f':
		return kindBoolean
	case '[':
		return kindList
	case '{':
		return kindObject
	default:
		return kindNumber
	}
}

// kindOf returns the type of a decoded value.
func kindOf(decoded any) kind {
	switch decoded.(type) {
	case nil:
		return kindNothing
	case string:
		return kindString
	case bool:
		return kindBoolean
	case []any:
		return kindList
	case map[string]any:
		return kindObject
	default:
		return kindNumber
	}
}

// quote returns the value that is this string.
func quote(text string) (value, error) {
	quoted, err := json.Marshal(text)
	if err != nil {
		return value{}, fmt.Errorf("encoding a string: %w", err)
	}
	return parse(string(quoted))
}

// decode returns the decoded value; numbers stay exact as json.Number.
func (v value) decode() (any, error) {
	switch v.kind() {
	case kindNothing:
		return nil, nil
	case kindString:
		text, _ := v.Text()
		return text, nil
	case kindNumber:
		return json.Number(v.JSON()), nil
	case kindBoolean:
		return v.JSON() == "true", nil
	default:
		return decode(v.JSON())
	}
}

// decode decodes a JSON text.
func decode(text string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var decoded any
	if err := decoder.Decode(&decoded); err != nil {
		return nil, fmt.Errorf("decoding JSON: %w", err)
	}
	return decoded, nil
}

// truthy reports whether Python counts the value as true.
func (v value) truthy() bool {
	text := v.JSON()
	switch v.kind() {
	case kindNothing:
		return false
	case kindString:
		return len(text) > len(`""`)
	case kindBoolean:
		return text == "true"
	case kindNumber:
		n, err := parseNumber(text)
		return err != nil || !n.isZero()
	default:
		return strings.Trim(text[1:], jsonBlanks+"}]") != ""
	}
}

// jsonBlanks are what JSON allows around values.
const jsonBlanks = " \t\r\n"

// element returns the element of a list, or the character of a string, at an index, which counts from the end where it is
// negative. As in StackStorm, an index that is too large finds nothing; a negative one is an error then.
func (v value) element(index int) (value, error) {
	if !v.truthy() {
		return value{}, nil
	}
	switch v.kind() {
	case kindList:
		return v.listElement(index)
	case kindString:
		text, _ := v.Text()
		characters := []rune(text)
		place, err := place(index, len(characters))
		if err != nil || place < 0 {
			return value{}, err
		}
		return quote(string(characters[place]))
	case kindObject:
		length := 0
		for range v.Members() {
			length++
		}
		if index >= 0 && index >= length {
			return value{}, nil
		}
	}
	return value{}, fmt.Errorf("the key takes index %d of %s", index, v.kind())
}

func (v value) listElement(index int) (value, error) {
	length := 0
	for range v.Elements() {
		length++
	}
	at, err := place(index, length)
	if err != nil || at < 0 {
		return value{}, err
	}
	for element := range v.Elements() {
		if at == 0 {
			return value{element}, nil
		}
		at--
	}
	return value{}, nil // not reached: the length was counted
}

// place returns where an index points to in a list of some length, or -1 where the list is too short.
func place(index, length int) (int, error) {
	switch {
	case index >= length:
		return -1, nil
	case index >= 0:
		return index, nil
	case index+length >= 0:
		return index + length, nil
	default:
		return -1, fmt.Errorf("the key takes index %d of only %d", index, length)
	}
}
