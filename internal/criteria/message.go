package criteria

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// maxShown bounds the text of a value in a message, in bytes.
const maxShown = 120

// show renders the JSON text of a value for a message: on one line, cut to maxShown. What could make the message read as something
// else, such as control characters and marks that turn the direction of writing, is escaped.
func show(text string) string {
	if text == "" {
		return "nothing"
	}
	var shown strings.Builder
	inString, escaped := false, false
	for _, r := range text {
		if !inString && strings.ContainsRune(jsonBlanks, r) {
			continue
		}
		if shown.Len() >= maxShown {
			shown.WriteString("…")
			break
		}
		if r == '"' && !escaped {
			inString = !inString
		}
		escaped = r == '\\' && !escaped
		writeVisible(&shown, r)
	}
	return shown.String()
}

// writeVisible writes a character, or its escape where it cannot be seen.
func writeVisible(to *strings.Builder, r rune) {
	switch {
	case unicode.IsPrint(r):
		to.WriteRune(r)
	case r <= 0xFFFF:
		fmt.Fprintf(to, `\u%04x`, r)
	default:
		high, low := utf16.EncodeRune(r)
		fmt.Fprintf(to, `\u%04x\u%04x`, high, low)
	}
}

// showText renders a text for a message, in quotes.
func showText(text string) string {
	if len(text) > maxShown {
		return strconv.Quote(text[:maxShown]) + "…"
	}
	return strconv.Quote(text)
}

// showKey renders a key for a message: as it was written, if that can be read.
func showKey(key string) string {
	if len(key) > maxShown || strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return showText(key)
	}
	return key
}

// showDecoded renders a decoded value for a message.
func showDecoded(decoded any) string {
	text, err := json.Marshal(decoded)
	if err != nil {
		return kindOf(decoded).String()
	}
	return show(string(text))
}
