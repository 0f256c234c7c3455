package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/outbox"
	"github.com/relance/relance/segments"
)

// adminOptions shows the rooms on the admin surface; every function reads and changes nothing.
func (w *daemon) adminOptions() web.AdminOptions {
	o := web.AdminOptions{
		Overview: w.overview, Contacts: w.contacts, Ready: w.ready,
		Gatherer: w.registry, Metrics: w.meters.web, Log: w.log.Named("admin"),
	}
	if len(w.outboxes) > 0 {
		o.Mails, o.Mail = w.mails, w.mail
	}
	return o
}

// ready is nil when this process can do its work.
func (w *daemon) ready(ctx context.Context) error {
	var one int
	if err := w.db.Read().GetContext(ctx, &one, "SELECT COUNT(*) FROM leases"); err != nil {
		return errors.New("the database does not answer")
	}
	if len(w.leases.Held()) == 0 {
		return errors.New("another process does the work; this one waits to take over")
	}
	return nil
}

func (w *daemon) overview(ctx context.Context) (web.Overview, error) {
	now := w.clock.Now()
	o := web.Overview{Version: versionOf(), Clock: web.Clock{Now: now, Speed: w.speed()}, Sending: web.Sending{On: true}, Files: w.files.now()}
	if why := w.mailer.Stopped(); len(why) > 0 {
		o.Sending = web.Sending{Reason: strings.Join(why, " ")}
	}
	var err error
	if o.Shops, err = w.shopLines(ctx, crm.At(now)); err != nil {
		return o, err
	}
	infos, err := segments.Infos(ctx, w.db.Read())
	if err != nil {
		return o, err
	}
	for _, i := range infos {
		line := web.Segment{ID: i.ID, Title: i.Title, Size: i.Size, State: i.State, BuildDone: i.BuildDone, BuildTotal: i.BuildTotal}
		if i.State == segments.StateLive {
			if line.History, err = w.trends.of(ctx, w.db.Read(), i.ID, now); err != nil {
				return o, err
			}
		}
		o.Segments = append(o.Segments, line)
	}
	campaigns, err := mailer.Infos(ctx, w.db.Read())
	if err != nil {
		return o, err
	}
	days, err := mailer.RevenueDays(ctx, w.db.Read(), campaigns, crm.At(now), revenueDays)
	if err != nil {
		return o, err
	}
	for _, c := range campaigns {
		line := campaignLine(c)
		line.Days = days[c.ID]
		o.Campaigns = append(o.Campaigns, line)
		o.Work.Unknown += c.Sends[string(mailer.Unknown)]
	}
	if o.Contacts, err = w.mirror.LiveContacts(ctx); err != nil {
		return o, err
	}
	for _, box := range w.outboxes {
		entries, err := box.Handed()
		if err != nil {
			return o, err
		}
		o.Mails += int64(len(entries))
	}
	return o, w.work(ctx, crm.At(now), &o.Work)
}

func (w *daemon) work(ctx context.Context, now crm.Instant, out *web.Work) error {
	var err error
	if out.Dirty, _, err = w.mirror.DirtyStats(ctx); err != nil {
		return err
	}
	mark, err := segments.Watermark(ctx, w.db.Read())
	if mark > 0 {
		out.WatermarkSeconds = max(float64(now-mark)/1000, 0)
	}
	return err
}

func (w *daemon) shopLines(ctx context.Context, now crm.Instant) ([]web.Shop, error) {
	sources := map[string]connectors.Source{}
	for _, s := range w.shops {
		sources[s.Name] = s.source
	}
	t := truth{mirror: w.mirror, cfg: w.cfg, now: now, speed: w.speed(), eta: w.reading.eta, source: func(shop string) connectors.Source { return sources[shop] }}
	return t.shops(ctx)
}

// revenueDays is how many days of revenue the page draws.
const revenueDays = 30

func campaignLine(c mailer.CampaignInfo) web.Campaign {
	line := web.Campaign{ID: c.ID, Title: c.Title, Starts: c.Starts, Segment: c.Segment, State: c.State, Reason: cmp.Or(c.Reason, c.NotMailed), ArmedAt: c.ArmedAt.Time()}
	for _, s := range mailer.States() {
		line.Sends = append(line.Sends, web.SendCount{State: string(s), Count: c.Sends[string(s)]})
	}
	for _, name := range mailer.CameBack() {
		line.CameBack = append(line.CameBack, web.Outcome{Name: name, Text: mailer.CameBackText(name), Count: c.CameBack[name]})
	}
	for _, e := range c.Earned {
		line.Earned = append(line.Earned, web.Earned{Currency: e.Currency, Orders: e.Orders, Revenue: e.Revenue, Carts: e.Carts, CartValue: e.CartValue})
	}
	return line
}

const publicIDPrefix = "ct_"

// publicID is what a contact is called outside of the database.
func publicID(id int64) string { return publicIDPrefix + strconv.FormatInt(id, 36) }

func (w *daemon) contacts(ctx context.Context, after string, limit int) (web.ContactPage, error) {
	var page web.ContactPage
	var before int64
	if after != "" {
		id, err := strconv.ParseInt(strings.TrimPrefix(after, publicIDPrefix), 36, 64)
		if err != nil {
			return page, web.ErrNotFound
		}
		before = id
	}
	var err error
	if page.Total, err = w.mirror.LiveContacts(ctx); err != nil {
		return page, err
	}
	lines, err := w.mirror.NewestContacts(ctx, before, limit+1)
	if err != nil {
		return page, err
	}
	more := len(lines) > limit
	if more {
		lines = lines[:limit]
	}
	for _, l := range lines {
		page.Contacts = append(page.Contacts, web.Contact{
			ID: publicID(l.ID), Shop: l.Shop, Locale: l.Locale, Country: l.Country, Orders: l.Sales,
			LastOrderAt: l.LastPlacedAt.Time(), RegisteredAt: l.RegisteredAt.Time(),
		})
	}
	if more {
		page.Next = publicID(lines[limit-1].ID)
	}
	return page, nil
}

// mails pages over the outboxes of all audiences, newest first; the cursor is how many were shown before.
func (w *daemon) mails(_ context.Context, after string, limit int) (web.MailPage, error) {
	var page web.MailPage
	skip, err := strconv.Atoi(cmp.Or(after, "0"))
	if err != nil || skip < 0 {
		return page, web.ErrNotFound
	}
	var all []outbox.Entry
	for _, box := range w.outboxes {
		entries, err := box.Mails(skip + limit + 1)
		if err != nil {
			return page, err
		}
		all = append(all, entries...)
	}
	slices.SortStableFunc(all, func(a, b outbox.Entry) int { return b.Created.Compare(a.Created) })
	all = all[min(skip, len(all)):]
	if len(all) > limit {
		all, page.Next = all[:limit], fmt.Sprint(skip+limit)
	}
	for _, e := range all {
		page.Mails = append(page.Mails, mailLine(e))
	}
	return page, nil
}

func mailLine(e outbox.Entry) web.MailLine {
	return web.MailLine{ID: e.ID, Campaign: e.Campaign, Step: e.Step, To: e.To, Subject: e.Subject, At: e.Created}
}

func (w *daemon) mail(_ context.Context, id string) (web.Mail, error) {
	for _, box := range w.outboxes {
		c, err := box.Open(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return web.Mail{}, err
		}
		m := web.Mail{MailLine: mailLine(c.Entry), From: c.From, HTML: c.HTML, Text: c.Text}
		for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
			m.Headers = append(m.Headers, web.Header{Name: name, Value: c.Headers[name]})
		}
		return m, nil
	}
	return web.Mail{}, web.ErrNotFound
}
