package mailer

import (
	"context"
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
)

// What a check says of a mail, for people: a closed set.
const (
	CheckPassed = "passed"
	CheckWaits  = "would wait"
	CheckStops  = "would stop"
)

// Judgement is what the gate would say of a campaign's mail to a contact at an instant: of the one that waits or, when none
// does, of the campaign's next one as if it were due.
type Judgement struct {
	At     crm.Instant `json:"at"`
	Send   string      `json:"send,omitempty"` // the mail that waits; "" when none does
	Step   string      `json:"step"`
	State  State       `json:"state"` // handing: it would leave
	Reason Reason      `json:"reason,omitempty"`
	Until  crm.Instant `json:"until,omitempty"` // deferred: when it would be looked at again
	Checks []Checked   `json:"checks"`          // all of them, in the gate's order; those after a contact that is gone are missing
}

// Checked is what one check says, whatever the others do.
type Checked struct {
	Check    string      `json:"check"`
	Verdict  string      `json:"verdict"` // one of the constants
	Reason   Reason      `json:"reason,omitempty"`
	Sentence string      `json:"sentence,omitempty"`
	Value    string      `json:"value,omitempty"` // what the check saw, and what it compares with
	Detail   string      `json:"detail,omitempty"`
	Until    crm.Instant `json:"until,omitempty"`
}

// Judge asks every check of the gate about a campaign's mail to a contact, and what the gate would say. It writes and sends
// nothing, and asks the database alone: a mail that waits for a read of its shop goes on waiting. now is business time. Not
// to be called while another goroutine calls Step.
func (e *Engine) Judge(ctx context.Context, campaignID string, contactID int64, now time.Time) (Judgement, error) {
	p := e.newPass(crm.At(now))
	if _, err := e.read(ctx, p); err != nil {
		return Judgement{}, err
	}
	if len(p.lanes) == 0 { // one that sends nothing itself looks at the campaign as a whole
		for l := range crm.Lanes {
			p.lanes = append(p.lanes, l)
		}
	}
	r, ok := p.campaigns[campaignID]
	if !ok {
		return Judgement{}, noCampaign(campaignID)
	}
	row, err := e.nextSend(ctx, p, r, contactID)
	if err != nil {
		return Judgement{}, err
	}
	_, _, j, err := e.judged(ctx, p, row)
	return j, err
}

// judged asks every check about one mail, among the others to the same contact that would be looked at now.
func (e *Engine) judged(ctx context.Context, p *pass, row sendRow) (*gating, *candidate, Judgement, error) {
	rows, err := e.dueBeside(ctx, p, row)
	if err != nil {
		return nil, nil, Judgement{}, err
	}
	if err := e.askFreshness(ctx, p, rows); err != nil {
		return nil, nil, Judgement{}, err
	}
	g := e.newGating(e.db.Read(), p)
	g.rows = rows
	if err := g.loadFacts(ctx); err != nil {
		return nil, nil, Judgement{}, fmt.Errorf("asking the gate: %w", err)
	}
	g.sort()
	for i := range g.rows { // those that go first are judged first, as the gate does
		c := g.candidate(&g.rows[i])
		if c.ID == row.ID {
			g.telling = true
			return g, c, g.judgement(c), nil
		}
		g.admit(c)
	}
	return nil, nil, Judgement{}, nil // not reached: the mail is among the rows
}

// dueBeside is a mail with the others to the same contact that would be looked at now.
func (e *Engine) dueBeside(ctx context.Context, p *pass, row sendRow) ([]sendRow, error) {
	rows := []sendRow{row}
	var others []sendRow
	if err := e.db.Read().SelectContext(ctx, &others, "SELECT "+sendCols+" FROM sends WHERE contact_id=? AND id<>? AND until_at<=? AND +state IN ('ready','deferred') LIMIT 100",
		row.ContactID, row.ID, p.now); err != nil {
		return nil, fmt.Errorf("reading the mails beside: %w", err)
	}
	return append(rows, others...), nil
}

func (g *gating) judgement(c *candidate) Judgement {
	j := Judgement{At: g.now, Step: c.Step, State: Handing}
	if c.ID != 0 {
		j.Send = SendID(c.ID)
	}
	for _, check := range checks() {
		v := check.judge(g, c)
		line := Checked{Check: check.name, Verdict: CheckPassed, Value: v.value}
		if v.to != "" {
			line.Verdict, line.Reason, line.Sentence, line.Detail, line.Until = CheckStops, v.reason, v.reason.Sentence(), v.detail, v.until
			if v.to == Deferred {
				line.Verdict = CheckWaits
			}
			if j.State == Handing {
				end := g.final(c, v)
				j.State, j.Reason, j.Until = end.to, end.reason, end.until
			}
		}
		j.Checks = append(j.Checks, line)
		if c.profile == nil && v.reason == ContactGone {
			break // nothing is known that the others could look at
		}
	}
	return j
}

// nextSend is the mail of a campaign to a contact that waits, else the one that it would be if it were due now.
func (e *Engine) nextSend(ctx context.Context, p *pass, r running, contactID int64) (sendRow, error) {
	q := e.db.Read()
	var waiting []sendRow
	if err := q.SelectContext(ctx, &waiting, "SELECT "+sendCols+" FROM sends WHERE contact_id=? AND campaign=? AND +state IN ('ready','deferred') ORDER BY due_at, id LIMIT 1",
		contactID, r.id); err != nil {
		return sendRow{}, fmt.Errorf("reading the mail that waits: %w", err)
	}
	if len(waiting) > 0 {
		return waiting[0], nil
	}
	row := sendRow{
		Campaign: r.id, Step: r.firstSend(), ContactID: contactID, Lane: crm.LaneOf(contactID), Kind: r.kind, State: Ready, DueAt: p.now,
		NotAfter: p.now.Add(r.notAfter), Priority: r.priority, TriggeredAt: p.now,
	}
	for _, s := range p.shops {
		if s.Audience == r.audience {
			row.AudienceID = s.AudienceID
		}
	}
	var runs []enrolment
	if err := q.SelectContext(ctx, &runs, "SELECT "+enrolmentCols+" FROM enrolments WHERE contact_id=? AND campaign=? AND state IN ('active','sending') ORDER BY id DESC LIMIT 1",
		contactID, r.id); err != nil {
		return row, fmt.Errorf("reading the run that is under way: %w", err)
	}
	if len(runs) > 0 {
		n := runs[0]
		row.Occurrence, row.About, row.Variants, row.AudienceID, row.ShopID, row.TriggeredAt = n.Occurrence, n.About, n.Variants, n.AudienceID, n.ShopID, n.TriggeredAt
		if at, ok := r.step(n.Step); ok && at.sends() {
			row.Step = n.Step
		}
		return row, nil
	}
	profiles, err := e.profiles(ctx, q, []int64{contactID}, crm.Needs{Carts: true})
	if err != nil || profiles[contactID] == nil {
		return row, err
	}
	row.ShopID = profiles[contactID].Contact.HomeShopID
	if r.occurrence == OccurrenceCart {
		row.Occurrence = cartPrefix // of none, unless one is open
		if cart := openCart(profiles[contactID]); cart != nil {
			row.Occurrence, row.ShopID = cartOccurrence(cart), cart.ShopID
		}
	}
	return row, nil
}

// firstSend is the first step that sends, as they are written; "" when none does.
func (c *campaign) firstSend() string {
	for i := range c.steps {
		if c.steps[i].sends() {
			return c.steps[i].id
		}
	}
	return ""
}

// GateChecks lists the checks by name, in the order in which the gate makes them: for docs.
func GateChecks() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}
