package mailer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// mailFact is what became of a mail, as mail_events keeps it.
type mailFact struct {
	ID         int64
	ContactID  int64 `db:"contact_id"`
	SendID     int64 `db:"send_id"` // 0 = of a mail that is not known
	Campaign   string
	Step       string
	Kind       string
	HappenedAt crm.Instant `db:"happened_at"`
	RecordedAt crm.Instant `db:"recorded_at"`
	Machine    bool
	Why        string
	Hard       bool
	URL        string
	Source     string
	Reason     string
}

const factCols = "id, contact_id, send_id, campaign, step, kind, happened_at, recorded_at, machine, why, hard, url, source, reason"

// mostActs bounds what is kept of one mail: of more openings, or more clicks, nothing is learnt.
const mostActs = 100

func factsOf(ctx context.Context, q store.Queryer, sends []int64) (map[int64][]mailFact, error) {
	out := map[int64][]mailFact{}
	if len(sends) == 0 {
		return out, nil
	}
	var rows []mailFact
	if err := selectIn(ctx, q, &rows, "SELECT "+factCols+" FROM mail_events WHERE send_id IN (?)", sends); err != nil {
		return nil, fmt.Errorf("reading what became of mails: %w", err)
	}
	for _, r := range rows {
		out[r.SendID] = append(out[r.SendID], r)
	}
	return out, nil
}

// story is what is known of one mail: the facts stored before, and the ones of this transaction.
type story struct {
	send  *sentRow
	facts []mailFact
	known int            // how many of the facts were stored before
	was   map[string]day // what the stored ones count for
	moved []int64        // ids of stored facts whose verdict has changed
}

// day is when something first counted.
type day = crm.Instant

func newStory(send *sentRow, stored []mailFact) *story {
	return &story{send: send, facts: stored, known: len(stored), was: countsOf(stored)}
}

// add takes an event in, unless it says what is known already.
func (s *story) add(f mailFact) {
	same := 0
	for i := range s.facts {
		if s.facts[i].Kind == f.Kind && s.facts[i].Hard == f.Hard {
			same++
		}
	}
	most := 1
	if f.Kind == EventOpened || f.Kind == EventClicked {
		most = mostActs
	}
	if same < most {
		s.facts = append(s.facts, f)
	}
}

// judge gives every opening and click its verdict anew: what came since may show an earlier one in another light.
func (s *story) judge() {
	var delivered crm.Instant
	var acts []act
	var index []int
	for i := range s.facts {
		f := &s.facts[i]
		switch f.Kind {
		case EventDelivered:
			delivered = f.HappenedAt
		case EventOpened, EventClicked:
			acts, index = append(acts, act{kind: f.Kind, at: f.HappenedAt, url: f.URL, own: lasting(f.Why)}), append(index, i)
		}
	}
	for n, why := range whoDid(s.send.HandedAt, delivered, acts) {
		f := &s.facts[index[n]]
		if f.Why != why && index[n] < s.known {
			s.moved = append(s.moved, f.ID)
		}
		f.Why, f.Machine = why, why != whyPerson
	}
}

// lasting leaves of a verdict what the event alone showed.
func lasting(why string) string {
	if why == whyEarly || why == whyBurst {
		return whyPerson
	}
	return why
}

// Names of what came back of mails, in campaign_counts: how many mails, each once a kind, whatever else became of them.
const (
	machineSuffix = "_machine" // opened_machine: at least one opening by a machine
	softBounce    = "blocked"  // came back, but not for good
)

// countsOf says what the facts of one mail count for, and since when.
func countsOf(facts []mailFact) map[string]day {
	out := map[string]day{}
	for i := range facts {
		f := &facts[i]
		name := f.Kind
		switch {
		case f.Kind == EventBounced && !f.Hard:
			name = softBounce
		case f.Machine:
			name += machineSuffix
		}
		if at, counted := out[name]; !counted || f.RecordedAt < at {
			out[name] = f.RecordedAt
		}
	}
	return out
}

// count adds what is new, and takes back what turned out to be a machine's.
func (s *story) count(counts tally, d days) {
	is := countsOf(s.facts)
	c, lane := s.send.Campaign, s.send.Lane
	for name := range is {
		if _, counted := s.was[name]; !counted {
			counts.add(c, name, lane)
			d.add(c, name, lane)
		}
	}
	for name, at := range s.was {
		if _, still := is[name]; !still {
			counts[tallyKey{campaign: c, name: name, shard: lane}]--
			d.takeBack(c, name, lane, at)
		}
	}
}

// writeFacts stores new facts and changed verdicts.
func writeFacts(ctx context.Context, tx *store.Tx, stories []*story, loose []mailFact) error {
	var rows [][]any
	verdicts := map[string][]int64{}
	for _, s := range stories {
		for i := range s.facts {
			f := &s.facts[i]
			switch {
			case i >= s.known:
				rows = append(rows, f.values())
			case slices.Contains(s.moved, f.ID):
				verdicts[f.Why] = append(verdicts[f.Why], f.ID)
			}
		}
	}
	for i := range loose {
		rows = append(rows, loose[i].values())
	}
	if err := again(tx, tx.Insert(ctx, "mail_events", append(splitCols(factCols), "lane"), rows)); err != nil {
		return fmt.Errorf("writing what became of mails: %w", err)
	}
	for _, why := range append([]string{whyPerson}, signNames()...) {
		if ids := verdicts[why]; len(ids) > 0 {
			if _, err := execIn(ctx, tx, "UPDATE mail_events SET machine=?, why=? WHERE id IN (?)", flag(why != whyPerson), why, ids); err != nil {
				return fmt.Errorf("writing verdicts on openings and clicks: %w", err)
			}
		}
	}
	return nil
}

func signNames() []string {
	var names []string
	for _, s := range machineSigns() {
		names = append(names, s[0])
	}
	return names
}

func (f *mailFact) values() []any {
	return []any{
		f.ID, f.ContactID, f.SendID, f.Campaign, f.Step, f.Kind, f.HappenedAt, f.RecordedAt, flag(f.Machine), f.Why, flag(f.Hard), f.URL, f.Source, f.Reason,
		crm.LaneOf(f.ContactID),
	}
}

// newFact is an event as a fact of its contact.
func newFact(tx *store.Tx, v *eventRow, send *sentRow, now crm.Instant) mailFact {
	f := mailFact{
		ID: tx.NewID(), ContactID: v.ContactID, Kind: v.Kind, HappenedAt: v.HappenedAt, RecordedAt: now, Hard: v.Hard, URL: v.URL, Source: v.Source, Reason: v.Reason,
		Why: ownSigns(v.Kind, v.Source, v.UserAgent, v.Reason, v.Machine),
	}
	f.Machine = f.Why != whyPerson
	if send != nil {
		f.SendID, f.Campaign, f.Step = send.ID, send.Campaign, send.Step
	}
	return f
}

// inOrder sorts events by when they happened, so that of two that say the same the earlier one stays.
func inOrder(events []eventRow) {
	slices.SortFunc(events, func(a, b eventRow) int {
		return cmp.Or(cmp.Compare(a.HappenedAt, b.HappenedAt), cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID))
	})
}
