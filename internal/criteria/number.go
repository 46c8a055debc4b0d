package criteria

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// number is a number as Python has it: an integer of any size, which is exact, or else a float.
type number struct {
	small int64    // an integer that fits
	large *big.Int // an integer that does not
	float float64  // what is no integer
	kind  numberKind
}

type numberKind int

const (
	smallInteger numberKind = iota
	largeInteger
	float
)

// errNotNumber is what toNumber returns for what Python does not count as one.
var errNotNumber = errors.New("not a number")

// maxDigits bounds the work that one integer of a payload can cause. A longer one counts as a float, which is infinite
// from 309 digits on.
const maxDigits = 400

// toNumber returns the number that a decoded value is: true is 1, and false is 0.
func toNumber(decoded any) (number, error) {
	switch d := decoded.(type) {
	case bool:
		if d {
			return number{small: 1}, nil
		}
		return number{}, nil
	case json.Number:
		return parseNumber(string(d))
	default:
		return number{}, errNotNumber
	}
}

// parseNumber parses a number of a JSON text.
func parseNumber(text string) (number, error) {
	if len(text) <= maxDigits && !strings.ContainsAny(text, ".eEx_pPnN") {
		if small, err := strconv.ParseInt(text, 10, 64); err == nil {
			return number{small: small}, nil
		}
		if large, ok := new(big.Int).SetString(text, 10); ok {
			return number{large: large, kind: largeInteger}, nil
		}
		return number{}, errNotNumber
	}
	parsed, err := parseFloat(text)
	if err != nil {
		return number{}, err
	}
	return number{float: parsed, kind: float}, nil
}

// parseFloat parses a float. As in Python, one that is too large is infinite.
func parseFloat(text string) (float64, error) {
	parsed, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(parsed) {
		return 0, errNotNumber
	}
	return parsed, nil
}

func (n number) isZero() bool { return n.kind != largeInteger && n.small == 0 && n.float == 0 }

// compare returns -1, 0 or 1 as cmp.Compare does. An integer and a float are compared exactly, as in Python.
func (n number) compare(other number) int {
	switch {
	case n.kind == smallInteger && other.kind == smallInteger:
		return cmp.Compare(n.small, other.small)
	case n.kind == float && other.kind == float:
		return cmp.Compare(n.float, other.float)
	default:
		return n.exact().Cmp(other.exact())
	}
}

// exact returns the number without rounding.
func (n number) exact() *big.Float {
	switch n.kind {
	case smallInteger:
		return new(big.Float).SetInt64(n.small)
	case largeInteger:
		return new(big.Float).SetInt(n.large)
	default:
		return big.NewFloat(n.float)
	}
}
