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

// Data is what a template sees. Everything in it is for people to read: amounts are formatted, names resolved.
type Data struct {
	Contact     ContactData
	Shop        ShopData
	Sender      SenderData
	Cart        *CartData  // nil when there is none
	LastOrder   *OrderData // nil when there is none
	Unsubscribe string     // page where one click unsubscribes; "" for transactional mail
	Locale      string     // of the template chosen, "fr" or "en"
	Now         time.Time  // in the contact's zone
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
}

// CartData is an open cart.
type CartData struct {
	ID, Total, RecoverURL string
	Lines                 []LineData
}

// OrderData is an order.
type OrderData struct {
	ID, Total string
	PlacedAt  time.Time
	Lines     []LineData
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
}

// Sender is who an audience's mails come from.
type Sender struct {
	FromEmail, FromName, ReplyTo, PostalAddress string
	Provider                                    Provider
	Cap                                         Cap // marketing mails per contact; the zero Cap bounds nothing
}

// laneKinds: marketing needs consent and carries unsubscribe; transactional passes without, and carries no marketing.
const (
	KindMarketing     = "marketing"
	KindTransactional = "transactional"
)
