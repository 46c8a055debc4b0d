package criteria

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// equal is Python's == for decoded values: numbers by value, true as 1, false as 0, lists and objects member by member.
func equal(a, b any) bool {
	switch left := a.(type) {
	case nil:
		return b == nil
	case string:
		right, ok := b.(string)
		return ok && left == right
	case []any:
		right, ok := b.([]any)
		return ok && slices.EqualFunc(left, right, equal)
	case map[string]any:
		right, ok := b.(map[string]any)
		return ok && maps.EqualFunc(left, right, equal)
	}
	left, err := toNumber(a)
	if err != nil {
		return false
	}
	right, err := toNumber(b)
	return err == nil && left.compare(right) == 0
}

// compare returns -1, 0 or 1 as Python orders decoded values: numbers and booleans, strings by their characters, lists by
// their first elements that differ. Other pairs have no order.
func compare(a, b any) (int, error) {
	switch left := a.(type) {
	case string:
		if right, ok := b.(string); ok {
			return strings.Compare(left, right), nil
		}
	case []any:
		if right, ok := b.([]any); ok {
			return compareLists(left, right)
		}
	default:
		number, err := toNumber(a)
		other, otherErr := toNumber(b)
		if err == nil && otherErr == nil {
			return number.compare(other), nil
		}
	}
	return 0, fmt.Errorf("%s and %s have no order", kindOf(a), kindOf(b))
}

func compareLists(a, b []any) (int, error) {
	for i := range min(len(a), len(b)) {
		if !equal(a[i], b[i]) {
			return compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b)), nil
}
