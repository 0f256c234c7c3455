package mirror

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// ConsentChange is an act about one topic and channel, or a sync's observation of one.
type ConsentChange struct {
	ContactID int64
	Topic     string // "marketing"
	Channel   string // "email"
	State     string // crm.ConsentGranted, crm.ConsentWithdrawn…
	Basis     string
	Source    string // "one-click", "woocommerce:boutique", "preference page"
	SourceAt  crm.Instant
	SeenAt    crm.Instant
	Text      string // the text that was shown
	IP        string // of the person, "" when unknown
	ByPerson  bool   // a person's own act here (one-click, double opt-in); a sync never lifts a withdrawal
}

// SetConsent writes the ledger and the state if the transition is allowed (DESIGN §10), marks the contact dirty with
// cause consent, and tells whether anything changed. A repeated act changes nothing.
func (m *Mirror) SetConsent(ctx context.Context, tx *store.Tx, c ConsentChange) (bool, error) {
	done, err := setConsents(ctx, tx, []ConsentChange{c})
	if err != nil || len(done) == 0 {
		return false, err
	}
	concerned := []int64{c.ContactID}
	into, err := mergedInto(ctx, tx, concerned)
	if err != nil {
		return false, err
	}
	if to := into[c.ContactID]; to != 0 {
		concerned = append(concerned, to)
	}
	return true, m.MarkDirty(ctx, tx, concerned, c.SourceAt, c.SeenAt, crm.CauseConsent)
}

// allowed is the table of transitions. Lowering is always allowed. A sync raises from none only; what was withdrawn is
// lifted by the person alone.
func allowed(from string, c ConsentChange) bool {
	switch c.State {
	case crm.ConsentWithdrawn:
		return from != crm.ConsentWithdrawn
	case crm.ConsentGranted:
		return from == crm.ConsentNone || c.ByPerson && from != crm.ConsentGranted
	case crm.ConsentPending:
		return from == crm.ConsentNone || c.ByPerson && from == crm.ConsentWithdrawn
	}
	return false
}

type consentKey struct {
	contact        int64
	topic, channel string
}

// setConsents carries out the allowed ones of the changes, in order, and gives those.
func setConsents(ctx context.Context, tx *store.Tx, changes []ConsentChange) ([]ConsentChange, error) {
	var done []ConsentChange
	state, err := consentStates(ctx, tx, changes)
	if err != nil {
		return nil, fmt.Errorf("reading consents: %w", err)
	}
	var ledger [][]any
	final := map[consentKey][]any{}
	for _, c := range changes {
		key := consentKey{c.ContactID, c.Topic, c.Channel}
		if c.ContactID == 0 || !allowed(cmp.Or(state[key], crm.ConsentNone), c) {
			continue
		}
		state[key] = c.State
		done = append(done, c)
		lane, basis := crm.LaneOf(c.ContactID), cmp.Or(c.Basis, "opt_in")
		ledger = append(ledger, []any{
			tx.NewID(), c.ContactID, lane, c.Topic, c.Channel, c.State, basis, clip(c.Source, 255), int64(c.SourceAt), int64(c.SeenAt), c.Text, clip(c.IP, 64), 0,
		})
		final[key] = []any{c.ContactID, c.Topic, c.Channel, lane, c.State, basis, clip(c.Source, 255), int64(c.SourceAt), int64(c.SeenAt), 0}
	}
	if err := tx.Insert(ctx, "consents", []string{
		"id", "contact_id", "lane", "topic", "channel", "state", "basis", "source", "source_at", "seen_at", "text_shown", "ip", "expires_at",
	}, ledger); err != nil {
		return nil, fmt.Errorf("writing the consent ledger: %w", again(tx, err))
	}
	if err := tx.Upsert(ctx, "consent_state", []string{"contact_id", "topic", "channel"}, []string{
		"contact_id", "topic", "channel", "lane", "state", "basis", "source", "source_at", "seen_at", "expires_at",
	}, slices.Collect(maps.Values(final))); err != nil {
		return nil, fmt.Errorf("writing consents: %w", err)
	}
	return done, nil
}

// consentStates reads the states with the contacts' rows locked: a withdrawal that another process is writing at this
// moment is waited for, never overwritten.
func consentStates(ctx context.Context, tx *store.Tx, changes []ConsentChange) (map[consentKey]string, error) {
	seen := map[int64]bool{}
	for _, c := range changes {
		seen[c.ContactID] = true
	}
	ids := slices.Sorted(maps.Keys(seen))
	if tx.Dialect() == store.MySQL {
		if err := readIn(ctx, tx, "SELECT id FROM contacts WHERE id IN (%) ORDER BY id FOR UPDATE", nil, ids, func(*sqlx.Rows) error { return nil }); err != nil {
			return nil, err
		}
	}
	out := map[consentKey]string{}
	err := readIn(ctx, tx, "SELECT contact_id, topic, channel, state FROM consent_state WHERE contact_id IN (%)", nil, ids, func(r *sqlx.Rows) error {
		var k consentKey
		var state string
		err := r.Scan(&k.contact, &k.topic, &k.channel, &state)
		out[k] = state
		return err
	})
	return out, err
}
