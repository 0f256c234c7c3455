// Package mailer turns membership changes into mails: campaigns, the gate, the send ledger, rendering and feedback.
package mailer

import (
	"context"
	"time"
)

// Mail is one rendered message to one person, ready for a provider.
type Mail struct {
	SendID    string // opaque id of the ledger row; the only thing of ours a provider may keep
	Campaign  string // campaign id, for the provider's category
	Step      string
	FromEmail string
	FromName  string
	ReplyTo   string // "" = from
	ToEmail   string
	ToName    string
	Subject   string
	HTML      string
	Text      string
	Headers   map[string]string // List-Unsubscribe, List-Unsubscribe-Post…
	Created   time.Time         // business time

	// TemplateID is a template that the provider itself fills in with TemplateData (Data.Dynamic); Subject, HTML and Text are "" then.
	TemplateID   string
	TemplateData map[string]any
}

// Provider hands one mail to the outside. It makes exactly one attempt; it never retries, sleeps or logs.
// Errors are *fault.Error: Reject and Operator are definite refusals, Throttled says when to come back, Retry means
// that certainly nothing was sent (failure before the first byte), Unknown that it may have been.
type Provider interface {
	Name() string
	// Send returns the provider's id of the message.
	Send(ctx context.Context, m Mail) (messageID string, err error)
	// Real tells a provider that reaches people from one that keeps mails here: only the former needs public_url.
	Real() bool
}

// BatchProvider is a Provider that takes several mails in one request. The engine calls it for the mails of one audience
// that the provider fills in itself (Mail.TemplateID); each of them is in the ledger as handing before.
type BatchProvider interface {
	Provider
	// SendBatch hands over every mail once, in as few requests as the provider's limits allow, and gives as many results, in
	// the order of the mails.
	SendBatch(ctx context.Context, mails []Mail) []Result
}

// Result is what became of one mail of a batch.
type Result struct {
	MessageID string
	Err       error // as of Send
	// Held: nothing was sent, because of another mail of the same request. It may be handed over again at once.
	Held bool
}

// Bounded is a Provider that takes no more than so many mails at once; the engine hands it no more.
type Bounded interface{ AtOnce() int }

// Prober is a Provider that can find out whether it would take mails, without sending one.
type Prober interface {
	// Probe says in one sentence what it found. Errors are *fault.Error with a hint that says what to mend.
	Probe(ctx context.Context) (found string, err error)
}

// Data is what a template sees. Everything in it is for people to read: amounts are formatted, names resolved.
// A field added here is seen by templates of providers too, under its name in snake_case: see Dynamic.
type Data struct {
	Contact     ContactData
	Shop        ShopData
	Sender      SenderData
	Cart        *CartData         // nil when there is none
	LastOrder   *OrderData        // the latest purchase; nil when there is none
	Order       *OrderData        // what the campaign is about (trigger order, occurrence order); nil when it is about none
	Product     *ProductData      // what the campaign is about (trigger stock); nil when it is about none
	Event       map[string]string // properties of the event that started it; empty when none did
	Picks       []ProductData     // what this contact may like, the best first, at most 6; may be empty
	Coupon      *CouponData       // the contact's own code; nil when the campaign gives none
	Unsubscribe string            // page where one click unsubscribes; "" for transactional mail
	Preferences string            // page where the contact chooses topics, frequency, hour and language; "" as above
	Confirm     string            // page where one click says yes (double opt-in); "" when the campaign's topic is not pending
	Landing     string            // page with the picks; "" when there is no public address or nothing to show
	Locale      string            // of the template chosen, "fr" or "en"
	Now         time.Time         // in the contact's zone
}

// ContactData is the recipient.
type ContactData struct {
	FirstName, LastName, Email string
}

// ShopData is the contact's home shop.
type ShopData struct {
	Title, URL string
}

// SenderData is who writes.
type SenderData struct {
	Name, PostalAddress string
	Email               string // where answers go
}

// CartData is an open cart.
type CartData struct {
	ID, Total, RecoverURL string
	Lines                 []LineData
}

// OrderData is an order.
type OrderData struct {
	ID, Number, Total, Shipping, Discount, Refunded string // amounts; "" when there is none
	PlacedAt, ShippedAt                             time.Time
	Lines                                           []LineData
}

// ProductData is something to buy.
type ProductData struct {
	ID, Name, Brand, Price, ImageURL, URL string
	InStock                               bool
}

// CouponData is a code that only this contact has.
type CouponData struct {
	Code, Worth string    // Worth is "10 %" or "5,00 €"; "" when a list does not say
	Expires     time.Time // zero: not said
}

// LineData is a line of a cart or order.
type LineData struct {
	Name, Total, ImageURL, URL string
	Quantity                   int64
}

// Rendered is a template filled in.
type Rendered struct {
	Locale, Subject, HTML, Text string
}

// Renderer fills in templates. It is made at load, when every template is parsed and tried on sample and on empty
// data, so that Render cannot fail for a missing value. Safe for concurrent use.
type Renderer interface {
	// Locale picks the template's locale for a contact's ("fr-BE" → "fr" → the template's default).
	Locale(template, contactLocale string) string
	Render(template, locale string, d Data) (Rendered, error)
	// Uses tells whether a template may show a field of Data, such as "Picks": what none shows is not found out.
	Uses(template, field string) bool
}

// Sender is who an audience's mails come from.
type Sender struct {
	Audience                                    string // its key, for metrics; "" = its number
	FromEmail, FromName, ReplyTo, PostalAddress string
	Provider                                    Provider
	// Events is the source (ProviderEvent.Source) that reports what becomes of every mail; "" when none does.
	Events string
	Cap    Cap // marketing mails per contact; the zero Cap bounds nothing
	// Windows bound what mails are credited with.
	Windows Windows
}

// laneKinds: marketing needs consent and carries unsubscribe; transactional passes without, and carries no marketing.
const (
	KindMarketing     = "marketing"
	KindTransactional = "transactional"
)
