package crm

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// maxSpan bounds a span: a century is surely a slip of the keyboard.
const maxSpan = 100 * 365 * 24 * time.Hour

// ParseSpan reads a length of time as people write it in the files: "90s", "30m", "1h", "60d", "6w", also "1d12h".
// A day is 24 hours and a week 7 days: who counts calendar days in a zone does so with the day count.
func ParseSpan(raw string) (time.Duration, error) {
	if raw == "" {
		return 0, errors.New("it is empty")
	}
	var sum time.Duration
	for rest := raw; rest != ""; {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits == len(rest) {
			return 0, fmt.Errorf("%q is not a length of time", raw)
		}
		unit, ok := spanUnit(rest[digits])
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if !ok || err != nil {
			return 0, fmt.Errorf("%q is not a length of time", raw)
		}
		if n > int64((maxSpan-sum)/unit) {
			return 0, fmt.Errorf("%q is longer than a century", raw)
		}
		sum += time.Duration(n) * unit
		rest = rest[digits+1:]
	}
	return sum, nil
}

func spanUnit(c byte) (time.Duration, bool) {
	switch c {
	case 's':
		return time.Second, true
	case 'm':
		return time.Minute, true
	case 'h':
		return time.Hour, true
	case 'd':
		return 24 * time.Hour, true
	case 'w':
		return 7 * 24 * time.Hour, true
	}
	return 0, false
}
