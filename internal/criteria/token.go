package criteria

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is one word of a key.
type token struct {
	kind  tokenKind
	text  string // of a name or an operator
	index int    // of a number
	rest  string // the key from here on, for messages
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenNumber
	tokenNamed // a named operator: `this` or `parent`
	tokenMark  // punctuation, and the word where
)

// where is the one reserved word of keys.
const where = "where"

// tokenize splits a key into tokens, the last of which is tokenEnd.
func tokenize(key string) ([]token, error) {
	var tokens []token
	for rest := key; ; {
		rest = strings.TrimLeft(rest, " \t\n")
		if rest == "" {
			return append(tokens, token{kind: tokenEnd}), nil
		}
		next, length, err := nextToken(rest)
		if err != nil {
			return nil, fmt.Errorf("at %s: %w", showText(rest), err)
		}
		next.rest = rest
		tokens = append(tokens, next)
		rest = rest[length:]
	}
}

// nextToken reads the token that a text begins with, and its length.
func nextToken(text string) (token, int, error) {
	switch first := text[0]; {
	case isNameStart(first):
		length := prefix(text, isNameByte)
		if text[:length] == where {
			return token{kind: tokenMark, text: where}, length, nil
		}
		return token{kind: tokenName, text: text[:length]}, length, nil
	case isDigit(first), first == '-' && len(text) > 1 && isDigit(text[1]):
		length := 1 + prefix(text[1:], isDigit)
		return token{kind: tokenNumber, index: toIndex(text[:length])}, length, nil
	case first == '\'', first == '"', first == '`':
		return quotedToken(text)
	case strings.HasPrefix(text, ".."):
		return token{kind: tokenMark, text: ".."}, len(".."), nil
	case strings.IndexByte("*.[]()$,:|", first) >= 0:
		return token{kind: tokenMark, text: text[:1]}, 1, nil
	case first == '&':
		return token{}, 0, errors.New("& (intersection) is not supported, as in StackStorm; use one path")
	default:
		r, _ := utf8.DecodeRuneInString(text)
		return token{}, 0, fmt.Errorf("%s cannot stand here; quote odd names: ['odd name']", showText(string(r)))
	}
}

// quotedToken reads a name in single or double quotes, or a named operator in back-quotes. A backslash takes the next
// character as it is.
func quotedToken(text string) (token, int, error) {
	kind := tokenName
	if text[0] == '`' {
		kind = tokenNamed
	}
	var content strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case text[0]:
			return token{kind: kind, text: valid(content.String())}, i + 1, nil
		case '\\':
			if i++; i == len(text) || text[i] == '\n' {
				return token{}, 0, errors.New("a backslash quotes the character after it")
			}
		}
		content.WriteByte(text[i])
	}
	return token{}, 0, errors.New("the closing quote is missing")
}

// valid replaces every byte that is not UTF-8, as encoding/json does when it decodes.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// maxIndex stands for every larger index: no payload has that many elements.
const maxIndex = 1 << 30

func toIndex(digits string) int {
	index, err := strconv.Atoi(digits)
	switch {
	case err == nil && index >= -maxIndex && index <= maxIndex:
		return index
	case digits[0] == '-':
		return -maxIndex
	default:
		return maxIndex
	}
}

// prefix returns the length of the prefix whose bytes all are of a kind.
func prefix(text string, is func(byte) bool) int {
	length := 0
	for length < len(text) && is(text[length]) {
		length++
	}
	return length
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isNameStart(b byte) bool {
	return b == '_' || b == '@' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func isNameByte(b byte) bool { return isNameStart(b) || isDigit(b) || b == '-' }
