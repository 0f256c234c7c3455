package mailer

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// Cap bounds how many marketing mails one contact gets: at most Count within any Per. The zero Cap bounds nothing.
type Cap struct {
	Count int
	Per   time.Duration
}

// ParseCap reads "2 per 7d"; the empty text is the zero Cap. The configuration of a sender calls it.
func ParseCap(raw string) (Cap, error) {
	if raw == "" {
		return Cap{}, nil
	}
	count, per, ok := strings.Cut(raw, " per ")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n < 1 {
		return Cap{}, fmt.Errorf("%q is no cap", raw)
	}
	span, err := crm.ParseSpan(strings.TrimSpace(per))
	if err != nil || span <= 0 {
		return Cap{}, fmt.Errorf("%q is no cap", raw)
	}
	return Cap{Count: n, Per: span}, nil
}

// freeAt tells when another mail is allowed, given the instants of earlier ones, oldest first: now or earlier when
// it already is.
func (c Cap) freeAt(earlier []crm.Instant, now crm.Instant) crm.Instant {
	if c.Count == 0 {
		return now
	}
	within := c.within(earlier, now)
	if within < c.Count {
		return now
	}
	return earlier[len(earlier)-c.Count].Add(c.Per)
}

// within is how many of earlier mails, oldest first, count at now.
func (c Cap) within(earlier []crm.Instant, now crm.Instant) int {
	n := 0
	for _, at := range earlier {
		if at > now.Add(-c.Per) {
			n++
		}
	}
	return n
}
