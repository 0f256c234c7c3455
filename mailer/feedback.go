package mailer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// ProviderEvent is what a provider, or our own redirect, says of a mail. It is stored as it came before it is answered,
// and digested by the owner of the contact's lane.
type ProviderEvent struct {
	ID        string      // unique within the audience and Source: a repeat is dropped; never ""
	Source    string      // "sendgrid", "smtp", "relance" (our own redirect and pages)
	Kind      string      // one of the constants below
	SendID    string      // of Mail.SendID; "" when the provider did not keep it
	MessageID string      // the provider's id of the message, as Provider.Send gave it; "" when not known
	Email     string      // whose; only for finding the contact when SendID says nothing, and forgotten then
	At        crm.Instant // when it happened, by the provider's clock
	URL       string      // clicked
	UserAgent string
	IP        string // not kept
	Hard      bool   // bounced: for good
	Reason    string // the provider's words, without an address
	Machine   bool   // the reporter itself says that no person did it; Reason may be ByHead
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

// EventKinds lists them, for metrics and docs.
func EventKinds() []string {
	return []string{
		EventProcessed, EventDropped, EventDelivered, EventDelayed, EventBounced, EventComplained, EventUnsubscribed, EventOpened, EventClicked,
	}
}

// Why a provider dropped a mail, as far as it says something of the address (ProviderEvent.Reason of EventDropped).
const (
	DroppedBounced      = "bounced address"
	DroppedComplained   = "spam reporting address"
	DroppedUnsubscribed = "unsubscribed address"
)

// SourceOwn is the source of events of our own redirect and pages.
const SourceOwn = "relance"

// States of a stored event.
const (
	eventLookup  = "lookup"  // whose it is has to be found out
	eventUrgent  = "urgent"  // waits to be digested, before the others: it may stop mail
	eventPending = "pending" // waits to be digested
	eventDone    = "done"
	eventNobody  = "nobody"  // of a mail and an address that are not ours
	eventForeign = "foreign" // of a mail of another audience: nothing is done with it
)

const (
	eventPage  = 128  // events of one transaction that stores them
	widthID    = 128  // provider_events.id
	widthURL   = 2000 // .url
	widthAgent = 500  // .user_agent
	widthWords = 500  // .reason
	// settling is how long an opening or click waits for others of the same mail, before a person or a machine is seen in it.
	settling = 15 * time.Second
)

// RecordEvents stores events durably before whoever brought them is answered; a repeat changes nothing. stored is how
// many were new (one that two processes store at the same moment may count for both). What they mean is found out later,
// by Engine.Step. Addresses are kept only for events that may stop mail and whose mail is not known, until it is. received is business time.
// Called by the public listener and by our own redirect.
func RecordEvents(ctx context.Context, m *mirror.Mirror, audienceID int64, events []ProviderEvent, received crm.Instant) (stored int, err error) {
	for page := range slices.Chunk(distinct(events), eventPage) {
		sent, err := sendsNamed(ctx, m.DB().Read(), page)
		if err != nil {
			return stored, fmt.Errorf("storing what became of mails: %w", err)
		}
		fresh := 0
		err = m.DB().Write(ctx, "mailer.events", func(tx *store.Tx) error {
			fresh, err = insertEvents(ctx, tx, audienceID, page, sent, received)
			return err
		})
		if err != nil {
			return stored, fmt.Errorf("storing what became of mails: %w", err)
		}
		stored += fresh
	}
	return stored, nil
}

// distinct drops repeats and what is no event of ours, in an order that is the same for everybody: two processes that
// store the same events at once then wait for each other.
func distinct(events []ProviderEvent) []ProviderEvent {
	list := make([]ProviderEvent, 0, len(events))
	for _, v := range events {
		if v.ID != "" && slices.Contains(EventKinds(), v.Kind) {
			v.ID = fitID(v.ID)
			list = append(list, v)
		}
	}
	order := func(a, b ProviderEvent) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID)) }
	slices.SortStableFunc(list, order)
	return slices.CompactFunc(list, func(a, b ProviderEvent) bool { return order(a, b) == 0 })
}

// fitID makes an id fit its column, and stay what it is on both engines: one that is long or odd becomes its hash.
func fitID(id string) string {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(id) <= widthID && !slices.ContainsFunc([]rune(id), odd) {
		return id
	}
	h := sha256.Sum256([]byte(id))
	return "h:" + hex.EncodeToString(h[:])
}

// owned is whose a mail is. It never changes.
type owned struct {
	ID         int64
	ContactID  int64 `db:"contact_id"`
	AudienceID int64 `db:"audience_id"`
	Lane       int
}

// sendNumber reads SendID back; 0 for what is none.
func sendNumber(id string) int64 {
	n, err := strconv.ParseInt(id, 36, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func sendsNamed(ctx context.Context, q store.Queryer, events []ProviderEvent) (map[int64]owned, error) {
	var ids []int64
	for i := range events {
		if n := sendNumber(events[i].SendID); n > 0 {
			ids = append(ids, n)
		}
	}
	out := map[int64]owned{}
	if len(ids) == 0 {
		return out, nil
	}
	var rows []owned
	if err := selectIn(ctx, q, &rows, "SELECT id, contact_id, audience_id, lane FROM sends WHERE id IN (?)", ids); err != nil {
		return nil, fmt.Errorf("finding mails: %w", err)
	}
	for _, r := range rows {
		out[r.ID] = r
	}
	return out, nil
}

const eventCols = "audience_id, source, id, state, lane, due_at, received_at, happened_at, kind, send_id, contact_id, message_id, email, url, user_agent, hard, machine, reason"

func insertEvents(ctx context.Context, tx *store.Tx, audienceID int64, events []ProviderEvent, sent map[int64]owned, received crm.Instant) (fresh int, err error) {
	known, err := knownEvents(ctx, tx, audienceID, events)
	if err != nil {
		return 0, err
	}
	var rows [][]any
	for i := range events {
		if v := &events[i]; !known[v.Source+"\x00"+v.ID] {
			rows = append(rows, eventValues(audienceID, v, sent, received))
		}
	}
	left := tx.Dialect().OnConflict("audience_id", "source", "id") + "lane=provider_events.lane" // as it is
	return len(rows), tx.InsertOr(ctx, "provider_events", splitCols(eventCols), left, rows)
}

func knownEvents(ctx context.Context, tx *store.Tx, audienceID int64, events []ProviderEvent) (map[string]bool, error) {
	ids := make([]string, len(events))
	var sources []string
	for i := range events {
		ids[i] = events[i].ID
		if s := clip(events[i].Source, 16); !slices.Contains(sources, s) {
			sources = append(sources, s)
		}
	}
	var rows []struct{ Source, ID string }
	if err := selectIn(ctx, tx, &rows, "SELECT source, id FROM provider_events WHERE audience_id=? AND source IN (?) AND id IN (?)", audienceID, sources, ids); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, r := range rows {
		known[r.Source+"\x00"+r.ID] = true
	}
	return known, nil
}

func eventValues(audienceID int64, v *ProviderEvent, sent map[int64]owned, received crm.Instant) []any {
	at := v.At
	if at <= 0 || at > received { // a clock that is ahead must not hide what has happened
		at = received
	}
	state, due := eventPending, received
	switch v.Kind {
	case EventOpened, EventClicked:
		due = received.Add(settling)
	default:
		if urgentKind(v.Kind) {
			state = eventUrgent
		}
	}
	mail, found := sent[sendNumber(v.SendID)]
	email, lane := "", mail.Lane
	switch {
	case found && mail.AudienceID != audienceID:
		state, mail, lane = eventForeign, owned{}, 0
	case !found:
		state, due, lane = eventLookup, received, laneOfEvent(v.ID)
		if urgentKind(v.Kind) { // the others are not looked for by it
			email = crm.NormEmail(v.Email)
		}
	}
	return []any{
		audienceID, clip(v.Source, 16), v.ID, state, lane, due, received, at, v.Kind, mail.ID, mail.ContactID, clip(v.MessageID, 255), clip(email, 320),
		clip(v.URL, widthURL), clip(v.UserAgent, widthAgent), flag(v.Hard), flag(v.Machine), clip(withoutAddresses(v.Reason), widthWords),
	}
}

// laneOfEvent spreads events of unknown mails over those who find out whose they are.
func laneOfEvent(id string) int {
	h := sha256.Sum256([]byte(id))
	return int(h[0]) % crm.Lanes
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ownEvent stores what somebody did on a page of ours, as an event of the newest mail that they were sent.
func ownEvent(ctx context.Context, tx *store.Tx, audienceID, contactID int64, kind string, now crm.Instant) error {
	var newest []owned
	if err := tx.SelectContext(ctx, &newest, "SELECT id, contact_id, audience_id, lane FROM sends WHERE contact_id=? AND handed_at>0 ORDER BY handed_at DESC LIMIT 1", contactID); err != nil {
		return fmt.Errorf("finding the newest mail to a contact: %w", err)
	}
	if len(newest) == 0 {
		return nil
	}
	v := ProviderEvent{
		ID: fmt.Sprintf("%s:%d:%d", kind, contactID, now), Source: SourceOwn, Kind: kind, SendID: SendID(newest[0].ID), At: now,
	}
	_, err := insertEvents(ctx, tx, audienceID, []ProviderEvent{v}, map[int64]owned{newest[0].ID: newest[0]}, now)
	return err
}
