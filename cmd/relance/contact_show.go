package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/mailer"
)

// contactCmd groups what is done about one person.
type contactCmd struct {
	Show  contactShowCmd  `cmd:"" help:"Show what is known of a contact."`
	Merge contactMergeCmd `cmd:"" help:"Let a contact count for another: they are one person."`
	Split contactSplitCmd `cmd:"" help:"Take a merge back."`
	Erase contactEraseCmd `cmd:"" help:"Forget a person for good."`

	Export contactExportCmd `cmd:"" help:"Write down everything that is held of a person, for them."`
}

type contactShowCmd struct {
	Contact string `arg:"" help:"E-mail, - to read it from standard input, or contact id."`
	JSON    bool   `help:"One JSON object." name:"json"`
}

// Help shows examples.
func (contactShowCmd) Help() string {
	return "Accounts, addresses, merges, consents, figures and open carts, from the database alone: the shop is not asked. Exit code 1 when\n" +
		"there is no such contact.\n\nExamples:\n\n  relance contact show somebody@example.com\n  echo somebody@example.com | relance contact show - --json"
}

// shownContact is the answer of contact show --json. Version 1: keys may be added. Amounts are decimal texts.
type shownContact struct {
	Version    int            `json:"version"`
	Contact    string         `json:"contact"`
	Audience   string         `json:"audience"`
	Live       bool           `json:"live"`
	Email      string         `json:"email"`
	FirstName  string         `json:"first_name"`
	LastName   string         `json:"last_name"`
	Locale     string         `json:"locale"`
	Country    string         `json:"country"`
	City       string         `json:"city"`
	Zone       string         `json:"zone"`
	Birthday   string         `json:"birthday"`
	HomeShop   string         `json:"home_shop"`
	Since      string         `json:"since"`
	MergedInto string         `json:"merged_into,omitempty"`
	Erased     string         `json:"erased_at,omitempty"`
	Accounts   []shownAccount `json:"accounts"`
	Aliases    []string       `json:"aliases"`
	Merges     []shownMerge   `json:"merges"`
	Consents   []shownConsent `json:"consents"`
	Stats      []shownStats   `json:"stats"`
	Carts      []shownCart    `json:"open_carts"`
	Mails      []shownMail    `json:"mail_events"`       // newest first, at most 50
	Brought    []shownOrder   `json:"attributed_orders"` // that a mail brought, newest first, at most 50
	Erasure    string         `json:"erasure,omitempty"` // erasing, erased
	// Attributes are what Relance itself knows; of two of one name the later is in force.
	Attributes []shownAttribute `json:"attributes"`
}

type shownAttribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	SetBy string `json:"set_by"`
	SetAt string `json:"set_at"`
}

type shownAccount struct {
	Shop       string `json:"shop"`
	ID         string `json:"id"`
	Email      string `json:"email"`
	Registered string `json:"registered_at"`
}

type shownMerge struct {
	From      string `json:"from"`
	To        string `json:"to"`
	FromEmail string `json:"from_email"`
	ToEmail   string `json:"to_email"`
	State     string `json:"state"`
	MergedBy  string `json:"merged_by"`
	MergedAt  string `json:"merged_at"`
	UndoneBy  string `json:"undone_by,omitempty"`
	UndoneAt  string `json:"undone_at,omitempty"`
}

type shownConsent struct {
	Contact  string `json:"contact"` // whose address it was given for
	Topic    string `json:"topic"`
	Channel  string `json:"channel"`
	State    string `json:"state"`
	Basis    string `json:"basis"`
	Source   string `json:"source"`
	SourceAt string `json:"source_at"`
	Expires  string `json:"expires_at,omitempty"`
}

type shownStats struct {
	Shop     string `json:"shop"`
	Currency string `json:"currency"`
	Orders   int64  `json:"orders"`
	Sales    int64  `json:"sales"`
	Revenue  string `json:"revenue"`
	Refunded string `json:"refunded"`
	First    string `json:"first_placed_at"`
	Last     string `json:"last_placed_at"`
	LeftOut  int64  `json:"left_out"`
}

type shownCart struct {
	Shop     string `json:"shop"`
	ID       string `json:"id"`
	Total    string `json:"total"`
	Currency string `json:"currency"`
	ActiveAt string `json:"active_at"`
}

type shownMail struct {
	At string `json:"at"`
	mailer.MailEvent
}

type shownOrder struct {
	mailer.AttributedOrder
	At      string `json:"placed_at"`
	Revenue string `json:"revenue"` // net of refunds
}

// shownMails is how much of what became of mails is shown.
const shownMails = 50

// Run shows.
func (c *contactShowCmd) Run(d *deps) error {
	m, done, err := d.openMirror()
	if err != nil {
		return err
	}
	defer done()
	id, err := d.contactID(m, c.Contact, "")
	if err != nil {
		return err
	}
	card, err := m.Card(d.ctx, id)
	if errors.Is(err, mirror.ErrNotFound) {
		return errors.New("there is no such contact")
	}
	if err != nil {
		return err
	}
	s := shown(card)
	events, err := mailer.MailEvents(d.ctx, m, m.DB().Read(), id, shownMails)
	if err != nil {
		return err
	}
	for _, v := range events {
		s.Mails = append(s.Mails, shownMail{rfc(v.At), v})
	}
	orders, err := mailer.AttributedOrders(d.ctx, m, m.DB().Read(), id, shownMails)
	if err != nil {
		return err
	}
	for _, o := range orders {
		s.Brought = append(s.Brought, shownOrder{o, rfc(o.PlacedAt), amount(o.Revenue, o.Currency)})
	}
	if c.JSON {
		return d.json(s)
	}
	s.print(d.out)
	return nil
}

func idText(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

func amount(minor int64, currency string) string {
	return crm.Money{Minor: minor, Currency: currency}.Decimal()
}

func shown(card mirror.Card) shownContact {
	c := card.Contact
	s := shownContact{
		Version: 1, Contact: idText(c.ID), Audience: card.Audience, Live: card.Live, Email: c.Email, FirstName: c.FirstName, LastName: c.LastName, Locale: c.Locale,
		Country: c.Country, City: c.City, Zone: c.Zone, Birthday: c.Birthday, HomeShop: card.HomeShop, Since: rfc(c.CreatedAt), MergedInto: idText(c.MergedInto),
		Erased: rfc(c.ErasedAt), Aliases: append([]string{}, card.Aliases...), Accounts: []shownAccount{}, Merges: []shownMerge{}, Consents: []shownConsent{},
		Stats: []shownStats{}, Carts: []shownCart{}, Mails: []shownMail{}, Brought: []shownOrder{}, Erasure: card.Erasure, Attributes: []shownAttribute{},
	}
	for _, a := range card.Attributes {
		s.Attributes = append(s.Attributes, shownAttribute{mirror.AttributePrefix + a.Name, a.Value, a.SetBy, rfc(a.SetAt)})
	}
	for _, a := range card.Accounts {
		s.Accounts = append(s.Accounts, shownAccount{a.Shop, a.ID, a.Email, rfc(a.RegisteredAt)})
	}
	for _, x := range card.Merges {
		s.Merges = append(s.Merges, shownMergeOf(x))
	}
	for _, x := range card.Consents {
		s.Consents = append(s.Consents, shownConsent{idText(x.ContactID), x.Topic, x.Channel, x.State, x.Basis, x.Source, rfc(x.SourceAt), rfc(x.ExpiresAt)})
	}
	for _, x := range card.Stats {
		s.Stats = append(s.Stats, shownStats{
			x.Shop, x.Currency, x.Orders, x.Sales, amount(x.Revenue, x.Currency), amount(x.Refunded, x.Currency), rfc(x.FirstPlacedAt), rfc(x.LastPlacedAt), x.LeftOut,
		})
	}
	for _, x := range card.Carts {
		s.Carts = append(s.Carts, shownCart{x.Shop, x.ID, amount(x.Total, x.Currency), x.Currency, rfc(x.ActiveAt)})
	}
	return s
}

func shownMergeOf(x mirror.Merge) shownMerge {
	return shownMerge{idText(x.FromID), idText(x.ToID), x.FromEmail, x.ToEmail, x.State, x.MergedBy, rfc(x.MergedAt), x.UndoneBy, rfc(x.UndoneAt)}
}

func (s shownContact) print(out io.Writer) {
	fmt.Fprintf(out, "Contact %s of audience %s", s.Contact, s.Audience)
	switch {
	case s.Erased != "":
		fmt.Fprintf(out, " was erased on %s. Nothing is known of the person any more", s.Erased)
		if s.Erasure == mirror.Erasing {
			fmt.Fprint(out, "; rows of the shops' records are still being blanked")
		}
		fmt.Fprintln(out, ".")
		return
	case s.MergedInto != "":
		fmt.Fprintf(out, " counts for contact %s: relance contact show %s", s.MergedInto, s.MergedInto)
	case !s.Live:
		fmt.Fprint(out, " is known by its address alone: no account, order or cart refers to it")
	}
	fmt.Fprintln(out)
	line := func(what string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
		if len(parts) > 0 {
			fmt.Fprintf(out, "  %-10s %s\n", what, strings.Join(parts, ", "))
		}
	}
	line("e-mail", s.Email)
	line("name", strings.TrimSpace(s.FirstName+" "+s.LastName))
	line("lives", s.City, s.Country, s.Zone, s.Locale)
	line("born", s.Birthday)
	line("since", s.Since)
	line("home shop", s.HomeShop)
	for _, a := range s.Attributes {
		line("attribute", a.Name+" "+a.Value, a.SetBy, a.SetAt)
	}
	for _, a := range s.Accounts {
		line("account", a.Shop+" "+a.ID, a.Email, a.Registered)
	}
	for _, a := range s.Aliases {
		line("also", a)
	}
	for _, m := range s.Merges {
		s.printMerge(line, m)
	}
	for _, c := range s.Consents {
		whose := ""
		if c.Contact != s.Contact {
			whose = "given for merged contact " + c.Contact
		}
		line("consent", c.Topic+" by "+c.Channel+": "+c.State, c.Basis, c.Source, c.SourceAt, whose)
	}
	if len(s.Consents) == 0 {
		line("consent", "never asked")
	}
	for _, x := range s.Stats {
		left := ""
		if x.LeftOut > 0 {
			left = fmt.Sprintf("%d in other currencies left out", x.LeftOut)
		}
		line("bought", fmt.Sprintf("%s: %d sales of %d orders", x.Shop, x.Sales, x.Orders), strings.TrimSpace(x.Revenue+" "+x.Currency), left, "last "+x.Last)
	}
	for _, k := range s.Carts {
		line("open cart", k.Shop+" "+k.ID, strings.TrimSpace(k.Total+" "+k.Currency), "last touched "+k.ActiveAt)
	}
	for _, o := range s.Brought {
		line("brought", "order "+o.Shop+" "+o.Order, o.Revenue+" "+o.Currency, "by "+o.How+" from "+o.Campaign+" "+o.Step, o.At)
	}
	for _, v := range s.Mails {
		line("mail", v.At, v.Campaign, v.Step, v.Sentence(), v.URL)
	}
}

func (s shownContact) printMerge(line func(string, ...string), m shownMerge) {
	other, text := m.From+" "+m.FromEmail, "counts for this one"
	if m.From == s.Contact {
		other, text = m.To+" "+m.ToEmail, "is who this one counts for"
	}
	switch m.State {
	case mirror.Merging:
		text += "; rows are still being moved"
	case mirror.Splitting:
		text = "was split off; rows are still being moved back"
	case mirror.Split:
		text = "was merged and split again on " + m.UndoneAt
	}
	line("merge", other+" "+text, "by "+m.MergedBy, m.MergedAt)
}
