package criteria

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// value is the JSON text of one value, without blanks around it; empty where there is no value. It is read where it
// stands in the payload, and decoded only by what needs it.
type value string

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
	if v == "" {
		return kindNothing
	}
	switch v[0] {
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

// text returns the string that the value is.
func (v value) text() (text string, isString bool) {
	if v.kind() != kindString {
		return "", false
	}
	if inner := string(v[1:max(1, len(v)-1)]); strings.IndexByte(inner, '\\') < 0 {
		return valid(inner), true
	}
	return valid(gjson.Parse(string(v)).Str), true
}

// valid replaces every byte that is not UTF-8, as encoding/json does when it decodes.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// quote returns the value that is this string.
func quote(text string) value {
	quoted, err := json.Marshal(text)
	if err != nil { // no string is refused
		return ""
	}
	return value(quoted)
}

// decode returns the decoded value; numbers stay exact as json.Number.
func (v value) decode() (any, error) {
	switch v.kind() {
	case kindNothing:
		return nil, nil
	case kindString:
		text, _ := v.text()
		return text, nil
	case kindNumber:
		return json.Number(v), nil
	case kindBoolean:
		return v == "true", nil
	default:
		return decode(string(v))
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
	switch v.kind() {
	case kindNothing:
		return false
	case kindString:
		return len(v) > len(`""`)
	case kindBoolean:
		return v == "true"
	case kindNumber:
		n, err := parseNumber(string(v))
		return err != nil || !n.isZero()
	default:
		return strings.Trim(string(v[1:]), jsonBlanks+"}]") != ""
	}
}

// jsonBlanks are what JSON allows around values.
const jsonBlanks = " \t\r\n"

// each calls visit with the elements of a list until it returns false.
func (v value) each(visit func(element value) bool) {
	if v.kind() != kindList {
		return
	}
	gjson.Parse(string(v)).ForEach(func(_, element gjson.Result) bool { return visit(value(element.Raw)) })
}

// eachMember calls visit with the members of an object, in their order. A name may come twice: the last counts.
func (v value) eachMember(visit func(name string, member value)) {
	if v.kind() != kindObject {
		return
	}
	gjson.Parse(string(v)).ForEach(func(name, member gjson.Result) bool {
		visit(name.Str, value(member.Raw))
		return true
	})
}

// member returns the member of an object with this name, or nothing.
func (v value) member(name string) value {
	var found value
	v.eachMember(func(written string, member value) {
		// Only a name that is not UTF-8 can be equal without having the same bytes, and it is shorter then.
		if written == name || len(written) < len(name) && valid(written) == name {
			found = member
		}
	})
	return found
}

// member is one member of an object.
type member struct {
	name  string
	value value
}

// members returns the members of an object as Python has them: in the order of their first appearance, with the value of
// the last.
func (v value) members() []member {
	var members []member
	places := map[string]int{}
	v.eachMember(func(name string, found value) {
		name = valid(name)
		if place, again := places[name]; again {
			members[place].value = found
			return
		}
		places[name] = len(members)
		members = append(members, member{name, found})
	})
	return members
}

// element returns the element of a list, or the character of a string, at an index, which counts from the end where it is
// negative. As in StackStorm, an index that is too large finds nothing; a negative one is an error then.
func (v value) element(index int) (value, error) {
	if !v.truthy() {
		return "", nil
	}
	switch v.kind() {
	case kindList:
		return v.listElement(index)
	case kindString:
		text, _ := v.text()
		characters := []rune(text)
		place, err := place(index, len(characters))
		if err != nil || place < 0 {
			return "", err
		}
		return quote(string(characters[place])), nil
	case kindObject:
		if index >= 0 && index >= len(v.members()) {
			return "", nil
		}
	}
	return "", fmt.Errorf("the key takes index %d of %s", index, v.kind())
}

func (v value) listElement(index int) (found value, err error) {
	if index < 0 {
		length := 0
		v.each(func(value) bool { length++; return true })
		if index, err = place(index, length); err != nil {
			return "", err
		}
	}
	v.each(func(element value) bool {
		if index == 0 {
			found = element
		}
		index--
		return index >= 0
	})
	return found, nil
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
