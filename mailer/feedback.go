package mailer

import (
	"github.com/relance/relance/internal/crm"
)

// ProviderEvent is what a provider, or our own redirect, says of a mail. It is stored as it came before it is answered,
// and digested by the owner of the contact's lane.
type ProviderEvent struct {
	ID        string      // unique within the audience and Source: a repeat is dropped; never ""
	Source    string      // "sendgrid", "smtp", "relance" (our own redirect and pages)
	Kind      string      // one of the constants below
	SendID    string      // of Mail.SendID; "" when the provider did not keep it
	MessageID string      // the provider's id of the message; "" when not known
	Email     string      // whose; only for finding the contact when SendID says nothing
	At        crm.Instant // when it happened, by the provider's clock
	URL       string      // clicked
	UserAgent string
	IP        string
	Hard      bool   // bounced: for good
	Reason    string // the provider's words, without an address
	Machine   bool   // the provider itself says that no person did it
}

// Kinds of provider events: a closed set.
const (
	EventProcessed    = "processed"
	EventDropped      = "dropped" // the provider never sent it
	EventDelivered    = "delivered"
	EventDelayed      = "delayed"
	EventBounced      = "bounced"
	EventComplained   = "complained"
	EventUnsubscribed = "unsubscribed"
	EventOpened       = "opened"
	EventClicked      = "clicked"
)
