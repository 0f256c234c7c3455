package mailer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
)

// Story answers "why (not)?" for one contact and one campaign.
type Story struct {
	Campaign  string      `json:"campaign"`
	ContactID int64       `json:"contact_id"`
	Sentence  string      `json:"sentence"`
	Runs      []StoryRun  `json:"runs"`  // enrolments, newest first
	Sends     []StorySend `json:"sends"` // newest first
}

// StoryRun is one enrolment.
type StoryRun struct {
	Occurrence  string      `json:"occurrence"`
	State       string      `json:"state"`
	Step        string      `json:"step"`
	ExitReason  string      `json:"exit_reason,omitempty" db:"exit_reason"`
	TriggeredAt crm.Instant `json:"triggered_at" db:"triggered_at"`
	DueAt       crm.Instant `json:"due_at" db:"due_at"`
}

// StorySend is one send with every verdict on it.
type StorySend struct {
	SendInfo
	Log    []StoryLog  `json:"log"`
	Events []MailEvent `json:"events"` // what became of the mail, oldest first
}

// StoryLog is one transition.
type StoryLog struct {
	SendID   int64       `json:"-" db:"send_id"`
	At       crm.Instant `json:"at"`
	State    State       `json:"state"`
	Reason   Reason      `json:"reason,omitempty"`
	Sentence string      `json:"sentence,omitempty" db:"-"`
	Detail   string      `json:"detail,omitempty"`
}

// Why tells the story of a contact in a campaign.
func Why(ctx context.Context, q store.Queryer, campaignID string, contactID int64) (Story, error) {
	s := Story{Campaign: campaignID, ContactID: contactID}
	row, err := campaignByID(ctx, q, campaignID)
	if err != nil {
		return s, err
	}
	if err := q.SelectContext(ctx, &s.Runs, "SELECT occurrence, state, step, exit_reason, triggered_at, due_at FROM enrolments WHERE campaign=? AND contact_id=? ORDER BY id DESC",
		campaignID, contactID); err != nil {
		return s, fmt.Errorf("reading enrolments: %w", err)
	}
	sends, err := Sends(ctx, q, SendFilter{Campaign: campaignID, ContactID: contactID})
	if err != nil {
		return s, err
	}
	if err := s.addLogs(ctx, q, sends); err != nil {
		return s, err
	}
	s.Sentence, err = s.sentence(ctx, q, row)
	return s, err
}

func (s *Story) addLogs(ctx context.Context, q store.Queryer, sends []SendInfo) error {
	if len(sends) == 0 {
		return nil
	}
	at := map[int64]int{}
	var ids []int64
	for i, one := range sends {
		at[one.ID] = i
		ids = append(ids, one.ID)
		s.Sends = append(s.Sends, StorySend{SendInfo: one})
	}
	var logs []StoryLog
	if err := selectIn(ctx, q, &logs, "SELECT send_id, at, state, reason, detail FROM send_log WHERE send_id IN (?) ORDER BY send_id, seq", ids); err != nil {
		return fmt.Errorf("reading the log of sends: %w", err)
	}
	for _, l := range logs {
		l.Sentence = l.Reason.Sentence()
		i := at[l.SendID]
		s.Sends[i].Log = append(s.Sends[i].Log, l)
	}
	facts, err := factsOf(ctx, q, ids)
	for i := range s.Sends {
		of := facts[s.Sends[i].ID]
		slices.SortFunc(of, func(a, b mailFact) int { return cmp.Compare(a.HappenedAt, b.HappenedAt) })
		s.Sends[i].Events = make([]MailEvent, len(of))
		for n := range of {
			s.Sends[i].Events[n] = of[n].shown()
		}
	}
	return err
}

// fate says what became of a mail that the provider has.
func fate(events []MailEvent) string {
	for _, kind := range []string{EventDropped, EventBounced} {
		for _, v := range events {
			if v.Kind == kind && (kind == EventDropped || v.Hard) {
				return "The provider took the mail, but it did not arrive: " + v.Sentence() + "."
			}
		}
	}
	for _, v := range events {
		if v.Kind == EventDelivered {
			return "The mail was delivered."
		}
	}
	return "The provider has the mail."
}

func (s *Story) sentence(ctx context.Context, q store.Queryer, row campaignRow) (string, error) {
	if len(s.Sends) > 0 {
		last := s.Sends[0]
		switch last.State {
		case Accepted:
			return fate(last.Events), nil
		case Ready, Handing:
			return "The mail is on its way.", nil
		case Deferred:
			return "The mail waits: " + last.Sentence + ".", nil
		case Refused:
			return "The mail was not sent: " + last.Sentence + ".", nil
		case Unknown:
			return "Nobody knows whether the mail was sent: " + last.Sentence + ".", nil
		}
	}
	if len(s.Runs) > 0 {
		if reason := Reason(s.Runs[0].ExitReason); reason != "" {
			return "The contact took part and was taken out before a mail was due: " + reason.Sentence() + ".", nil
		}
		return "The contact takes part; no mail is due yet.", nil
	}
	c, err := definition(ctx, q, row.Campaign, row.Generation)
	if err != nil {
		return "", err
	}
	if row.State == CampaignDraft {
		return "The campaign is a draft: it starts for nobody until it is armed.", nil
	}
	if c.on != triggerEnters {
		return c.neverBegan(ctx, q, s.ContactID)
	}
	in, err := segments.IsMember(ctx, q, s.ContactID, c.segment)
	switch {
	case err != nil:
		return "", err
	case !in:
		return "The contact is not in the segment " + c.segment + ".", nil
	}
	return "The contact is in the segment " + c.segment + ", but entered it before the campaign was armed, through a first read of the shop, " +
		"or too long ago: not mailed.", nil
}
