package mailer_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

// chain is a world in which what a shop shows goes all the way: mirror, segments, mailer.
type chain struct {
	*world
	keeper *segments.Maintainer
	reads  crm.Instant
}

func eachChain(t *testing.T, fn func(t *testing.T, c *chain)) {
	t.Helper()
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.m.TellAsked(mailer.Askers)
		fn(t, &chain{world: w})
	})
}

// begin arms campaigns an hour ago and lets the maintainer keep their segments.
func (c *chain) begin(f mailer.CampaignFile) {
	c.tb.Helper()
	c.armSince(f, c.now.Add(-time.Hour))
	c.keep(f)
}

func (c *chain) keep(f mailer.CampaignFile) {
	c.tb.Helper()
	all := c.file()
	maps.Copy(all, mailer.ImplicitSegments(f))
	defs, problems := rule.CompileAll(all)
	if len(problems) > 0 {
		c.tb.Fatal(problems)
	}
	c.keeper = segments.NewMaintainer(c.m, c.leases, defs, segments.Options{Listening: mailer.Listening, Told: mailer.TellWorth(c.m)})
	if err := c.keeper.Deploy(c.tb.Context(), c.now); err != nil {
		c.tb.Fatal(err)
	}
	c.live()
}

// live lets everything that is to be done now be done.
func (c *chain) live() {
	c.tb.Helper()
	if err := c.tryLive(); err != nil {
		c.tb.Fatal(err)
	}
}

func (c *chain) tryLive() error {
	for range 1000 {
		_, worked, err := c.keeper.Step(context.Background(), c.now)
		if err != nil {
			return err
		}
		if !worked {
			return c.tryRun()
		}
	}
	return fmt.Errorf("the maintainer finds work for ever")
}

func (c *chain) liveAt(at time.Time) {
	c.tb.Helper()
	c.now = at
	c.live()
}

func (c *chain) read(facts ...crm.Fact) {
	c.tb.Helper()
	c.readAs(crm.CauseChange, facts...)
}

func (c *chain) readAs(cause crm.Cause, facts ...crm.Fact) {
	c.tb.Helper()
	c.reads = max(c.reads+1, crm.At(c.now))
	c.write(func(tx *store.Tx) error {
		_, err := c.m.Apply(context.Background(), tx, mirror.Batch{ShopID: c.shop, ObservedAt: c.reads, Cause: cause, Facts: facts})
		return err
	})
}

// who finds the contact of an address.
func (c *chain) who(email string) int64 {
	c.tb.Helper()
	var id int64
	if err := c.db.Read().GetContext(c.tb.Context(), &id, "SELECT id FROM contacts WHERE email_norm=?", email); err != nil {
		c.tb.Fatal(email, err)
	}
	return id
}

func (c *chain) info(campaign string) mailer.CampaignInfo {
	c.tb.Helper()
	for _, i := range must(mailer.Infos(c.tb.Context(), c.db.Read()))(c.tb) {
		if i.ID == campaign {
			return i
		}
	}
	c.tb.Fatal("no campaign", campaign)
	return mailer.CampaignInfo{}
}

// expectRuns compares how many runs campaigns have had, by all contacts.
func (c *chain) expectRuns(want map[string]int) {
	c.tb.Helper()
	for id, n := range want {
		if got := c.count("SELECT COUNT(*) FROM enrolments WHERE campaign=?", id); got != n {
			c.tb.Errorf("%s: %d runs, want %d", id, got, n)
		}
	}
}

// tells is a transactional campaign of one mail.
func tells(t mailer.TriggerSpec) mailer.CampaignSpec {
	return mailer.CampaignSpec{
		Kind: mailer.KindTransactional, Trigger: t,
		Steps: []mailer.StepSpec{{ID: "first", Send: &mailer.SendSpec{Template: "win_back"}}},
	}
}

func shopOrder(id, email, state string, placed time.Time, change func(*crm.Order)) crm.Fact {
	o := &crm.Order{
		Number: id, Email: email, State: state, CountsAsSale: crm.CountsAsSale(state), Currency: "EUR", Total: 4990, PlacedAt: crm.At(placed), ModifiedAt: crm.At(placed),
	}
	if change != nil {
		change(o)
	}
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindOrder, ID: id}, Body: o}
}

func shopEvent(id, email, name string, at time.Time, properties map[string]string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindEvent, ID: id}, Body: &crm.Event{Name: name, Email: email, At: crm.At(at), Properties: properties}}
}

func shopProduct(id, parent string, inStock bool) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: id}, Body: &crm.Product{Name: "Robe", ParentID: parent, InStock: inStock}}
}
