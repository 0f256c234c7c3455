package mailer

import "time"

// QuietEnd is the end of quiet hours given in minutes of the day.
func QuietEnd(from, to int, now time.Time, loc *time.Location) time.Time {
	return quiet{from: from, to: to}.end(now, loc)
}

// Legal is the table of transitions.
func Legal(from, to State) bool { return legal(from, to) }

// FormatMoney writes an amount for readers.
func FormatMoney(minor int64, currency, locale string) string {
	return formatMoney(minor, currency, locale)
}
