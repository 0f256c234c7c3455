package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// Unsubscribed says what a token did.
type Unsubscribed struct {
	Subject
	Again bool // it had been done before: the answer to the person is the same
}

// Unsubscribe ends a topic for the contact of a token: a suppression of its address and a withdrawal of its consent,
// in one transaction. Sends that are waiting find both at the gate. Using a link again does no harm and is no error.
// source is a short word for the record: "one-click" (RFC 8058), "page". An invalid token is fault.Reject.
// Called by the public listener.
func Unsubscribe(ctx context.Context, m *mirror.Mirror, keys Keys, token, source string, now crm.Instant) (Unsubscribed, error) {
	s, err := keys.Verify(token)
	if err != nil {
		return Unsubscribed{}, fault.New(fault.Reject, "reading an unsubscribe link", err)
	}
	done := Unsubscribed{Subject: s}
	err = m.DB().Write(ctx, "mailer.unsubscribe", func(tx *store.Tx) error {
		profiles, err := m.Profiles(ctx, tx, []int64{s.ContactID}, crm.Needs{})
		if err != nil {
			return err
		}
		if len(profiles) == 0 || profiles[0].Contact.AudienceID != s.AudienceID {
			done.Again = true // erased since: there is nobody to mail
			return nil
		}
		added, err := Suppress(ctx, tx, s.AudienceID, profiles[0].Contact.EmailNorm, ScopeMarketing, crm.SuppressedUnsubscribed, source, now)
		if err != nil {
			return err
		}
		changed, err := m.SetConsent(ctx, tx, mirror.ConsentChange{
			ContactID: s.ContactID, Topic: s.Topic, Channel: channelEmail, State: crm.ConsentWithdrawn,
			Source: source, SourceAt: now, SeenAt: now, ByPerson: true,
		})
		if done.Again = !added && !changed; done.Again || err != nil {
			return err
		}
		return m.QueueUnsubscribe(ctx, tx, s.ContactID, now) // the shops are to know it too
	})
	if err != nil {
		return Unsubscribed{}, fmt.Errorf("unsubscribing: %w", err)
	}
	return done, nil
}
