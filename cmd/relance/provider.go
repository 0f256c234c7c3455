package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/sendgrid"
	"github.com/relance/relance/mailer/smtp"
)

// providerOf makes what sends an audience's mails; nil when they are kept here. It asks nothing of it yet.
func providerOf(c config.Audience, transport http.RoundTripper) mailer.Provider {
	switch c.Provider {
	case "sendgrid":
		return sendgrid.New(c.SendGrid, transport)
	case "smtp":
		return smtp.New(c.SMTP)
	}
	return nil
}

// probeProvider finds out whether an audience's provider would take mails, without sending one.
func probeProvider(ctx context.Context, c config.Audience, transport http.RoundTripper) connectors.Finding {
	p, ok := providerOf(c, transport).(mailer.Prober)
	if !ok {
		return connectors.Finding{What: "mails", OK: true, Text: "They are kept in " + c.Outbox.Dir + "; nothing leaves."}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	found, err := p.Probe(ctx)
	if err == nil {
		return connectors.Finding{What: "mails", OK: true, Text: found}
	}
	f := connectors.Finding{What: "mails", Text: err.Error()}
	if e, ok := errors.AsType[*fault.Error](err); ok { // what to mend has a line of its own
		f.Mend = e.Hint
		f.Text = (&fault.Error{Op: e.Op, Err: e.Err}).Error() + "."
	}
	return f
}
