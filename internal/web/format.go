package web

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"
)

func funcs() template.FuncMap {
	return template.FuncMap{
		"number": number, "span": span, "when": when, "short": short, "iso": iso, "percent": percent, "tone": tone, "word": word, "any": anySend, "came": anyOutcome, "place": place,
		"share": share, "health": health, "shown": shown, "spark": sparkline, "bars": bars,
	}
}

// number groups thousands with a narrow space: 12 345.
func number(n int64) string {
	if n < 0 {
		return "–" // not said
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// span says seconds as a person would: "now", "42 s", "7 min", "3 h", "5 d".
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d", int(d.Hours()/24))
	}
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2 Jan 2006, 15:04")
}

// short leaves the year out, for lists of what has just happened.
func short(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2 Jan, 15:04")
}

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func percent(done, total int64) int64 {
	if total <= 0 {
		return 0
	}
	return min(100, done*100/total)
}

// tone is the colour of a state.
func tone(state string) string {
	switch state {
	case "live", "armed", "accepted":
		return "good"
	case "building", "ready", "deferred", "handing", "draft":
		return "calm"
	case "unknown", "paused":
		return "warn"
	default:
		return "plain"
	}
}

// word is the name of a ledger state for people who never read the ledger's documentation.
func word(state string) string {
	switch state {
	case "accepted":
		return "sent"
	case "handing":
		return "being sent"
	case "deferred":
		return "waiting"
	case "refused":
		return "held back"
	case "unknown":
		return "outcome unknown"
	default:
		return state
	}
}

// place is locale and country, said once when the one holds the other: "fr-FR", "en GB".
func place(locale, country string) string {
	if country == "" || strings.HasSuffix(locale, country) {
		return locale
	}
	return strings.TrimSpace(locale + " " + country)
}

// anyOutcome tells whether anything came back of a campaign's mails.
func anyOutcome(outcomes []Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Count > 0 })
}

// anySend tells whether a campaign has sends at all.
func anySend(counts []SendCount) bool {
	return slices.ContainsFunc(counts, func(c SendCount) bool { return c.Count > 0 })
}

// share says a percentage with two figures that mean something: 0.61 %, 12 %.
func share(percent float64) string {
	return strconv.FormatFloat(percent, 'g', 2, 64) + "\u202f%"
}

// condition is a shop in one word and its colour.
type condition struct{ Word, Tone string }

func health(s Shop) condition {
	switch {
	case s.Fault != "" || s.Trouble != nil && !s.Trouble.Mild || len(s.Tasks) > 0:
		return condition{"needs you", "warn"}
	case len(s.Progress) > 0:
		return condition{"first read", "calm"}
	case s.Trouble != nil:
		return condition{"look", "calm"}
	case s.Way == WayPush:
		return condition{"sends by itself", "good"}
	case s.Way == WayImport:
		return condition{"imported", "plain"}
	case s.ReadAt.IsZero():
		return condition{"starting", "calm"}
	}
	return condition{"ok", "good"}
}

// shown leaves out kinds that there is nothing to say about.
func shown(kinds []Kind) []Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool { return !k.Shown() })
}
