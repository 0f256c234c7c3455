package mailer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relance/relance/internal/fault"
)

// party is mails that their provider may take in one request.
type party struct {
	provider BatchProvider
	hands    []*handed
}

// parties tells the mails that go together from those that go alone: the former are filled in by the provider itself, and an
// audience's go to one provider.
func parties(hands []handed) (alone []*handed, together []*party) {
	of := map[int64]*party{}
	for i := range hands {
		h := &hands[i]
		p, ok := h.provider.(BatchProvider)
		if !ok || h.mail.TemplateID == "" {
			alone = append(alone, h)
			continue
		}
		if of[h.row.AudienceID] == nil {
			of[h.row.AudienceID] = &party{provider: p}
			together = append(together, of[h.row.AudienceID])
		}
		of[h.row.AudienceID].hands = append(of[h.row.AudienceID].hands, h)
	}
	return alone, together
}

// handTogether is handOne for mails that share a call.
func (e *Engine) handTogether(ctx context.Context, p *party) {
	wall := e.o.Wall()
	before := p.hands[0].before
	mails := make([]Mail, len(p.hands))
	for i, h := range p.hands {
		mails[i] = h.mail
		if h.before.Before(before) {
			before = h.before
		}
	}
	if late(ctx, before, wall) {
		for _, h := range p.hands {
			h.answer = notSent(Late, wall)
		}
		return
	}
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), before.Sub(wall))
	defer cancel()
	results := sendBatch(sending, p.provider, mails)
	for i, h := range p.hands {
		h.took = e.since(wall)
		switch r := results[i]; {
		case r.Held:
			h.answer = notSent(SharedRequest, e.o.Wall())
		default:
			h.answer = judge(r.MessageID, r.Err, h.row.Attempts, e.o.Wall())
		}
	}
}

// sendBatch turns a panic of a provider, and a result that is missing, into an answer that nobody knows.
func sendBatch(ctx context.Context, p BatchProvider, mails []Mail) (results []Result) {
	unknown := func(err error) {
		results = make([]Result, len(mails))
		for i := range results {
			results[i].Err = fault.New(fault.Unknown, "handing mails to "+p.Name(), err)
		}
	}
	defer func() {
		if r := recover(); r != nil {
			unknown(fmt.Errorf("the program failed: %v", r))
		}
	}()
	if results = p.SendBatch(ctx, mails); len(results) != len(mails) {
		unknown(errors.New("it did not say of each what became of it"))
	}
	return results
}

// late tells whether a mail must not leave any more. A machine that slept, or a process that was stopped, must not send what
// others have taken for unknown since: Before compares the monotonic clock, and the wall clock once that is stripped.
func late(ctx context.Context, before, wall time.Time) bool {
	return ctx.Err() != nil || !wall.Before(before) || !wall.Round(0).Before(before.Round(0))
}
