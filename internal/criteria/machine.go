package criteria

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// machine matches an expression by simulating all its states at once, as package regexp does, in time linear in the text.
// It exists for two assertions of Python's that package regexp lacks: $ also holds before a newline that ends the text, and
// word boundaries are those of Unicode. A translation writes the first as an empty group.
type machine struct {
	program *syntax.Prog
	ascii   bool // whether word boundaries are ASCII's after all
}

// states is a set of states of a machine, with those that read a character in order.
type states struct {
	seen    []uint32 // the generation in which a state was added
	reading []uint32
	now     uint32 // the generation; a new one empties the set
}

func newStates(count int) *states { return &states{seen: make([]uint32, count)} }

func (s *states) clear() {
	s.now++
	s.reading = s.reading[:0]
}

// position is a place between two characters of a text.
type position struct {
	before, after rune // endOfText where there is none
	lastLine      bool // whether this is the end, or a newline is all that follows
}

const endOfText = -1

// match reports whether the expression matches somewhere in a text.
func (m machine) match(text string) bool {
	current, next := newStates(len(m.program.Inst)), newStates(len(m.program.Inst))
	current.clear()
	before := rune(endOfText)
	for at := 0; ; {
		after, size := rune(endOfText), 0
		if at < len(text) {
			after, size = utf8.DecodeRuneInString(text[at:])
		}
		here := position{before: before, after: after, lastLine: text[at:] == "" || text[at:] == "\n"}
		next.clear()
		for _, state := range current.reading {
			if m.add(next, m.program.Inst[state].Out, here) {
				return true
			}
		}
		if m.add(next, uint32(m.program.Start), here) {
			return true
		}
		if after == endOfText {
			return false
		}
		next.reading = m.reading(next.reading, after)
		current, next = next, current
		before, at = after, at+size
	}
}

// reading keeps the states that can read a character.
func (m machine) reading(candidates []uint32, r rune) []uint32 {
	kept := candidates[:0]
	for _, state := range candidates {
		if m.program.Inst[state].MatchRune(r) {
			kept = append(kept, state)
		}
	}
	return kept
}

// add adds a state and all that can be reached from it without reading. It reports whether that is a match.
func (m machine) add(to *states, state uint32, here position) (matched bool) {
	if to.seen[state] == to.now {
		return false
	}
	to.seen[state] = to.now
	instruction := &m.program.Inst[state]
	switch instruction.Op {
	case syntax.InstMatch:
		return true
	case syntax.InstAlt, syntax.InstAltMatch:
		return m.add(to, instruction.Out, here) || m.add(to, instruction.Arg, here)
	case syntax.InstNop:
		return m.add(to, instruction.Out, here)
	case syntax.InstCapture:
		return here.lastLine && m.add(to, instruction.Out, here)
	case syntax.InstEmptyWidth:
		missing := syntax.EmptyOp(instruction.Arg) &^ m.holds(here)
		return missing == 0 && m.add(to, instruction.Out, here)
	case syntax.InstFail:
		return false
	default:
		to.reading = append(to.reading, state)
		return false
	}
}

// holds returns the assertions that hold at a position.
func (m machine) holds(p position) syntax.EmptyOp {
	holds := syntax.EmptyNoWordBoundary
	if m.isWord(p.before) != m.isWord(p.after) {
		holds = syntax.EmptyWordBoundary
	}
	if p.before == endOfText {
		holds |= syntax.EmptyBeginText | syntax.EmptyBeginLine
	}
	if p.before == '\n' {
		holds |= syntax.EmptyBeginLine
	}
	if p.after == endOfText {
		holds |= syntax.EmptyEndText | syntax.EmptyEndLine
	}
	if p.after == '\n' {
		holds |= syntax.EmptyEndLine
	}
	return holds
}

// isWord is Python's \w.
func (m machine) isWord(r rune) bool {
	return r == '_' || (unicode.IsLetter(r) || unicode.IsNumber(r)) && (!m.ascii || r < utf8.RuneSelf)
}
