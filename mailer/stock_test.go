package mailer_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

func ask(id, email, product string, at time.Time) crm.Fact {
	return shopEvent(id, email, "stock_alert", at, map[string]string{"product_id": product})
}

// spread carries the shop's changes out to whom they concern.
func (c *chain) spread() {
	c.tb.Helper()
	for range 100 {
		worked, err := c.m.FanOutStep(c.tb.Context(), crm.At(c.now))
		if err != nil {
			c.tb.Fatal(err)
		}
		if !worked {
			c.live()
			return
		}
	}
	c.tb.Fatal("changes are spread for ever")
}

func (c *chain) stock(id, parent string, there bool) {
	c.tb.Helper()
	c.now = c.now.Add(time.Minute)
	c.read(shopProduct(id, parent, there))
	c.spread()
}

func TestWhoAskedHearsThatAProductIsThereAgain(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.begin(mailer.CampaignFile{"back": tells(mailer.TriggerSpec{Stock: &mailer.StockSpec{}})})
		c.readAs(crm.CauseBackfill, shopProduct("70", "", true), shopProduct("71", "70", true), shopProduct("8", "", false))
		c.read(ask("early", "kim@example.com", "71", c.now)) // it is there
		c.stock("71", "70", false)
		c.now = c.now.Add(time.Minute)
		c.read(ask("1", zoeMail, "71", c.now), ask("2", zoeMail, "71", c.now), ask("3", "ana@example.com", "70", c.now), ask("4", "lea@example.com", "8", c.now),
			shopEvent("5", "max@example.com", "viewed_product", c.now, map[string]string{"product_id": "71"}))
		c.live()
		c.expectRuns(map[string]int{"back": 0})
		c.stock("71", "70", true)
		c.expectRuns(map[string]int{"back": 2}) // the variation and its parent, each once
		c.stock("71", "70", true)
		c.stock("71", "70", false)
		c.stock("71", "70", true) // nobody has asked since
		c.expectRuns(map[string]int{"back": 2})
		c.stock("71", "70", false)
		c.now = c.now.Add(time.Minute)
		c.read(ask("6", zoeMail, "71", c.now))
		c.stock("71", "70", true)
		c.expectRuns(map[string]int{"back": 3})
		if n := c.count("SELECT COUNT(*) FROM enrolments WHERE about=?", fmt.Sprintf("product:%d:71", c.shop)); n != 2 {
			t.Errorf("%d runs about the variation", n)
		}
		c.readAs(crm.CauseBackfill, shopProduct("8", "", true)) // first reads tell nobody anything
		c.spread()
		c.expectRuns(map[string]int{"back": 3})
	})
}

// It came, went and came again before anybody looked: the asking is still answered.
func TestAnAskingIsNotLostWhereStockComesAndGoes(t *testing.T) {
	eachChain(t, func(t *testing.T, c *chain) {
		c.begin(mailer.CampaignFile{"back": tells(mailer.TriggerSpec{Stock: &mailer.StockSpec{}})})
		c.read(shopProduct("7", "", true))
		c.stock("7", "", false)
		c.now = c.now.Add(time.Minute)
		c.read(ask("1", zoeMail, "7", c.now))
		for _, there := range []bool{true, false} {
			c.now = c.now.Add(time.Minute)
			c.read(shopProduct("7", "", there))
		}
		c.spread()
		c.expectRuns(map[string]int{"back": 0}) // nothing to sell
		c.stock("7", "", true)
		c.expectRuns(map[string]int{"back": 1})
		c.stock("7", "", false)
		c.stock("7", "", true)
		c.expectRuns(map[string]int{"back": 1})
	})
}

// A crash at any commit on the way neither loses nor repeats an answer; many askers are spread page by page.
func TestAProductThatIsBackIsToldThroughCrashes(t *testing.T) {
	crash := errors.New("the process ends here")
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			fails := ""
			db := servers.Open(t, engine, store.Options{Fault: func(name, when string) error {
				if name+" "+when == fails {
					fails = ""
					return crash
				}
				return nil
			}})
			c := &chain{world: newWorld(t, db)}
			c.m.TellAsked(mailer.Askers)
			c.begin(mailer.CampaignFile{"back": tells(mailer.TriggerSpec{Stock: &mailer.StockSpec{Asked: []string{"stock_alert", "wish"}}})})
			c.read(shopProduct("7", "", true))
			c.stock("7", "", false)
			const people = 520 // more than a page
			var facts []crm.Fact
			for i := range people {
				facts = append(facts, shopEvent(fmt.Sprint("a", i), fmt.Sprintf("p%d@example.com", i), []string{"stock_alert", "wish"}[i%2], c.now, map[string]string{"product_id": "7"}))
			}
			c.read(facts...)
			c.options.SendingAllowed = func() error { return errors.New("the mails are another matter") }
			c.rebuild()
			c.live()
			c.now = c.now.Add(time.Minute)
			c.read(shopProduct("7", "", true))
			for _, at := range []string{"mirror.fanout before", "mirror.fanout after", "mirror.fanout after"} {
				fails = at
				if _, err := c.m.FanOutStep(t.Context(), crm.At(c.now)); !errors.Is(err, crash) {
					t.Fatal(at, err)
				}
			}
			for _, at := range []string{"mailer.touched before", "mailer.touched after"} {
				fails = at
				if err := c.tryRun(); !errors.Is(err, crash) {
					t.Fatal(at, err)
				}
			}
			c.spread()
			c.expectRuns(map[string]int{"back": people})
		})
	}
}
