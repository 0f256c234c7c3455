package yeartest

import (
	"fmt"
	"time"

	"github.com/relance/relance/mailer"
)

// report plans what the provider says of a mail that it took: late, more than once, out of order, or never.
func (p *provider) report(h *handedMail) {
	if p.percent(3) {
		return // all of it is lost
	}
	at := h.at.Add(time.Second + p.span(20*time.Second))
	kinds := []string{mailer.EventProcessed}
	switch n := p.pick(100); {
	case n < 4:
		kinds = append(kinds, mailer.EventBounced)
	case n < 6:
		kinds = append(kinds, mailer.EventDelayed)
	default:
		kinds = append(kinds, mailer.EventDelivered)
		if p.percent(50) {
			kinds = append(kinds, mailer.EventOpened)
		}
		if p.percent(25) {
			kinds = append(kinds, mailer.EventClicked)
		}
		if p.percent(3) {
			kinds = append(kinds, mailer.EventComplained)
		}
		if p.percent(2) {
			kinds = append(kinds, mailer.EventUnsubscribed)
		}
	}
	for i, kind := range kinds {
		at = at.Add(p.span(time.Duration(1+i*i) * time.Minute))
		if p.percent(8) {
			continue
		}
		p.planEvent(h, kind, at)
	}
}

func (p *provider) planEvent(h *handedMail, kind string, at time.Time) {
	p.events++
	v := mailer.ProviderEvent{
		ID: fmt.Sprintf("v%d", p.events), Source: "sendgrid", Kind: kind, SendID: h.mail.SendID, MessageID: h.id, Email: h.mail.ToEmail,
		Hard: kind == mailer.EventBounced && p.percent(70), UserAgent: "Mozilla/5.0 (iPhone)", URL: "https://shop.example/p",
	}
	if p.percent(10) {
		v.SendID = "" // custom_args went missing
	}
	comes := at
	switch p.pick(8) {
	case 0:
		comes = at.Add(p.span(3 * 24 * time.Hour))
	case 1:
		comes = at.Add(p.span(2 * time.Hour))
	}
	if p.percent(70) { // many come in one body
		comes = comes.Truncate(4 * time.Hour).Add(4 * time.Hour)
	}
	times := 1
	if p.percent(15) {
		times = 1 + p.pick(46)
	}
	v.At = crmAt(at)
	p.agenda.plan(comes, func() { p.deliver(v, times) })
	if times > 1 && p.percent(50) { // and once more, much later
		p.agenda.plan(comes.Add(p.span(30*time.Hour)), func() { p.deliver(v, 1) })
	}
}

// deliver posts one event so many times in one body, among others that came before.
func (p *provider) deliver(v mailer.ProviderEvent, times int) {
	var body []mailer.ProviderEvent
	for range times {
		body = append(body, v)
	}
	if n := len(p.batches); n > 0 && p.percent(20) {
		body = append(body, p.batches[p.pick(n)])
	}
	p.batches = append(p.batches, v)
	p.dice.Shuffle(len(body), func(i, j int) { body[i], body[j] = body[j], body[i] })
	if p.mistake.LosesEvents {
		p.judge.event(v)
		return
	}
	_, err := mailer.RecordEvents(p.ctx, p.m, p.audience, body, p.at())
	p.must(err)
	p.tell("event %s of %s, %d times", v.Kind, v.Email, times)
	p.judge.event(v)
}
