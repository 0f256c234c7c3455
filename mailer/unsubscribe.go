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
		if len(profiles) == 0 || profiles[0].Contact.AudienceID != s.AudienceID || profiles[0].Contact.ErasedAt > 0 {
			done.Again = true // there is nobody to mail
			return nil
		}
		done.Again, err = endTopic(ctx, tx, m, profiles[0].Contact, s.Topic, crm.SuppressedUnsubscribed, source, now)
		if done.Again || err != nil {
			return err
		}
		return ownEvent(ctx, tx, s.AudienceID, s.ContactID, EventUnsubscribed, now)
	})
	if err != nil {
		return Unsubscribed{}, fmt.Errorf("unsubscribing: %w", err)
	}
	return done, nil
}

// endTopic suppresses a contact's address for marketing and withdraws its consent for a topic; the shops are told. again:
// all of it had been done before. reason is one of crm.SuppressedUnsubscribed…
func endTopic(ctx context.Context, tx *store.Tx, m *mirror.Mirror, c crm.Contact, topic, reason, source string, now crm.Instant) (again bool, err error) {
	added, err := Suppress(ctx, tx, c.AudienceID, c.EmailNorm, ScopeMarketing, reason, source, now)
	if err != nil {
		return false, err
	}
	changed, err := m.SetConsent(ctx, tx, mirror.ConsentChange{
		ContactID: c.ID, Topic: topic, Channel: channelEmail, State: crm.ConsentWithdrawn, Source: source, SourceAt: now, SeenAt: now, ByPerson: true,
	})
	if err != nil || !added && !changed {
		return err == nil, err
	}
	return false, m.QueueUnsubscribe(ctx, tx, c.ID, now)
}
