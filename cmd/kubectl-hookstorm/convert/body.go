package convert

import (
	"mime"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// contentType returns the media type that the headers name.
func contentType(headers *yaml.Node) string {
	for key, value := range members(headers) {
		if strings.EqualFold(key.Value, "Content-Type") {
			if mediaType, _, err := mime.ParseMediaType(value.Value); err == nil {
				return mediaType
			}
		}
	}
	return ""
}

// httpBody converts a body: JSON where it is JSON and no header says otherwise, else text. It is nil where there is none.
func httpBody(source *yaml.Node, mediaType string) (*yaml.Node, error) {
	body := newBlock()
	switch {
	case isNull(source):
		return nil, nil
	case source.Kind != yaml.ScalarNode:
		document, err := translate(source)
		if err != nil {
			return nil, err
		}
		body.set("json", document)
		return body.end(), nil
	}
	t, err := parseTemplate(source.Value, varTrigger)
	if err != nil {
		return nil, err
	}
	if mediaType == "" || mediaType == "application/json" || strings.HasSuffix(mediaType, "+json") {
		if document, ok := t.document(); ok {
			body.set("json", document)
			return body.end(), nil
		}
	}
	body.set("text", text(t.asText()))
	return body.end(), nil
}

// What stands for an expression while the text around it is read as JSON: its number between two characters of the
// private use area.
const (
	standInBegin = "\uE000"
	standInEnd   = "\uE001"
)

// document returns a template that renders to a JSON object or list as a tree with templates. An expression in quotes and
// one without quotes are both the value itself.
func (t template) document() (*yaml.Node, bool) {
	if expression, lone := t.lone(true); lone {
		return text("${" + expression + "}"), true
	}
	var b strings.Builder
	quoted := false
	for i, p := range t {
		switch {
		case p.expression == "":
			if strings.Contains(p.text, standInBegin) {
				return nil, false
			}
			quoted = endsQuoted(p.text, quoted)
			b.WriteString(p.text)
		case quoted:
			b.WriteString(standInBegin + strconv.Itoa(i) + standInEnd)
		default:
			b.WriteString(`"` + standInBegin + strconv.Itoa(i) + standInEnd + `"`)
		}
	}
	document, ok := readJSON(b.String())
	if !ok || document.Kind == yaml.ScalarNode {
		return nil, false
	}
	return t.fill(document)
}

// endsQuoted reports whether the end of a piece of JSON is in a string, where its beginning is or is not.
func endsQuoted(piece string, quoted bool) bool {
	for i := 0; i < len(piece); i++ {
		switch {
		case piece[i] == '"':
			quoted = !quoted
		case piece[i] == '\\' && quoted:
			i++
		}
	}
	return quoted
}

// fill puts the expressions back into a document that was read with stand-ins. The names of members can hold none.
func (t template) fill(n *yaml.Node) (*yaml.Node, bool) {
	if n.Kind == yaml.ScalarNode {
		if !isText(n) {
			return n, true
		}
		return text(t.pieces(n.Value).String()), true
	}
	filled := &yaml.Node{Kind: n.Kind}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if strings.Contains(child.Value, standInBegin) {
				return nil, false
			}
			filled.Content = append(filled.Content, child)
			continue
		}
		value, ok := t.fill(child)
		if !ok {
			return nil, false
		}
		filled.Content = append(filled.Content, value)
	}
	return filled, true
}

// pieces returns a text with stand-ins as a template.
func (t template) pieces(source string) template {
	var found template
	for {
		before, rest, more := strings.Cut(source, standInBegin)
		found = found.add(piece{text: before})
		if !more {
			return found
		}
		number, after, _ := strings.Cut(rest, standInEnd)
		// Only document writes stand-ins, and always with a number of this template.
		i, _ := strconv.Atoi(number)
		found = found.add(t[i])
		source = after
	}
}
