package rule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// compiler turns what was written into conditions and collects every mistake on the way.
type compiler struct{ problems []fault.Problem }

func (c *compiler) fail(path, message, want string) {
	c.problems = append(c.problems, fault.Problem{Path: path, Message: message, Want: want})
}

const (
	day        = 24 * time.Hour
	maxLength  = 100 * 365 * day
	wantLength = "a length of time such as 30m, 1h, 60d or 6w"
)

// length reads a span; 0 when it is not given. A day is 24 hours: J+60 is an instant, whatever the clocks of the
// contact's country did in between.
func (c *compiler) length(path string, l Length) time.Duration {
	if l == "" {
		return 0
	}
	d, ok := parseLength(string(l))
	switch {
	case !ok:
		c.fail(path, fmt.Sprintf("%q is no length of time", string(l)), wantLength)
	case d <= 0:
		c.fail(path, "a length of nothing", wantLength)
	case d > maxLength:
		c.fail(path, fmt.Sprintf("%s is longer than a hundred years", l), wantLength)
	default:
		return d
	}
	return 0
}

func parseLength(text string) (time.Duration, bool) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day}
	var sum time.Duration
	for text != "" {
		i := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 {
			return 0, false
		}
		n, err := strconv.ParseInt(text[:i], 10, 64)
		unit, ok := units[text[i]]
		if err != nil || !ok || n > int64(2*maxLength/unit) {
			return 0, false
		}
		sum += time.Duration(n) * unit
		if sum > 2*maxLength {
			return 0, false
		}
		text = text[i+1:]
	}
	return sum, true
}

// words writes a span as people do: 60d, 1h30m.
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

// bound is a parsed Bound; currency is "" for a count.
type bound struct {
	given    bool
	n        int64
	currency string
}

func (b bound) String() string {
	if b.currency == "" {
		return strconv.FormatInt(b.n, 10)
	}
	return crm.Money{Minor: b.n, Currency: b.currency}.Decimal() + " " + b.currency
}

func (c *compiler) bound(path string, raw Bound) bound {
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return bound{}
	}
	const want = `a whole number of 0 or more, or an amount with its currency such as "100 EUR"`
	number, code, isAmount := strings.Cut(text, " ")
	b := bound{given: true}
	var err error
	if isAmount {
		b.currency = strings.TrimSpace(code)
		if len(b.currency) != 3 || strings.ToUpper(b.currency) != b.currency {
			c.fail(path, fmt.Sprintf("%q has no currency", text), want)
			return b
		}
		b.n, err = crm.ParseMinor(number, b.currency)
	} else {
		b.n, err = strconv.ParseInt(number, 10, 64)
	}
	switch {
	case err != nil:
		c.fail(path, fmt.Sprintf("%q is neither a whole number nor an amount", text), want)
	case b.n < 0:
		c.fail(path, fmt.Sprintf("%q is negative", text), want)
	}
	return b
}

// civil is a calendar day without a zone.
type civil struct {
	y int
	m time.Month
	d int
}

func (c *compiler) civil(path, text string) (civil, bool) {
	if text == "" {
		return civil{}, false
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		c.fail(path, fmt.Sprintf("%q is no day of the calendar", text), "a day such as 2026-11-27")
		return civil{}, false
	}
	y, m, d := t.Date()
	return civil{y, m, d}, true
}

// start is the first instant of the day in a zone. Where clocks go forward at midnight the day begins at the
// change; where midnight comes twice, with the first.
func (d civil) start(loc *time.Location) crm.Instant {
	t := time.Date(d.y, d.m, d.d, 0, 0, 0, 0, loc)
	if t.Day() != d.d || t.Hour() != 0 {
		t, _ = time.Date(d.y, d.m, d.d, 12, 0, 0, 0, loc).ZoneBounds()
		return crm.At(t)
	}
	if earlier := t.Add(-time.Hour); earlier.Day() == d.d {
		t = earlier
	}
	return crm.At(t)
}

func (d civil) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.y, d.m, d.d) }
