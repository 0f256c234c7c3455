package imported

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Orders of day and month in dates with the year last.
const (
	DayFirst   = "dmy"
	MonthFirst = "mdy"
)

// order is what the dates of a list say of their day and month. 20/11/2026 has the day first, 11/20/2026 the month;
// 03/04/2026 says nothing.
type order struct {
	said       string // by the person; "" = the dates are to say
	dayFirst   int    // line that says so, 0 = none
	monthFirst int
	open       int
}

// settle gives the order of the list's dates. A list that leaves it open is not guessed at: dates are proof.
func (o *order) settle() (string, error) {
	switch {
	case o.said != "":
		return o.said, nil
	case o.dayFirst > 0 && o.monthFirst > 0:
		return "", errors.New("its dates begin with the day on line " + strconv.Itoa(o.dayFirst) + " and with the month on line " + strconv.Itoa(o.monthFirst))
	case o.monthFirst > 0:
		return MonthFirst, nil
	case o.dayFirst == 0 && o.open > 0:
		return "", errors.New("its dates (line " + strconv.Itoa(o.open) + ") do not tell whether the day or the month comes first: say --dates dmy or --dates mdy")
	}
	return DayFirst, nil
}

// see learns from a date; ok is false when it is none in either order.
func (o *order) see(s string, line int) (ok bool) {
	_, isDay := parseDate(s, DayFirst, time.UTC)
	_, isMonth := parseDate(s, MonthFirst, time.UTC)
	first := func(at *int) {
		if *at == 0 {
			*at = line
		}
	}
	switch {
	case isDay && !isMonth:
		first(&o.dayFirst)
	case isMonth && !isDay:
		first(&o.monthFirst)
	case isDay && isMonth && isTurned(s):
		first(&o.open)
	}
	if o.said != "" {
		_, ok := parseDate(s, o.said, time.UTC)
		return ok
	}
	return isDay || isMonth
}

// isTurned tells whether a date has its year last, and differs when day and month are exchanged.
func isTurned(s string) bool {
	day, _ := parseDate(s, DayFirst, time.UTC)
	month, _ := parseDate(s, MonthFirst, time.UTC)
	return !day.Equal(month)
}

// parseDate reads a date as lists have it, local to zone unless it says its offset. The year stands first, or last after
// day and month in the given order; a time of day may follow.
func parseDate(s, order string, zone *time.Location) (time.Time, bool) {
	s = strings.Join(strings.Fields(s), " ")
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST"} {
		if t, err := time.Parse(layout, s); err == nil && (!strings.HasSuffix(layout, "MST") || strings.HasSuffix(s, "UTC") || strings.HasSuffix(s, "GMT")) {
			return t, t.Year() > 1880
		}
	}
	layouts := []string{"2006-1-2"}
	for _, sign := range []string{"/", ".", "-"} {
		if order == MonthFirst {
			layouts = append(layouts, "1"+sign+"2"+sign+"2006")
		} else {
			layouts = append(layouts, "2"+sign+"1"+sign+"2006")
		}
	}
	for _, day := range append(layouts, "2006/1/2") {
		for _, clock := range []string{"", " 15:04", " 15:04:05", "T15:04", "T15:04:05", " 3:04 PM", " 3:04:05 PM"} {
			if t, err := time.ParseInLocation(day+clock, s, zone); err == nil {
				return t, t.Year() > 1880
			}
		}
	}
	return time.Time{}, false
}

// noDate are texts by which databases say that there is none.
func noDate(s string) bool {
	return s == "" || strings.Trim(s, "0-/.: T") == "" || strings.EqualFold(s, "null")
}
