package criteria

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxTime bounds the text of a time, in bytes.
const maxTime = 100

// timeWords splits the text of a time into numbers, words, blanks and marks.
var timeWords = regexp.MustCompile(`[0-9]+|[A-Za-z]+|\s+|.`)

// timeParser reads times as dateutil does, which StackStorm uses: the parts of a date and of a clock stand in nearly any
// order. What it cannot read exactly as dateutil does, it refuses.
type timeParser struct {
	words []string
	next  int

	date    []datePart
	clock   []int // hour, minute, second, microsecond
	half    bool  // whether am or pm was read
	weekday bool
	zone    string
	offset  int // in seconds
	located bool
}

// datePart is a year, a month or a day; which one it is, its size and place tell.
type datePart struct {
	number int
	month  bool // it was written as a name
	year   bool // it has more digits than a day or a month
}

var errTime = errors.New("unknown form")

// parseTime parses the text of a time. A time without a zone is UTC; what is missing of a date is today's.
func parseTime(text string, now time.Time) (time.Time, error) {
	if len(text) > maxTime {
		return time.Time{}, fmt.Errorf("it has more than %d bytes", maxTime)
	}
	p := timeParser{words: timeWords.FindAllString(text, -1)}
	for p.next < len(p.words) {
		start := p.next
		if err := p.word(); err != nil {
			return time.Time{}, fmt.Errorf("at %s: %w", showText(strings.Join(p.words[start:], "")), err)
		}
	}
	return p.time(now.UTC())
}

// peek returns the next word, or one that so many words are between, or nothing.
func (p *timeParser) peek(ahead int) string {
	if place := p.next + ahead; place >= 0 && place < len(p.words) {
		return p.words[place]
	}
	return ""
}

// word reads the next word, with those that belong to it.
func (p *timeParser) word() error {
	word := p.peek(0)
	switch first := word[0]; {
	case isDigit(first):
		return p.number(word)
	case first == '+' || first == '-':
		return p.sign(first)
	case first == '(' && p.located && p.peek(2) == ")":
		p.next += 3 // the name of a zone whose offset was read
		return nil
	case strings.Trim(word, " \t\n\r\v\f") == "", strings.Contains(".,;/'", word):
		p.next++
		return nil
	case isNameStart(first):
		return p.name(word)
	default:
		return errTime
	}
}

// number reads a clock, or parts of a date.
func (p *timeParser) number(word string) error {
	mark := p.peek(1)
	switch {
	case mark == ":":
		return p.readClock()
	case isHalf(p.afterBlank()):
		return p.setClock(word)
	case mark != "" && strings.Contains("-/.", mark) && len(word) <= 4:
		return p.separated(mark)
	default:
		return p.digits(word)
	}
}

// digits reads a number without marks around: how long it is and what was read before tell what it is.
func (p *timeParser) digits(word string) error {
	switch length := len(word); {
	case length == 8, length == 12, length == 14:
		return errors.Join(p.add(word[:4], word[4:6], word[6:8]), p.compactClock(word[8:]))
	case length == 6 && len(p.date) == 0 && p.peek(1) != ".":
		p.next++
		return p.add(word[:2], word[2:4], word[4:])
	case len(p.date) == 3 && p.clock == nil && length <= 6 && length%2 == 0:
		return p.compactClock(word)
	case length <= 4 && len(p.date) < 3:
		p.next++
		return p.add(word)
	default:
		return errTime
	}
}

// afterBlank returns the word after the next one and a blank.
func (p *timeParser) afterBlank() string {
	if strings.TrimSpace(p.peek(1)) == "" {
		return p.peek(2)
	}
	return p.peek(1)
}

// add adds parts of a date that were written as numbers.
func (p *timeParser) add(words ...string) error {
	for _, word := range words {
		number, err := strconv.Atoi(word)
		if year := len(word) > 2; err != nil || year && number < 100 {
			return errTime
		}
		p.date = append(p.date, datePart{number: number, year: len(word) > 2})
	}
	return nil
}

// separated reads a date whose parts stand between the same marks. Two numbers with a dot are a fraction, and no date.
func (p *timeParser) separated(mark string) error {
	if err := p.add(p.peek(0)); err != nil {
		return err
	}
	p.next++
	marks := 0
	for ; marks < 2 && p.peek(0) == mark && p.peek(1) != ""; marks++ {
		word := p.peek(1)
		month, named := monthOf(word)
		switch {
		case named:
			p.date = append(p.date, datePart{number: month, month: true})
		case !isDigit(word[0]), len(word) > 4, p.add(word) != nil:
			return errTime
		}
		p.next += 2
	}
	if mark == "." && marks < 2 {
		return errTime
	}
	return nil
}

// readClock reads a clock with colons.
func (p *timeParser) readClock() error {
	digits := []string{p.peek(0)}
	p.next++
	for len(digits) < 3 && p.peek(0) == ":" {
		digits = append(digits, p.peek(1))
		p.next += 2
	}
	if mark := p.peek(0); len(digits) == 3 && (mark == "." || mark == ",") && p.peek(1) != "" && isDigit(p.peek(1)[0]) {
		digits = append(digits, p.peek(1))
		p.next += 2
	}
	if p.peek(0) == "." {
		return errTime // a fraction of minutes, or a second one
	}
	p.next--
	return p.setClock(digits...)
}

// compactClock reads a clock without colons: hours, or hours and minutes, or those and seconds with a fraction.
func (p *timeParser) compactClock(digits string) error {
	var parts []string
	for ; digits != ""; digits = digits[2:] {
		parts = append(parts, digits[:2])
	}
	if len(parts) == 3 && p.peek(1) == "." && p.peek(2) != "" && isDigit(p.peek(2)[0]) {
		parts = append(parts, p.peek(2))
		p.next += 2
	}
	return p.setClock(parts...)
}

// setClock sets the clock to hours, minutes, seconds and a fraction, whose digits are given, and takes the next word.
func (p *timeParser) setClock(digits ...string) error {
	p.next++
	if len(digits) == 0 {
		return nil
	}
	if p.clock != nil {
		return errors.New("a second clock")
	}
	p.clock = make([]int, 4)
	for i, word := range digits {
		if i == 3 {
			word = (word + "000000")[:6]
		} else if len(word) > 2 {
			return errTime
		}
		number, err := strconv.Atoi(word)
		if err != nil {
			return errTime
		}
		p.clock[i] = number
	}
	return nil
}

// sign reads the offset of a zone, or before a clock skips a dash.
func (p *timeParser) sign(sign byte) error {
	if p.clock == nil && sign == '-' {
		p.next++
		return nil
	}
	named := p.zone != ""
	_, isMonth := monthOf(p.peek(-1))
	if p.clock == nil || p.located || isMonth || named && p.peek(-1) != p.zone {
		return errTime
	}
	var err error
	if p.offset, err = p.readOffset(); err != nil {
		return err
	}
	p.located = true
	// GMT+3 means that the time and 3 hours are GMT.
	if (sign == '-') != named {
		p.offset = -p.offset
	}
	return nil
}

// readOffset reads a sign and hours, with or without minutes, and returns the seconds.
func (p *timeParser) readOffset() (int, error) {
	digits := p.peek(1)
	p.next += 2
	if len(digits) <= 2 {
		minutes := "00"
		if p.peek(0) == ":" && len(p.peek(1)) == 2 {
			minutes = p.peek(1)
			p.next += 2
		}
		digits += minutes
	}
	number, err := strconv.Atoi(digits)
	if err != nil || len(digits) < 3 || len(digits) > 4 || number >= 2400 {
		return 0, errTime
	}
	return number/100*3600 + number%100*60, nil
}

// fillers are the words without a meaning.
var fillers = []string{"at", "on", "and", "ad", "m", "t", "of", "st", "nd", "rd", "th"}

func isHalf(word string) bool { return strings.EqualFold(word, "am") || strings.EqualFold(word, "pm") }

// name reads a word of letters.
func (p *timeParser) name(word string) error {
	p.next++
	lower := strings.ToLower(word)
	month, isMonth := monthOf(word)
	switch {
	case isMonth && !slices.ContainsFunc(p.date, func(part datePart) bool { return part.month }):
		p.date = append(p.date, datePart{number: month, month: true})
	case isWeekday(lower):
		p.weekday = true
	case isHalf(word):
		return p.setHalf(lower)
	case p.clock == nil && slices.Contains(fillers, lower), slices.Contains(fillers, word):
	case p.clock != nil && !p.located && p.zone == "" && isZone(word):
		p.zone = word // a name without an offset counts as UTC
	default:
		p.next--
		return errTime
	}
	return nil
}

// isZone reports whether a word may name a zone.
func isZone(word string) bool {
	return len(word) <= 5 && word != "T" && word == strings.ToUpper(word) || word == "z"
}

func (p *timeParser) setHalf(half string) error {
	if p.clock == nil || p.half || p.clock[0] < 1 || p.clock[0] > 12 {
		return errors.New("am and pm follow an hour of 1 to 12")
	}
	p.half = true
	p.clock[0] %= 12
	if half == "pm" {
		p.clock[0] += 12
	}
	return nil
}

// monthOf returns the month with a name, which may be cut to three letters.
func monthOf(word string) (int, bool) {
	for month := time.January; month <= time.December; month++ {
		if isName(word, month.String()) {
			return int(month), true
		}
	}
	return int(time.September), strings.EqualFold(word, "sept")
}

func isWeekday(word string) bool {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if isName(word, day.String()) {
			return true
		}
	}
	return false
}

// isName reports whether a word is a name, or its first three letters.
func isName(word, name string) bool {
	return strings.EqualFold(word, name) || strings.EqualFold(word, name[:3])
}
