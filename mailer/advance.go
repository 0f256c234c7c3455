package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

const (
	advanceBatch = 256
	decideBatch  = 100 // where contacts are looked at: a transaction is to be short
)

const dueEnrolments = "SELECT " + enrolmentCols + " FROM enrolments WHERE lane IN (?) AND state='active' AND due_at<=? LIMIT ?"

// advance takes the due steps of runs: a wait that is over leads on, a send puts a row into the ledger.
func (e *Engine) advance(ctx context.Context, p *pass) (bool, error) {
	var peek []enrolment
	if err := selectIn(ctx, e.db.Read(), &peek, dueEnrolments, p.lanes, p.now, advanceBatch); err != nil {
		return false, fmt.Errorf("reading due enrolments: %w", err)
	}
	if len(peek) == 0 {
		return false, nil
	}
	if len(p.deciding(peek)) > 0 {
		peek = peek[:min(len(peek), decideBatch)]
	}
	var lanes []int
	var ids []int64
	for _, n := range peek {
		lanes = append(lanes, n.Lane)
		ids = append(ids, n.ID)
	}
	var w *walk
	err := e.db.Write(ctx, "mailer.advance", func(tx *store.Tx) error {
		if err := e.fence(ctx, tx, lanes); err != nil {
			return err
		}
		var rows []enrolment
		if err := selectIn(ctx, tx, &rows, "SELECT "+enrolmentCols+" FROM enrolments WHERE id IN (?) AND state='active' AND due_at<=?", ids, p.now); err != nil {
			return err
		}
		var err error
		w, err = e.takeSteps(ctx, tx, p, rows)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("moving enrolments on: %w", err)
	}
	e.o.Metrics.sends.WithLabelValues(string(Ready), "").Add(float64(len(w.sends)))
	return true, nil
}

func (e *Engine) takeSteps(ctx context.Context, tx *store.Tx, p *pass, rows []enrolment) (*walk, error) {
	profiles := map[int64]*crm.Profile{}
	if contacts := p.deciding(rows); len(contacts) > 0 {
		var err error
		if profiles, err = e.profiles(ctx, tx, contacts, p.needsOf(rows)); err != nil {
			return nil, err
		}
	}
	w := e.newWalk(p, tx, profiles)
	if err := w.ledgers(ctx, rows); err != nil {
		return nil, err
	}
	for i := range rows {
		w.due(&rows[i])
	}
	return w, w.write(ctx)
}

// deciding gives the contacts whose campaigns have to look at them.
func (p *pass) deciding(rows []enrolment) []int64 {
	var contacts []int64
	for _, n := range rows {
		if r, ok := p.campaigns[n.Campaign]; ok && r.decides {
			contacts = append(contacts, n.ContactID)
		}
	}
	return contacts
}

// needsOf is what the campaigns of some runs look at.
func (p *pass) needsOf(rows []enrolment) crm.Needs {
	var n crm.Needs
	seen := map[string]bool{}
	for _, one := range rows {
		if r, ok := p.campaigns[one.Campaign]; ok && !seen[one.Campaign] {
			seen[one.Campaign] = true
			n = rule.Union(n, r.needs())
		}
	}
	return n
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
