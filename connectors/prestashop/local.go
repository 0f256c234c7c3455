package prestashop

import (
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// wire is how PrestaShop writes a moment: the shop's local time, without its offset.
const wire = "2006-01-02 15:04:05"

const (
	overlap    = 5 * time.Minute // between two runs, by the shop's clock
	dstOverlap = 3 * time.Hour   // the same when clocks change around the watermark
	ahead      = 24 * time.Hour  // how far beyond the run's start its window ends, see window
)

// local is the shop's zone.
//
// In autumn one local hour comes twice, and nothing in the webservice says which of the two a date means: it is read as
// the first (daylight saving time), so an instant of that hour may be an hour early, never late. A local time that
// spring leaves out is read with the offset before the change.
type local struct{ loc *time.Location }

// instant reads a date; 0 for none ("0000-00-00 00:00:00", "", null). ok is false when it is no date at all.
func (l local) instant(s string) (at crm.Instant, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || s == "0" || strings.HasPrefix(s, "0000-") {
		return 0, true
	}
	naive, err := time.Parse(wire, strings.Replace(s, "T", " ", 1))
	if err != nil {
		if naive, err = time.Parse(time.DateOnly, s); err != nil {
			return 0, false
		}
	}
	return crm.At(l.first(naive)), true
}

// first is the earliest instant at which the shop's clocks show the naive time.
func (l local) first(naive time.Time) time.Time {
	before, after := l.offset(naive.Add(-26*time.Hour)), l.offset(naive.Add(26*time.Hour))
	a, b := naive.Add(-before), naive.Add(-after)
	switch {
	case l.offset(a) == before && (l.offset(b) != after || a.Before(b)):
		return a
	case l.offset(b) == after:
		return b
	}
	return a
}

func (l local) offset(t time.Time) time.Duration {
	_, seconds := t.In(l.loc).Zone()
	return time.Duration(seconds) * time.Second
}

// window gives the bounds of a run for what changed since the start of the one before it.
//
// It begins an overlap before that start; when the clocks change nearby, three hours of local time before it, for the
// local times of what was written since may lie up to an hour before the watermark. It ends a day ahead of now: rows of
// the first of two equal hours carry later times than those of the second, and must not wait until the clock passes
// them again. Pages are cut by id, so what enters the window meanwhile shifts nothing.
func (l local) window(since, now time.Time) (from, to string) {
	naive := func(t time.Time) time.Time { return t.Add(l.offset(t)).UTC() }
	step := overlap
	if l.offset(since.Add(-dstOverlap)) != l.offset(since.Add(dstOverlap)) {
		step = dstOverlap
	}
	return naive(since).Add(-step).Format(wire), naive(now).Add(ahead).Format(wire)
}
