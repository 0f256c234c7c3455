package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/store"
)

const advanceBatch = 256

const dueEnrolments = "SELECT " + enrolmentCols + " FROM enrolments WHERE lane IN (?) AND state='active' AND due_at<=? LIMIT ?"

// advance takes the due step of enrolments: a wait that is over leads to the next step, a send puts a row into the ledger.
func (e *Engine) advance(ctx context.Context, p *pass) (bool, error) {
	var peek []enrolment
	if err := selectIn(ctx, e.db.Read(), &peek, dueEnrolments, p.lanes, p.now, advanceBatch); err != nil {
		return false, fmt.Errorf("reading due enrolments: %w", err)
	}
	if len(peek) == 0 {
		return false, nil
	}
	var lanes []int
	var ids []int64
	for _, n := range peek {
		lanes = append(lanes, n.Lane)
		ids = append(ids, n.ID)
	}
	var added int
	err := e.db.Write(ctx, "mailer.advance", func(tx *store.Tx) error {
		added = 0
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		var rows []enrolment
		if err := selectIn(ctx, tx, &rows, "SELECT "+enrolmentCols+" FROM enrolments WHERE id IN (?) AND state='active' AND due_at<=?", ids, p.now); err != nil {
			return err
		}
		var err error
		added, err = e.takeSteps(ctx, tx, p, rows)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("moving enrolments on: %w", err)
	}
	e.o.Metrics.sends.WithLabelValues(string(Ready), "").Add(float64(added))
	return true, nil
}

func (e *Engine) takeSteps(ctx context.Context, tx *store.Tx, p *pass, rows []enrolment) (added int, err error) {
	existing, err := sendsOf(ctx, tx, rows)
	if err != nil {
		return 0, err
	}
	var sends, logs [][]any
	for i := range rows {
		n := &rows[i]
		r, ok := p.campaigns[n.Campaign]
		var at *step
		there := false
		if ok {
			at, there = r.step(n.Step)
		}
		switch state, sent := existing[sendKey{n.Campaign, n.Step, n.ContactID, n.Occurrence}]; {
		case !there:
			n.State, n.ExitReason = enrolmentExited, string(StepRemoved)
		case at.template == "":
			n.goTo(r, at.next, n.DueAt)
		case sent && state.Terminal(): // an edit moved it back to a step that it has had: never twice
			n.goTo(r, at.next, n.DueAt)
		case sent:
			n.State = enrolmentSending
		default:
			n.State = enrolmentSending
			id := tx.NewID()
			sends = append(sends, []any{
				id, n.Campaign, n.Step, n.ContactID, n.Occurrence, n.Lane, n.ID, n.AudienceID, n.ShopID, r.kind,
				string(Ready), p.now, n.DueAt, n.DueAt, n.DueAt.Add(r.notAfter), 1, n.About, n.Variants, r.priority, n.TriggeredAt,
			})
			logs = append(logs, []any{id, 1, p.now, string(Ready)})
		}
	}
	err = tx.Insert(ctx, "sends", []string{
		"id", "campaign", "step", "contact_id", "occurrence", "lane", "enrolment_id", "audience_id", "shop_id", "kind",
		"state", "created_at", "due_at", "until_at", "not_after", "moves", "about", "variants", "priority", "triggered_at",
	}, sends)
	if err != nil {
		return 0, again(tx, err)
	}
	if err := tx.Insert(ctx, "send_log", []string{"send_id", "seq", "at", "state"}, logs); err != nil {
		return 0, again(tx, err)
	}
	return len(sends), writeEnrolments(ctx, tx, rows)
}

// sendKey is what is unique in the ledger: never more than one mail for it.
type sendKey struct {
	campaign, step string
	contact        int64
	occurrence     string
}

func sendsOf(ctx context.Context, tx *store.Tx, rows []enrolment) (map[sendKey]State, error) {
	found := map[sendKey]State{}
	if len(rows) == 0 {
		return found, nil
	}
	var contacts []int64
	for _, n := range rows {
		contacts = append(contacts, n.ContactID)
	}
	var sends []sendRow
	if err := selectIn(ctx, tx, &sends, "SELECT "+sendCols+" FROM sends WHERE contact_id IN (?)", contacts); err != nil {
		return nil, fmt.Errorf("reading sends: %w", err)
	}
	for _, s := range sends {
		found[sendKey{s.Campaign, s.Step, s.ContactID, s.Occurrence}] = s.State
	}
	return found, nil
}
