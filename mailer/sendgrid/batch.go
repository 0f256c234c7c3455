package sendgrid

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

// SendBatch implements mailer.BatchProvider. Mails that share campaign, step, sender and dynamic template go in one request;
// every other goes alone. It takes 10 s at most.
func (p *Provider) SendBatch(ctx context.Context, mails []mailer.Mail) []mailer.Result {
	results := make([]mailer.Result, len(mails))
	if err := p.ready(ctx); err != nil {
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	all := requests(mails, func(i int, err error) { results[i].Err = fault.New(fault.Reject, op, err) })
	var wg sync.WaitGroup
	for _, r := range all[min(1, len(all)):] {
		wg.Go(func() { p.post(ctx, r, results, false) })
	}
	if len(all) > 0 {
		p.post(ctx, all[0], results, len(mails) == 1)
	}
	wg.Wait()
	return results
}

// post makes one request and writes what it means for each of its mails.
func (p *Provider) post(ctx context.Context, r *request, results []mailer.Result, single bool) {
	whole := func(res mailer.Result) {
		for _, i := range r.at {
			results[i] = res
		}
	}
	defer func() {
		if failed := recover(); failed != nil {
			whole(mailer.Result{Err: fault.New(fault.Unknown, op, fmt.Errorf("the program failed: %v", failed))})
		}
	}()
	body, err := r.body(p.config.Sandbox, single)
	if err != nil {
		whole(mailer.Result{Err: fault.New(fault.Reject, op, err)})
		return
	}
	resp, err := p.ask(ctx, "/v3/mail/send", body)
	if err != nil {
		whole(mailer.Result{Err: err})
		return
	}
	defer resp.Body.Close() //nolint:errcheck // the answer is known
	if accepted(resp) {
		whole(mailer.Result{MessageID: resp.Header.Get("X-Message-Id")})
		return
	}
	said := complaints(resp)
	if resp.StatusCode == http.StatusBadRequest && len(r.mails) > 1 {
		if named := p.named(resp, r, said); len(named) > 0 {
			for n, i := range r.at {
				results[i] = mailer.Result{Err: named[n], Held: named[n] == nil}
			}
			return
		}
	}
	why := ""
	if len(said) > 0 {
		why = quote(said[0], r.mails, p.config.APIKey)
	}
	whole(mailer.Result{Err: refused(resp, why, time.Now())})
}

// named finds the mails of a request that SendGrid complains of by their number. A request is taken whole or not at all, so
// the others were certainly not sent.
func (p *Provider) named(resp *http.Response, r *request, said []complaint) map[int]error {
	out := map[int]error{}
	for _, c := range said {
		if n, ok := c.of(); ok && n < len(r.mails) && out[n] == nil {
			out[n] = refused(resp, quote(c, r.mails, p.config.APIKey), time.Now())
		}
	}
	return out
}
