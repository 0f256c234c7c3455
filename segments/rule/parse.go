package rule

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/currency"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// compiler turns what was written into conditions and collects every mistake on the way.
type compiler struct {
	problems []fault.Problem
	zone     *zones

	link   *linker             // where other segments are found; nil: there are none
	below  map[string]*Segment // those referred to
	broken bool                // one of them has mistakes of its own
	cut    []Cut
}

// zones is shared by all conditions of the definition.
func (c *compiler) zones() *zones {
	if c.zone == nil {
		c.zone = &zones{}
	}
	return c.zone
}

func (c *compiler) fail(path, message, want string) {
	c.problems = append(c.problems, fault.Problem{Path: path, Message: message, Want: want})
}

// bound is a parsed Bound; currency is "" for a count.
type bound struct {
	given    bool
	bad      bool // a problem was noted
	n        int64
	currency string
}

func (b bound) String() string {
	if b.currency == "" {
		return strconv.FormatInt(b.n, 10)
	}
	return crm.Money{Minor: b.n, Currency: b.currency}.Decimal() + " " + b.currency
}

func (c *compiler) bound(path string, raw Bound) (b bound) {
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return bound{}
	}
	const want = `a whole number of 0 or more, or an amount with its currency such as "100 EUR"`
	number, code, isAmount := strings.Cut(text, " ")
	b = bound{given: true}
	problems := len(c.problems)
	defer func() { b.bad = len(c.problems) > problems }()
	var err error
	if isAmount {
		b.currency = strings.TrimSpace(code)
		if len(b.currency) != 3 || strings.ToUpper(b.currency) != b.currency {
			c.fail(path, fmt.Sprintf("%q has no currency", text), want)
			return b
		}
		if _, err := currency.ParseISO(b.currency); err != nil {
			c.fail(path, fmt.Sprintf("%q is no currency", b.currency), "an ISO 4217 code such as EUR, USD or GBP")
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
