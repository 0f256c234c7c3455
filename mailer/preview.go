package mailer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

// PlaceholderCode stands in previews and test mails where a coupon would: nobody's code is taken for one.
const PlaceholderCode = "SAMPLE-CODE"

// PreviewOptions say which mails of a campaign are wanted. The campaign is the one of the files, whether it has been deployed
// as it stands there or not.
type PreviewOptions struct {
	Campaign  string
	Spec      CampaignSpec
	Segments  rule.File
	ContactID int64
	Step      string // "" = every step that sends
	Locale    string // "" = the contact's
}

// Previewed is the mail of one step as a contact would get it now. Its links lead where the real one's lead, and act for
// nobody: whoever follows them unsubscribes nobody, chooses for nobody, and is nobody's click.
type Previewed struct {
	Step     string
	Template string // "" for a template of SendGrid: Mail.TemplateID
	Locale   string // of the template
	State    string // of the campaign: CampaignDraft also when only the files have it
	Mail     Mail
	Failed   error     // the template could not be filled in; Mail is empty
	Sample   bool      // the code in it is PlaceholderCode
	Gate     Judgement // what the gate would say were the campaign armed
}

// SendSteps lists the steps of a campaign that send, those in branches and variants too, as they are written. Template is ""
// for those that SendGrid fills in. The campaign is valid.
func SendSteps(id string, spec CampaignSpec, segments rule.File) []Previewed {
	c, _ := compile(id, spec, segments, nil)
	var out []Previewed
	for i := range c.steps {
		if s := &c.steps[i]; s.sends() {
			out = append(out, Previewed{Step: s.id, Template: s.template, Mail: Mail{TemplateID: s.sendgrid}})
		}
	}
	return out
}

// Preview fills in the mails that a contact would get now, by the gate's own functions and from the facts as they are, in the
// order in which the steps are written. It writes and sends nothing and takes no code. now is business time. Not to be
// called while another goroutine calls Step.
func (e *Engine) Preview(ctx context.Context, o PreviewOptions, now time.Time) ([]Previewed, error) {
	p := e.newPass(crm.At(now))
	if _, err := e.read(ctx, p); err != nil {
		return nil, err
	}
	if len(p.lanes) == 0 {
		for l := range crm.Lanes {
			p.lanes = append(p.lanes, l)
		}
	}
	def, problems := compile(o.Campaign, o.Spec, o.Segments, nil)
	if len(problems) > 0 {
		return nil, fmt.Errorf("reading campaign %s: %s: %s", o.Campaign, problems[0].Path, problems[0].Message)
	}
	r := p.campaigns[o.Campaign]
	state := orElse(r.state, CampaignDraft)
	if r.campaign = def; r.state != CampaignArmed {
		r.state, r.reason, r.armedAt = CampaignArmed, "", p.now
	}
	p.campaigns[o.Campaign] = r
	base, err := e.previewRow(ctx, p, r, o.ContactID)
	if err != nil {
		return nil, err
	}
	var out []Previewed
	for i := range def.steps {
		at := &def.steps[i]
		if !at.sends() || o.Step != "" && o.Step != at.id {
			continue
		}
		one, err := e.previewStep(ctx, p, base, at.id, o.Locale)
		if err != nil {
			return nil, fmt.Errorf("previewing step %s: %w", at.id, err)
		}
		one.State = state
		out = append(out, one)
	}
	return out, nil
}

// previewRow is the mail that waits, else the one that would be if it were due now, about what a run would most likely be about.
func (e *Engine) previewRow(ctx context.Context, p *pass, r running, contactID int64) (sendRow, error) {
	row, err := e.nextSend(ctx, p, r, contactID)
	if err != nil {
		return row, err
	}
	found, err := e.profiles(ctx, e.db.Read(), []int64{contactID}, rule.Union(r.gateNeeds(), crm.Needs{Orders: true, Moments: true, Events: []string{crm.AllEvents}}))
	if err != nil {
		return row, err
	}
	profile := found[contactID]
	switch {
	case profile == nil || profile.Contact.ErasedAt > 0:
		return row, errors.New("there is no such contact")
	case profile.Contact.MergedInto != 0:
		return row, fmt.Errorf("this contact is one with contact %d now; ask about that one", profile.Contact.MergedInto)
	case row.AudienceID == 0:
		return row, fmt.Errorf("no shop of the audience %s has been read yet", r.audience)
	case profile.Contact.AudienceID != row.AudienceID:
		return row, fmt.Errorf("this contact is one of another audience; campaign %s writes to %s", r.id, r.audience)
	}
	if row.About == "" && row.ID == 0 && row.EnrolmentID == 0 {
		if name, shop := newestFact(r, profile); name != "" {
			row.About, row.ShopID = name, shop
		}
	}
	return row, nil
}

// newestFact is the newest of a contact's facts of the kind that starts a campaign, as runs name what they are about.
func newestFact(r running, p *crm.Profile) (name string, shop int64) {
	switch r.on {
	case triggerOrder:
		var at crm.Instant
		for _, f := range orderFacts(r.moment, p) {
			if f.at >= at {
				at, name, shop = f.at, f.about, f.shopID
			}
		}
	case triggerEvent, triggerStock:
		var at crm.Instant
		for i := range p.Events {
			ev := &p.Events[i]
			product := ev.Properties[askedProduct]
			switch {
			case ev.At < at:
			case r.on == triggerEvent && r.act.Is(ev):
				at, shop, name = ev.At, ev.ShopID, about(eventPrefix, ev.ShopID, ev.ID)
			case r.on == triggerStock && product != "" && slices.Contains(r.asked, ev.Name):
				at, shop, name = ev.At, ev.ShopID, about(productPrefix, ev.ShopID, product)
			}
		}
	}
	return name, shop
}

// previewStep judges one mail and fills it in.
func (e *Engine) previewStep(ctx context.Context, p *pass, base sendRow, step, locale string) (Previewed, error) {
	row := base
	if row.Step != step {
		row.ID, row.Step, row.State, row.DueAt, row.NotAfter = 0, step, Ready, p.now, p.now.Add(p.campaigns[row.Campaign].notAfter)
	}
	g, c, j, err := e.judged(ctx, p, row)
	if err != nil {
		return Previewed{}, err
	}
	out := Previewed{Step: step, Template: c.template, Gate: j, Sample: g.placeholder(c)}
	g.actsForNobody(c)
	if locale != "" {
		c.profile.Contact.Locale = locale
	}
	if c.template != "" {
		out.Locale = e.o.Renderer.Locale(c.template, orElse(c.profile.Contact.Locale, g.shops[c.ShopID].Locale))
	}
	out.Mail, out.Failed = g.mail(c)
	out.Mail.SendID = "" // it is not in the ledger
	return out, nil
}

// placeholder puts a code that is none where the mail shows one: also for a contact who has been given a code, so that it
// stays between the two.
func (g *gating) placeholder(c *candidate) bool {
	if !g.needsCoupon(c.sendRow) {
		return false
	}
	codes := g.content.coupons.of
	run := c.sendRow.run()
	codes[run] = codeRow{Code: PlaceholderCode, Worth: orElse(codes[run].Worth, g.sourceOf(c.sendRow).worth), Expires: g.lastDay(c)}
	return true
}

// actsForNobody makes the links of a mail those of contact 0 and of mail 0, which there never are: see store.NewID. Pages that
// only show something show what the contact's would.
func (g *gating) actsForNobody(c *candidate) {
	row, profile := *c.sendRow, *c.profile
	if g.content.picks != nil {
		g.content.picks[0] = g.content.picks[row.ID]
	}
	row.ID, profile.Contact.ID = 0, 0
	c.sendRow, c.profile = &row, &profile
}
