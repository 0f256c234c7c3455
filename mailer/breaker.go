package mailer

import (
	"time"
)

// breaker keeps an audience's provider from being asked for a while. It lives in memory: after a restart one batch
// finds out anew.
type breaker struct {
	until    time.Time // real time
	failures int
	sentence string // for people; "" when only a short wait
}

// breakers are by audience id.
type breakers map[int64]*breaker

// shut lists the audiences to which nothing is sent at a real time; one mail that finds out how its provider is
// doing is waited for.
func (b breakers) shut(wall time.Time, flying *flight) []int64 {
	probing := map[int64]bool{}
	if flying != nil {
		for i := range flying.hands {
			probing[flying.hands[i].row.AudienceID] = true
		}
	}
	var ids []int64
	for id, one := range b {
		if wall.Before(one.until) || probing[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// probesOnly leaves one send per audience whose provider failed last: it finds out for the others.
func (b breakers) probesOnly(rows []sendRow) []sendRow {
	if len(b) == 0 {
		return rows
	}
	probing := map[int64]bool{}
	var kept []sendRow
	for _, r := range rows {
		if b[r.AudienceID] != nil {
			if probing[r.AudienceID] {
				continue
			}
			probing[r.AudienceID] = true
		}
		kept = append(kept, r)
	}
	return kept
}

// fail opens the breaker for a wait that doubles with each failure in a row, from least to most.
func (b breakers) fail(audienceID int64, wall time.Time, least, most time.Duration, sentence string) {
	one := b[audienceID]
	if one == nil {
		one = &breaker{}
		b[audienceID] = one
	}
	one.sentence = sentence
	wait := least
	if !wall.Before(one.until) { // a batch that was under way when the breaker opened is no failure of its own
		wait = most
		if one.failures < 16 {
			wait = min(least<<one.failures, most)
		}
		one.failures++
	}
	if until := wall.Add(wait); until.After(one.until) {
		one.until = until
	}
}

func (b breakers) heal(audienceID int64) { delete(b, audienceID) }

// learn draws the conclusions of one batch: any clear answer about a mail heals, otherwise the worst failure counts once.
func (b breakers) learn(answered []handed, wall time.Time) {
	healed, failed := map[int64]bool{}, map[int64]*handed{}
	for i := range answered {
		h := &answered[i]
		switch {
		case h.answer.to == Accepted, h.answer.reason == Rejected:
			healed[h.row.AudienceID] = true
		case h.answer.reason == Late:
		case failed[h.row.AudienceID] == nil, h.answer.wait > failed[h.row.AudienceID].answer.wait:
			failed[h.row.AudienceID] = h
		}
	}
	for id := range healed {
		b.heal(id)
	}
	for id, h := range failed {
		switch h.answer.reason {
		case ProviderRefusing:
			b.fail(id, wall, time.Minute, 15*time.Minute, h.answer.detail)
		case ProviderBusy:
			b.fail(id, wall, h.answer.wait, h.answer.wait, "")
		default: // down, or no clear answer: do not burn the queue against a provider that is not there
			if !healed[id] {
				b.fail(id, wall, time.Second, time.Minute, "")
			}
		}
	}
}
