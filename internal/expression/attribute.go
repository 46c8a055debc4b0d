package expression

import (
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// attributes makes the attributes of a plan: the variables, with what is selected from them. CEL makes a value of each step
// of trigger.body.action, which costs more than to find it; a selection makes one of the last only.
type attributes struct {
	interpreter.AttributeFactory
}

// AbsoluteAttribute implements interpreter.AttributeFactory.
func (a attributes) AbsoluteAttribute(id int64, names ...string) interpreter.NamespacedAttribute {
	// .name is a variable that a loop's variable of that name may hide.
	if len(names) != 1 || strings.HasPrefix(names[0], ".") {
		return a.AttributeFactory.AbsoluteAttribute(id, names...)
	}
	return &selection{NamespacedAttribute: a.AttributeFactory.AbsoluteAttribute(id, names...), variable: names[0]}
}

// NewQualifier implements interpreter.AttributeFactory.
func (a attributes) NewQualifier(of *types.Type, id int64, value any, optional bool) (interpreter.Qualifier, error) {
	q, err := a.AttributeFactory.NewQualifier(of, id, value, optional)
	if constant, ok := q.(interpreter.ConstantQualifier); ok && !optional && err == nil {
		if name, ok := constant.Value().(types.String); ok {
			return memberName{constant, string(name)}, nil
		}
	}
	return q, err
}

// memberName is the qualifier that selects the member of a name. A test for a member, has(), wraps it in another type.
type memberName struct {
	interpreter.ConstantQualifier
	name string
}

// selection is an attribute that is a variable with the names of members.
type selection struct {
	interpreter.NamespacedAttribute
	variable string
	names    []string
	other    bool // there are qualifiers of other kinds too
}

// AddQualifier implements interpreter.Attribute.
func (s *selection) AddQualifier(q interpreter.Qualifier) (interpreter.Attribute, error) {
	if member, ok := q.(memberName); ok {
		s.names = append(s.names, member.name)
	} else {
		s.other = true
	}
	_, err := s.NamespacedAttribute.AddQualifier(q)
	return s, err
}

// Resolve implements interpreter.Attribute. What is not found in a document is left to CEL, which knows the error.
func (s *selection) Resolve(variables interpreter.Activation) (any, error) {
	if !s.other && len(s.names) > 0 {
		variable, _ := variables.ResolveName(s.variable)
		if o, ok := variable.(object); ok {
			if found := Value(o).follow(s.names); found.Exists() {
				return found.cel(), nil
			}
		}
	}
	return s.NamespacedAttribute.Resolve(variables)
}
