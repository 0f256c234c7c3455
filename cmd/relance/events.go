package main

import (
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer/sendgrid"
)

// events takes what SendGrid says of the mails of each audience, by the key in force.
func (w *daemon) events() web.EventsFunc {
	byName := map[string]sendgrid.EventAudience{}
	for _, s := range w.shops {
		if _, done := byName[s.Audience]; done {
			continue
		}
		// A key that cannot be read was refused at load; whatever it may be, nothing is taken by it.
		key, _ := sendgrid.ParseEventKey(w.cfg.Audiences[s.Audience].SendGrid.WebhookKey)
		byName[s.Audience] = sendgrid.EventAudience{ID: s.AudienceID, Key: key}
	}
	return sendgrid.NewEventReceiver(w.mirror, sendgrid.EventOptions{
		Audiences: byName, Now: w.clock.Now, Metrics: w.meters.events, Log: w.log.Named("events"),
	}).Receive
}
