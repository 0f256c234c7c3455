package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/segments"
)

// Export reads everything that Relance holds of a contact, and of those merged into it, with where it comes from: the
// mirror's tables, the segments', and the mailer's own. mirror.ErrNotFound. Called by the command line.
func Export(ctx context.Context, m *mirror.Mirror, contactID int64) ([]mirror.Holding, error) {
	out, err := m.Export(ctx, contactID)
	if err != nil {
		return nil, err
	}
	q := m.DB().Read()
	persons, err := m.Persons(ctx, q, contactID)
	if err != nil {
		return nil, err
	}
	groups, err := segments.Export(ctx, q, persons)
	if err != nil {
		return nil, err
	}
	mails, err := mirror.Hold(ctx, q, persons, questions())
	if err != nil {
		return nil, err
	}
	barred, err := barredAddresses(ctx, m, persons)
	if err != nil {
		return nil, err
	}
	return append(append(append(out, groups...), mails...), barred), nil
}

func questions() []mirror.Question {
	return []mirror.Question{
		{
			Name: "enrolments", Title: "Campaigns that you took part in", From: mirror.FromRelance,
			Query: `SELECT campaign, occurrence, about, variants, state, step, triggered_at, entered_at, due_at, goal_at, exit_reason FROM enrolments
 WHERE contact_id IN (ids) ORDER BY entered_at, id`,
		},
		{
			Name: "trigger_facts", Title: "What campaigns took notice of", From: mirror.FromRelance,
			Query: "SELECT campaign, fact, at, outcome FROM trigger_facts WHERE contact_id IN (ids) ORDER BY at",
		},
		{
			Name: "sends", Title: "Mails, sent or not", From: mirror.FromRelance,
			Query: `SELECT campaign, step, occurrence, kind, state, reason, subject, provider, message_id, created_at, due_at, handed_at, settled_at FROM sends
 WHERE contact_id IN (ids) ORDER BY created_at, id`,
		},
		{
			Name: "send_log", Title: "What became of each mail, and why", From: mirror.FromRelance,
			Query: `SELECT s.campaign, s.step, l.at, l.state, l.reason, l.detail FROM send_log l JOIN sends s ON s.id=l.send_id
 WHERE s.contact_id IN (ids) ORDER BY l.send_id, l.seq`,
		},
		{
			Name: "mail_events", Title: "What the mail provider said of the mails, and what was clicked", From: "the mail provider, and Relance's own links",
			Query: "SELECT campaign, step, kind, happened_at, recorded_at, machine, why, hard, url, source, reason FROM mail_events WHERE contact_id IN (ids) ORDER BY happened_at, id",
		},
		{
			Name: "provider_events", Title: "The same as it came in, until it is thrown away", From: "the mail provider, and Relance's own links",
			Query: "SELECT source, kind, happened_at, received_at, url, user_agent, machine, hard, reason FROM provider_events WHERE contact_id IN (ids) ORDER BY received_at, id",
		},
		{
			Name: "coupons", Title: "Codes that you were given", From: mirror.FromRelance,
			Query: "SELECT code, campaign, occurrence, given_at, expires, worth FROM coupons WHERE contact_id IN (ids) ORDER BY given_at",
		},
		{
			Name: "attributed_orders", Title: "Orders that a mail is thought to have brought", From: mirror.FromRelance,
			Query: "SELECT shop_id, order_id, campaign, step, variants, how, placed_at, currency, revenue FROM attributed_orders WHERE contact_id IN (ids) ORDER BY placed_at, order_id",
		},
		{
			Name: "recovered_carts", Title: "Carts that were ordered after a mail about them", From: mirror.FromRelance,
			Query: "SELECT shop_id, cart_id, campaign, step, variants, placed_at, currency, revenue FROM recovered_carts WHERE contact_id IN (ids) ORDER BY placed_at, cart_id",
		},
		{
			Name: "calls", Title: "What was told to other systems", From: mirror.FromRelance,
			Query: "SELECT campaign, step, occurrence, state, created_at, done_at FROM calls WHERE contact_id IN (ids) ORDER BY id",
		},
		{
			Name: "holdouts", Title: "Campaigns that you get nothing of, for comparison", From: mirror.FromRelance,
			Query: "SELECT campaign, at FROM holdouts WHERE contact_id IN (ids) ORDER BY campaign",
		},
	}
}

// barredAddresses are the persons' addresses that are not mailed, which are kept as hashes only.
func barredAddresses(ctx context.Context, m *mirror.Mirror, persons []int64) (mirror.Holding, error) {
	h := mirror.Holding{Name: "suppressions", Title: "Why your addresses are not mailed", From: "you, or the mail provider", Rows: []map[string]any{}}
	reasons, err := suppressions(ctx, m, m.DB().Read(), persons)
	if err != nil {
		return h, fmt.Errorf("reading suppressions: %w", err)
	}
	for _, id := range persons {
		for _, r := range reasons[id] {
			h.Rows = append(h.Rows, map[string]any{"reason": r})
		}
	}
	return h, nil
}
