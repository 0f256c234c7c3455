package mailer

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/relance/relance/internal/crm"
)

const cartPrefix = "cart:"

// cartOccurrence names the run of a campaign about one cart: "cart:<shop>:<id>", since ids are the shop's own.
func cartOccurrence(c *crm.ProfileCart) string {
	return clip(cartPrefix+strconv.FormatInt(c.ShopID, 10)+":"+c.ID, 128)
}

// cartOf finds the cart of an occurrence; for any other occurrence the most recent open one. nil when there is none.
func cartOf(p *crm.Profile, occurrence string) *crm.ProfileCart {
	if !strings.HasPrefix(occurrence, cartPrefix) {
		return openCart(p)
	}
	for i := range p.Carts {
		if cartOccurrence(&p.Carts[i]) == occurrence {
			return &p.Carts[i]
		}
	}
	return nil
}

func openCart(p *crm.Profile) *crm.ProfileCart {
	var found *crm.ProfileCart
	for i := range p.Carts {
		if c := &p.Carts[i]; c.ClosedAt == 0 && (found == nil || c.ActiveAt >= found.ActiveAt) {
			found = c
		}
	}
	return found
}

func lastSale(p *crm.Profile) *crm.ProfileOrder {
	for i, o := range slices.Backward(p.Orders) {
		if o.CountsAsSale {
			return &p.Orders[i]
		}
	}
	return nil
}

// fillIn makes the mails of those that have passed, on all processors.
func (g *gating) fillIn(passed []*candidate) {
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), len(passed))
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(passed); i += workers {
				passed[i].mail, passed[i].unrendered = g.mail(passed[i])
			}
		})
	}
	wg.Wait()
}

// mail fills in the template and addresses the result. Its errors are the template's.
func (g *gating) mail(c *candidate) (m Mail, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("filling in template %s: the program failed: %v", c.template, r)
		}
	}()
	shop := g.shops[c.ShopID]
	locale := orElse(c.profile.Contact.Locale, shop.Locale)
	if c.sendgrid == "" {
		locale = g.e.o.Renderer.Locale(c.template, locale)
	}
	d := g.data(c, locale)
	if c.Kind == KindMarketing {
		if d.Unsubscribe, err = g.unsubscribeLink(c.profile.Contact); err != nil {
			return Mail{}, err
		}
		if err = g.landingLinks(c, &d); err != nil {
			return Mail{}, err
		}
	}
	if err = g.choiceLinks(c, &d); err != nil {
		return Mail{}, err
	}
	m = Mail{
		SendID: SendID(c.ID), Campaign: c.Campaign, Step: c.Step,
		FromEmail: c.sender.FromEmail, FromName: c.sender.FromName, ReplyTo: c.sender.ReplyTo,
		ToEmail: c.profile.Contact.Email, ToName: fullName(c.profile.Contact), Created: g.now.Time(),
	}
	if c.sendgrid != "" {
		m.TemplateID, m.TemplateData = c.sendgrid, d.Dynamic()
	} else {
		r, err := g.e.o.Renderer.Render(c.template, locale, d)
		if err != nil {
			return Mail{}, err
		}
		m.Subject, m.HTML, m.Text = r.Subject, r.HTML, r.Text
	}
	if d.Unsubscribe != "" {
		m.Headers = map[string]string{"List-Unsubscribe": "<" + d.Unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
	}
	g.track(c, &m)
	return m, nil
}

// SendID is how a row of the ledger is named outside: in the provider's metadata and on the page.
func SendID(id int64) string { return strconv.FormatInt(id, 36) }

func fullName(c crm.Contact) string { return strings.TrimSpace(c.FirstName + " " + c.LastName) }

func (g *gating) unsubscribeLink(c crm.Contact) (string, error) {
	token, err := g.e.o.Keys.Token(Subject{ContactID: c.ID, AudienceID: c.AudienceID, Topic: TopicMarketing})
	return g.e.o.PublicURL + "/u/" + token, err
}

func (g *gating) data(c *candidate, locale string) Data {
	contact, shop := c.profile.Contact, g.shops[c.ShopID]
	d := Data{
		Contact: ContactData{FirstName: contact.FirstName, LastName: contact.LastName, Email: contact.Email},
		Shop:    ShopData{Title: orElse(shop.Title, shop.Name), URL: shop.Address},
		Sender:  SenderData{Name: c.sender.FromName, PostalAddress: c.sender.PostalAddress, Email: orElse(c.sender.ReplyTo, c.sender.FromEmail)},
		Locale:  locale, Now: g.now.Time().In(c.zone),
	}
	if c.cart != nil {
		d.Cart = cartData(c.cart, shop, locale)
	}
	if o := lastSale(c.profile); o != nil {
		d.LastOrder = orderData(o, locale, c.zone)
	}
	g.fillContent(&d, c)
	return d
}
