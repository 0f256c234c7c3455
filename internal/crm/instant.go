// Package crm is the model: pure types of customers, orders, carts and consents as Relance
// sees them whatever the shop's platform. It imports nothing of ours and knows no SQL.
package crm

import "time"

// Instant is a moment as UTC milliseconds since 1970, as the database stores it. Zero means "not known".
type Instant int64

// At converts; the zero time gives the zero Instant.
func At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixMilli())
}

// Time converts back, in UTC; the zero Instant gives the zero time.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(i)).UTC()
}

// Add moves an instant by a duration.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Milliseconds()) }

// Never is later than any instant that occurs: what "no change to come" is compared with.
const Never Instant = 1<<62 - 1
