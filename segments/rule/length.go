package rule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

const (
	day        = 24 * time.Hour
	maxLength  = 100 * 365 * day
	maxMonths  = 100 * 12
	wantLength = "a length of time such as 30m, 1h, 60d, 6w, 3mo or 1y"
	wantFixed  = "a length of time such as 30m, 1h, 60d or 6w"
)

// span is a compiled Length: fixed, or months of the calendar in the contact's zone. The zero span is none.
type span struct {
	fixed  time.Duration
	months int
}

func (s span) given() bool { return s.fixed > 0 || s.months > 0 }

// after is the instant a span later. Months are added to the date, the time of the day stays: a day that the month
// does not have is its last (31 January + 1mo = 28 or 29 February), a time that does not exist is the first instant
// after the gap, one that comes twice is the first.
func (s span) after(f crm.Instant, loc *time.Location) crm.Instant {
	if s.months == 0 {
		return f.Add(s.fixed)
	}
	t := time.UnixMilli(int64(f)).In(loc)
	y, m, d := t.Date()
	y, m = y+(int(m)-1+s.months)/12, time.Month((int(m)-1+s.months)%12+1)
	h, mi, sec := t.Clock()
	return wall(y, m, min(d, daysIn(y, m)), h, mi, sec, t.Nanosecond(), loc)
}

// notAfter tells that s is never longer than o, whatever the months are. False where it depends on them.
func (s span) notAfter(o span) bool {
	if s.months == 0 && o.months == 0 {
		return s.fixed <= o.fixed
	}
	if s.months > 0 && o.months > 0 {
		return s.months <= o.months
	}
	_, most := s.extent()
	least, _ := o.extent()
	return most <= least
}

// extent bounds how long a span can be: months have 28 to 31 days, and clocks of a zone may be put by up to a day.
func (s span) extent() (least, most time.Duration) {
	if s.months == 0 {
		return s.fixed, s.fixed
	}
	years, rest := s.months/12, s.months%12
	short := [12]int{0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334}
	long := [12]int{0, 31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337}
	return time.Duration(365*years+short[rest]-1) * day, time.Duration(366*years+long[rest]+1) * day
}

// String writes a span as people do: 60d, 1h30m, 3mo, 1y6mo.
func (s span) String() string {
	if s.months == 0 {
		return words(s.fixed)
	}
	var out strings.Builder
	if s.months >= 12 {
		fmt.Fprintf(&out, "%dy", s.months/12)
	}
	if s.months%12 > 0 {
		fmt.Fprintf(&out, "%dmo", s.months%12)
	}
	return out.String()
}

// span reads a length, fixed or of the calendar; the zero span when it is not given or wrong.
func (c *compiler) span(path string, l Length) span {
	if l == "" {
		return span{}
	}
	s, ok := parseLength(string(l))
	switch {
	case !ok:
		c.fail(path, fmt.Sprintf("%q is no length of time", string(l)), wantLength)
	case s.fixed > 0 && s.months > 0:
		c.fail(path, fmt.Sprintf("%s mixes months or years with fixed lengths", l), "one kind: 90d is 90 times 24 hours, 3mo goes by the calendar")
	case !s.given():
		c.fail(path, "a length of nothing", wantLength)
	case s.fixed > maxLength || s.months > maxMonths:
		c.fail(path, fmt.Sprintf("%s is longer than a hundred years", l), wantLength)
	default:
		return s
	}
	return span{}
}

// length reads a fixed span; 0 when it is not given. A day is 24 hours: J+60 is an instant, whatever the clocks of the
// contact's country did in between.
func (c *compiler) length(path string, l Length) time.Duration {
	s := c.span(path, l)
	if s.months > 0 {
		c.fail(path, fmt.Sprintf("%s is not always as long", l), wantFixed)
		return 0
	}
	return s.fixed
}

func parseLength(text string) (span, bool) {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day}
	months := map[string]int{"mo": 1, "y": 12}
	digit := func(r rune) bool { return r >= '0' && r <= '9' }
	letter := func(r rune) bool { return !digit(r) }
	var sum span
	for text != "" {
		i := strings.IndexFunc(text, letter)
		if i <= 0 {
			return span{}, false
		}
		n, err := strconv.ParseInt(text[:i], 10, 64)
		name := text[i:]
		if end := strings.IndexFunc(name, digit); end >= 0 {
			name = name[:end]
		}
		unit, fixed := units[name]
		month, civil := months[name]
		switch {
		case err != nil || !fixed && !civil:
			return span{}, false
		case fixed && n > int64(2*maxLength/unit):
			return span{fixed: 2 * maxLength}, true
		case civil && n > 2*maxMonths:
			return span{months: 2 * maxMonths}, true
		case fixed:
			sum.fixed = min(sum.fixed+time.Duration(n)*unit, 2*maxLength)
		default:
			sum.months = min(sum.months+int(n)*month, 2*maxMonths)
		}
		text = text[i+len(name):]
	}
	return sum, true
}

// words writes a fixed span as people do: 60d, 1h30m.
func words(d time.Duration) string {
	var out strings.Builder
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := int64(d / u.size); n > 0 {
			fmt.Fprintf(&out, "%d%s", n, u.name)
			d %= u.size
		}
	}
	return out.String()
}
