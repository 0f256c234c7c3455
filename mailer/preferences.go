package mailer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// How long links to the page of choices and to a confirmation are good for.
const (
	preferencesFor = 180 * 24 * time.Hour
	confirmFor     = 30 * 24 * time.Hour
)

// How often a contact wants marketing mails at most: values of the attribute relance.frequency, "" is no limit of their own.
const (
	FrequencyWeekly  = "weekly"
	FrequencyMonthly = "monthly"
)

const frequencyAttribute = mirror.AttributePrefix + mirror.AttributeFrequency

// frequencyCap is the cap that a contact chose; the zero Cap when none.
func frequencyCap(c crm.Contact) Cap {
	switch c.Attributes[frequencyAttribute] {
	case FrequencyWeekly:
		return Cap{Count: 1, Per: 7 * 24 * time.Hour}
	case FrequencyMonthly:
		return Cap{Count: 1, Per: 30 * 24 * time.Hour}
	}
	return Cap{}
}

// ErrNoChoice is wrapped by the errors about choices that nobody can make.
var ErrNoChoice = errors.New("no such choice")

// Choices are what a contact chooses on the page, as they stand or as they are to be.
type Choices struct {
	Topics    map[string]bool // topic → wanted; of the audience's topics
	Frequency string          // "", FrequencyWeekly or FrequencyMonthly
	Hour      int             // 0 to 23 by the contact's clock; -1 = any
	Locale    string          // "fr", "en"; "" = as the shop says
	Birthday  string          // YYYY-MM-DD; "" = not said
}

// ChoicesPage is what the page shows. It names nobody: whoever holds the link sees choices.
type ChoicesPage struct {
	Choices
	AudienceID int64
	Language   string // of the contact, for the page; "" when not known
	Expired    bool   // the link is too old, or the contact is gone: nothing is shown
	Complained bool   // the contact's provider reported a mail as spam: wanting mails again does not bring them back
}

// Proof is how a person's act reached us; it stands in the ledger of consents.
type Proof struct {
	Text string // that was shown beside the choice
	IP   string
}

// choiceLinks adds the link to the page of choices to marketing, and that of double opt-in to transactional mail for whoever
// was asked about the campaign's topic and has not answered yet. A template that does not show one costs nothing.
func (g *gating) choiceLinks(c *candidate, d *Data) (err error) {
	who := c.profile.Contact
	link := func(p purpose, path string, validity time.Duration, rest string) (string, error) {
		token, err := g.e.o.Keys.sign(p, g.now.Add(validity), number(who.ID)+"."+number(who.AudienceID)+rest)
		return g.e.o.PublicURL + path + token, err
	}
	switch {
	case g.e.o.PublicURL == "" || len(g.e.o.Keys) == 0:
	case c.Kind == KindMarketing && g.shows(c.sendRow, "Preferences"):
		d.Preferences, err = link(forPreferences, "/p/", preferencesFor, "")
	case c.Kind == KindTransactional && consentTo(c.profile, c.run.topic) == crm.ConsentPending && g.shows(c.sendRow, "Confirm"):
		d.Confirm, err = link(forConfirm, "/s/", confirmFor, "."+c.run.topic)
	}
	return err
}

// reader reads a token of a purpose: whose it is, and what else it says. Errors are fault.Reject; expired beside the rest.
func (k Keys) reader(p purpose, token string, now crm.Instant) (s Subject, expired bool, err error) {
	body, err := k.verify(p, token, now)
	expired = errors.Is(err, errExpired)
	if err != nil && !expired {
		return s, false, fault.New(fault.Reject, "reading a link", err)
	}
	parts := strings.Split(body, ".")
	if !numbers(parts, &s.ContactID, &s.AudienceID) {
		return s, false, fault.New(fault.Reject, "reading a link", errToken)
	}
	if len(parts) > 2 {
		s.Topic = parts[2]
	}
	return s, expired, nil
}

// AudienceOf reads whose choices a link is about, also one that has expired. fault.Reject for a token that was not signed
// here.
func (k Keys) AudienceOf(token string) (int64, error) {
	s, _, err := k.reader(forPreferences, token, 0)
	return s.AudienceID, err
}

// Preferences gathers the page of choices. A token that was not signed here is fault.Reject. It changes nothing. Called by
// the public listener; topics are those of the audience.
func Preferences(ctx context.Context, m *mirror.Mirror, keys Keys, token string, topics []string, now crm.Instant) (ChoicesPage, error) {
	s, expired, err := keys.reader(forPreferences, token, now)
	if err != nil || expired {
		return ChoicesPage{Expired: expired, AudienceID: s.AudienceID}, err
	}
	p, scopes, err := person(ctx, m, m.DB().Read(), s)
	if err != nil {
		return ChoicesPage{AudienceID: s.AudienceID}, fmt.Errorf("gathering choices: %w", err)
	}
	if p == nil {
		return ChoicesPage{Expired: true, AudienceID: s.AudienceID}, nil
	}
	page := ChoicesPage{AudienceID: s.AudienceID, Language: p.Contact.Locale, Complained: slices.Contains(p.Contact.Suppressed, crm.SuppressedComplained)}
	page.Choices = Choices{
		Topics: map[string]bool{}, Frequency: p.Contact.Attributes[frequencyAttribute], Hour: -1,
		Locale: p.Contact.Attributes[mirror.AttributePrefix+mirror.AttributeLocale], Birthday: p.Contact.Birthday,
	}
	if h, err := strconv.Atoi(p.Contact.Attributes[preferredHourAttribute]); err == nil && h >= 0 && h <= 23 {
		page.Hour = h
	}
	for _, topic := range topics {
		page.Topics[topic] = !scopes[ScopeMarketing] && !scopes[ScopeAll] && consentTo(p, topic) == crm.ConsentGranted
	}
	return page, nil
}

// person is who is behind a link, and which scopes stop its mails; nil for one who is gone.
func person(ctx context.Context, m *mirror.Mirror, q store.Queryer, s Subject) (*crm.Profile, map[string]bool, error) {
	p, err := behindLink(ctx, m, q, s.ContactID, crm.Needs{Consents: true, Account: true})
	if err != nil || p == nil || p.Contact.AudienceID != s.AudienceID {
		return nil, nil, err
	}
	scopes, err := suppressedContacts(ctx, q, map[int64]*crm.Profile{p.Contact.ID: p}, nil)
	return p, scopes[p.Contact.ID], err
}

func consentTo(p *crm.Profile, topic string) string {
	for _, c := range p.Consents {
		if c.Topic == topic && c.Channel == channelEmail {
			return c.State
		}
	}
	return crm.ConsentNone
}

// SavePreferences carries out what a contact chose, in one transaction: consents both ways with the text that was shown,
// the suppression that an unsubscription left (that of a complaint or a bounce stays), and attributes. A mail that waits
// finds it all at the gate. fault.Reject for a token that was not signed here, and with ErrNoChoice for choices that are
// none. Saving the same again changes nothing.
func SavePreferences(ctx context.Context, m *mirror.Mirror, keys Keys, token string, c Choices, proof Proof, now crm.Instant) (ChoicesPage, error) {
	s, expired, err := keys.reader(forPreferences, token, now)
	if err == nil && expired {
		return ChoicesPage{Expired: true, AudienceID: s.AudienceID}, nil
	}
	if err == nil {
		err = c.check(now)
	}
	if err != nil {
		return ChoicesPage{AudienceID: s.AudienceID}, err
	}
	var topics []string
	for t := range c.Topics {
		topics = append(topics, t)
	}
	slices.Sort(topics)
	gone := false
	err = m.DB().Write(ctx, "mailer.preferences", func(tx *store.Tx) error {
		p, scopes, err := person(ctx, m, tx, s)
		if err != nil || p == nil {
			gone = err == nil
			return err
		}
		return choose(ctx, m, tx, p, scopes, topics, c, proof, now)
	})
	if err != nil {
		return ChoicesPage{AudienceID: s.AudienceID}, fmt.Errorf("saving choices: %w", err)
	}
	if gone {
		return ChoicesPage{Expired: true, AudienceID: s.AudienceID}, nil
	}
	return Preferences(ctx, m, keys, token, topics, now)
}

func (c Choices) check(now crm.Instant) error {
	bad := func(what string) error {
		return fault.New(fault.Reject, "saving choices", fmt.Errorf("%w: %s", ErrNoChoice, what))
	}
	switch c.Frequency {
	case "", FrequencyWeekly, FrequencyMonthly:
	default:
		return bad("the frequency is none")
	}
	if c.Hour < -1 || c.Hour > 23 {
		return bad("the hour is none")
	}
	if len(c.Locale) > 16 {
		return bad("the language is none")
	}
	if c.Birthday == "" {
		return nil
	}
	day, err := time.Parse(time.DateOnly, c.Birthday)
	if err != nil || day.After(now.Time()) || day.Year() < 1900 {
		return bad("the birthday is no day in the past")
	}
	return nil
}

func choose(ctx context.Context, m *mirror.Mirror, tx *store.Tx, p *crm.Profile, scopes map[string]bool, topics []string, c Choices, proof Proof, now crm.Instant) error {
	const source = "preferences"
	any, lowered := false, false
	for _, topic := range topics {
		change := mirror.ConsentChange{
			ContactID: p.Contact.ID, Topic: topic, Channel: channelEmail, State: crm.ConsentWithdrawn,
			Source: source, SourceAt: now, SeenAt: now, Text: clip(proof.Text, 1000), IP: proof.IP, ByPerson: true,
		}
		if c.Topics[topic] {
			change.State, any = crm.ConsentGranted, true
		}
		changed, err := m.SetConsent(ctx, tx, change)
		if err != nil {
			return err
		}
		lowered = lowered || changed && !c.Topics[topic]
	}
	switch {
	case any && scopes[ScopeMarketing]:
		if err := liftUnsubscription(ctx, tx, p.Contact, now); err != nil {
			return err
		}
	case !any:
		added, err := Suppress(ctx, tx, p.Contact.AudienceID, p.Contact.EmailNorm, ScopeMarketing, crm.SuppressedUnsubscribed, source, now)
		if err != nil {
			return err
		}
		if added || lowered {
			if err := m.QueueUnsubscribe(ctx, tx, p.Contact.ID, now); err != nil {
				return err
			}
		}
	}
	hour := ""
	if c.Hour >= 0 {
		hour = strconv.Itoa(c.Hour)
	}
	values := map[string]string{mirror.AttributeFrequency: c.Frequency, mirror.AttributePreferredHour: hour, mirror.AttributeLocale: c.Locale}
	if c.Birthday != "" { // leaving the field empty takes nothing back that the shop knows
		values[mirror.AttributeBirthday] = c.Birthday
	}
	return m.SetAttributes(ctx, tx, mirror.Attributes{ContactID: p.Contact.ID, Values: values, By: source, At: now})
}

// liftUnsubscription lets mails reach an address again whose owner had unsubscribed and now asks for them.
func liftUnsubscription(ctx context.Context, tx *store.Tx, c crm.Contact, now crm.Instant) error {
	n, err := store.Matched(tx.ExecContext(ctx, "DELETE FROM suppressions WHERE audience_id=? AND email_hash=? AND scope=? AND reason=?",
		c.AudienceID, suppressionHash(c.AudienceID, c.EmailNorm), ScopeMarketing, crm.SuppressedUnsubscribed))
	if err != nil {
		return fmt.Errorf("lifting a suppression: %w", err)
	}
	if n == 0 {
		return nil
	}
	return mirror.MarkAddress(ctx, tx, c.AudienceID, c.EmailNorm, now)
}

// Confirmation is what a link of double opt-in stands for.
type Confirmation struct {
	AudienceID int64
	Language   string
	Expired    bool
	Done       bool // granted already
}

// Confirming looks at a link of double opt-in and changes nothing. fault.Reject for a token that was not signed here.
func Confirming(ctx context.Context, m *mirror.Mirror, keys Keys, token string, now crm.Instant) (Confirmation, error) {
	s, expired, err := keys.reader(forConfirm, token, now)
	c := Confirmation{AudienceID: s.AudienceID, Expired: expired}
	if err != nil {
		return c, err
	}
	p, scopes, err := person(ctx, m, m.DB().Read(), s)
	if err != nil {
		return c, fmt.Errorf("reading a confirmation: %w", err)
	}
	if p == nil {
		c.Expired = true
		return c, nil
	}
	c.Language = p.Contact.Locale
	c.Done = consentTo(p, s.Topic) == crm.ConsentGranted && !scopes[ScopeMarketing]
	return c, nil
}

// Confirm grants what the link asks about: double opt-in. It needs a person's act (a POST), may be repeated, and lifts an
// unsubscription, but neither a complaint nor a bounce.
func Confirm(ctx context.Context, m *mirror.Mirror, keys Keys, token string, proof Proof, now crm.Instant) (Confirmation, error) {
	s, expired, err := keys.reader(forConfirm, token, now)
	if err != nil || expired {
		return Confirmation{AudienceID: s.AudienceID, Expired: expired}, err
	}
	err = m.DB().Write(ctx, "mailer.confirm", func(tx *store.Tx) error {
		p, scopes, err := person(ctx, m, tx, s)
		if err != nil || p == nil {
			return err
		}
		if _, err := m.SetConsent(ctx, tx, mirror.ConsentChange{
			ContactID: p.Contact.ID, Topic: s.Topic, Channel: channelEmail, State: crm.ConsentGranted,
			Source: "double opt-in", SourceAt: now, SeenAt: now, Text: clip(proof.Text, 1000), IP: proof.IP, ByPerson: true,
		}); err != nil {
			return err
		}
		if scopes[ScopeMarketing] {
			return liftUnsubscription(ctx, tx, p.Contact, now)
		}
		return nil
	})
	if err != nil {
		return Confirmation{AudienceID: s.AudienceID}, fmt.Errorf("confirming: %w", err)
	}
	return Confirming(ctx, m, keys, token, now)
}
