package criteria

import (
	"errors"
	"slices"
	"time"
)

// time puts together what was read.
func (p *timeParser) time(now time.Time) (time.Time, error) {
	if p.clock == nil && len(p.date) == 0 {
		return time.Time{}, errors.New("it has neither a date nor a clock")
	}
	if p.clock == nil {
		p.clock = make([]int, 4)
	}
	year, month, day, err := p.calendar(now)
	if err != nil {
		return time.Time{}, err
	}
	at := time.Date(year, time.Month(month), day, p.clock[0], p.clock[1], p.clock[2], p.clock[3]*1000, time.UTC)
	if year < 1 || at.Year() != year || int(at.Month()) != month || at.Day() != day ||
		at.Hour() != p.clock[0] || at.Minute() != p.clock[1] || at.Second() != p.clock[2] {
		return time.Time{}, errors.New("there is no such day or hour")
	}
	return at.Add(-time.Duration(p.offset) * time.Second), nil
}

// calendar returns the date that the parts mean. What is missing is today's.
func (p *timeParser) calendar(now time.Time) (year, month, day int, err error) {
	order, err := dateOrder(p.date)
	if err != nil {
		return 0, 0, 0, err
	}
	year, month, day = now.Year(), int(now.Month()), now.Day()
	hasDay := false
	for i, part := range p.date {
		switch order[i] {
		case 'y':
			year = fullYear(part, now.Year())
		case 'm':
			month = part.number
		case 'd':
			day, hasDay = part.number, true
		}
	}
	if p.weekday && !hasDay {
		return 0, 0, 0, errors.New("a day of the week without a date")
	}
	if !hasDay {
		// As in dateutil, today's day is cut to the length of the month.
		last := time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
		day = min(day, last)
	}
	return year, month, day, nil
}

// fullYear completes a year of two digits to the one that is next to now.
func fullYear(part datePart, now int) int {
	if part.year || part.number >= 100 {
		return part.number
	}
	year := now/100*100 + part.number
	switch {
	case year >= now+50:
		return year - 100
	case year < now-50:
		return year + 100
	default:
		return year
	}
}

// dateOrder returns which part of a date is the year, the month and the day: dateutil's rules, which put the month first.
func dateOrder(parts []datePart) (string, error) {
	if slices.ContainsFunc(parts, func(p datePart) bool { return p.month }) {
		return namedOrder(parts)
	}
	isYear := func(i int) bool { return parts[i].year || parts[i].number > 31 }
	switch len(parts) {
	case 0:
		return "", nil
	case 1:
		if isYear(0) {
			return "y", nil
		}
		return "d", nil
	case 2:
		switch {
		case isYear(0):
			return "ym", nil
		case isYear(1):
			return "my", nil
		}
		return "md", nil
	}
	switch {
	case len(parts) > 3:
		return "", errors.New("too many numbers")
	case isYear(0):
		return "ymd", nil
	case parts[0].number > 12:
		return "dmy", nil
	}
	return "mdy", nil
}

// namedOrder is dateOrder for a date whose month has a name.
func namedOrder(parts []datePart) (string, error) {
	place := slices.IndexFunc(parts, func(p datePart) bool { return p.month })
	isYear := func(i int) bool { return parts[i].year || parts[i].number > 31 }
	switch len(parts) {
	case 1:
		return "m", nil
	case 2:
		other := "d"
		if isYear(1 - place) {
			other = "y"
		}
		return [...]string{"m" + other, other + "m"}[place], nil
	case 3:
		switch {
		case place == 0 && isYear(1):
			return "myd", nil
		case place == 0:
			return "mdy", nil
		case place == 1 && isYear(0):
			return "ymd", nil
		case place == 1:
			return "dmy", nil
		}
	}
	return "", errTime
}
