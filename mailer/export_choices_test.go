package mailer

import (
	"time"

	"github.com/relance/relance/internal/crm"
)

// PreferencesToken and ConfirmToken sign links as mails carry them.
func (k Keys) PreferencesToken(s Subject, now crm.Instant) (string, error) {
	return k.sign(forPreferences, now.Add(preferencesFor), number(s.ContactID)+"."+number(s.AudienceID))
}

func (k Keys) ConfirmToken(s Subject, now crm.Instant) (string, error) {
	return k.sign(forConfirm, now.Add(confirmFor), number(s.ContactID)+"."+number(s.AudienceID)+"."+s.Topic)
}

// ConfirmFor is how long a link of double opt-in is good for.
const ConfirmFor time.Duration = confirmFor
