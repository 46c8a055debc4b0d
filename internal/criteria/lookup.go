package criteria

// source is what keys look into: a payload, and the name under which they find it.
type source struct {
	name  string
	value value
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
		return value{}, nil
	}
	found := in.value
	for _, s := range p.steps {
		if !s.indexed {
			found = value{found.Member(s.name)}
			continue
		}
		var err error
		if found, err = found.element(s.index); err != nil {
			return value{}, err
		}
	}
	return found, nil
}

// first returns the first value that the path's query finds. All are looked for, because all may fail.
func (p path) first(in source) (value, error) {
	left := budget(maxWork)
	whole, err := parse(`{"` + in.name + `":` + in.value.JSON() + `}`)
	if err != nil {
		return value{}, err
	}
	found, err := p.query.find(&node{value: whole}, &left)
	if err != nil || len(found) == 0 {
		return value{}, err
	}
	return found[0].value, nil
}
