package criteria

// source is what keys look into: a payload, and the name under which they find it.
type source struct {
	name string
	text value
}

// The names of sources.
const (
	sourceTrigger = "trigger"
	sourceItem    = "item"
)

// find returns the first value that the path means. Like StackStorm, it finds nothing where there is no such value, and
// fails where Python would raise, as for an index of a number.
func (p path) find(in source) (value, error) {
	if p.query != nil {
		return p.first(in)
	}
	if p.root != in.name {
		return "", nil
	}
	found := in.text
	for _, s := range p.steps {
		if !s.indexed {
			found = found.member(s.name)
			continue
		}
		var err error
		if found, err = found.element(s.index); err != nil {
			return "", err
		}
	}
	return found, nil
}

// first returns the first value that the path's query finds. All are looked for, because all may fail.
func (p path) first(in source) (value, error) {
	left := budget(maxWork)
	text := in.text
	if text == "" {
		text = "null"
	}
	found, err := p.query.find(&node{value: `{"` + value(in.name) + `":` + text + `}`}, &left)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].value, nil
}
