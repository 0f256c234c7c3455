package mailer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// Scopes of a suppression. Marketing stops what people may unsubscribe from; all stops everything (a hard bounce).
const (
	ScopeMarketing = "marketing"
	ScopeAll       = "all"
)

// suppressionHash finds an address again without keeping it. It has no secret on purpose: a lost key must never
// make people who unsubscribed be mailed again.
func suppressionHash(audienceID int64, emailNorm string) []byte {
	h := sha256.Sum256([]byte("relance suppression\x00" + strconv.FormatInt(audienceID, 10) + "\x00" + emailNorm))
	return h[:]
}

// Suppress stops mail to an address of an audience, once: the first reason stays. scope is ScopeMarketing or ScopeAll,
// reason is one of crm.SuppressedUnsubscribed…, source a short word ("one-click"). Whose address it is is marked for the
// segments that ask who can be reached. Called by Unsubscribe and by provider feedback.
func Suppress(ctx context.Context, tx *store.Tx, audienceID int64, emailNorm, scope, reason, source string, at crm.Instant) (added bool, err error) {
	hash := suppressionHash(audienceID, emailNorm)
	var n int
	if err := tx.GetContext(ctx, &n, "SELECT COUNT(*) FROM suppressions WHERE audience_id=? AND email_hash=? AND scope=?", audienceID, hash, scope); err != nil {
		return false, fmt.Errorf("reading suppressions: %w", err)
	}
	if n > 0 {
		return false, nil
	}
	err = tx.Upsert(ctx, "suppressions", []string{"audience_id", "email_hash", "scope"},
		[]string{"audience_id", "email_hash", "scope", "reason", "source", "created_at"},
		[][]any{{audienceID, hash, scope, clip(reason, 64), clip(source, 255), at}})
	if err != nil {
		return false, fmt.Errorf("writing a suppression: %w", err)
	}
	return true, mirror.MarkAddress(ctx, tx, audienceID, emailNorm, at)
}

// NewMirror makes a mirror whose profiles know who is suppressed and what became of mails.
func NewMirror(db *store.DB) *mirror.Mirror {
	m := mirror.New(db)
	m.TellSuppressions(func(ctx context.Context, q store.Queryer, ids []int64) (map[int64][]string, error) {
		return suppressions(ctx, m, q, ids)
	})
	m.TellAsked(Askers)
	m.TellMails(func(ctx context.Context, q store.Queryer, ids []int64, names []string) (map[int64][]crm.ProfileEvent, error) {
		return mailEvents(ctx, m, q, ids, names)
	})
	return m
}

// suppressions gives the reasons for which contacts are not mailed, sorted; those that are have no entry. It looks at the
// addresses that mail goes to (mirror.MailAddresses); the gate, before a mail, looks at every other one too. Segments ask
// it, and are told of each change by the marks of Suppress.
func suppressions(ctx context.Context, m *mirror.Mirror, q store.Queryer, ids []int64) (map[int64][]string, error) {
	profiles, err := m.Profiles(ctx, q, ids, crm.Needs{})
	if err != nil {
		return nil, err
	}
	addresses, err := m.MailAddresses(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	owner := map[string][]int64{}
	var audiences []int64
	var hashes []any
	for _, p := range profiles {
		if !slices.Contains(audiences, p.Contact.AudienceID) {
			audiences = append(audiences, p.Contact.AudienceID)
		}
		for _, email := range addresses[p.Contact.ID] {
			hash := suppressionHash(p.Contact.AudienceID, email)
			hashes = append(hashes, hash)
			owner[string(hash)] = append(owner[string(hash)], p.Contact.ID)
		}
	}
	found := map[int64][]string{}
	for chunk := range slices.Chunk(hashes, 500) {
		var rows []struct {
			Hash   []byte `db:"email_hash"`
			Reason string
		}
		if err := selectIn(ctx, q, &rows, "SELECT email_hash, reason FROM suppressions WHERE audience_id IN (?) AND email_hash IN (?)", audiences, chunk); err != nil {
			return nil, fmt.Errorf("reading suppressions: %w", err)
		}
		for _, r := range rows {
			for _, id := range owner[string(r.Hash)] {
				found[id] = append(found[id], r.Reason)
			}
		}
	}
	for id, reasons := range found {
		slices.Sort(reasons)
		found[id] = slices.Compact(reasons)
	}
	return found, nil
}

type suppression struct {
	Audience int64  `db:"audience_id"`
	Hash     []byte `db:"email_hash"`
	Scope    string
}

// suppressedContacts tells per contact which scopes stop it, over all its addresses.
func suppressedContacts(ctx context.Context, q store.Queryer, profiles map[int64]*crm.Profile, aliases map[int64][]string) (map[int64]map[string]bool, error) {
	owner := map[string][]int64{}
	var hashes []any
	add := func(p *crm.Profile, email string) {
		if email == "" {
			return
		}
		key := string(suppressionHash(p.Contact.AudienceID, email))
		if _, known := owner[key]; !known {
			hashes = append(hashes, []byte(key))
		}
		owner[key] = append(owner[key], p.Contact.ID)
	}
	for id, p := range profiles {
		add(p, p.Contact.EmailNorm)
		for _, email := range aliases[id] {
			add(p, email)
		}
	}
	found := map[int64]map[string]bool{}
	for len(hashes) > 0 {
		n := min(len(hashes), 500)
		var rows []suppression
		if err := selectIn(ctx, q, &rows, "SELECT audience_id, email_hash, scope FROM suppressions WHERE audience_id IN (?) AND email_hash IN (?)",
			audiencesOf(profiles), hashes[:n]); err != nil {
			return nil, fmt.Errorf("reading suppressions: %w", err)
		}
		hashes = hashes[n:]
		for _, r := range rows {
			for _, id := range owner[string(r.Hash)] {
				if found[id] == nil {
					found[id] = map[string]bool{}
				}
				found[id][r.Scope] = true
			}
		}
	}
	return found, nil
}

func audiencesOf(profiles map[int64]*crm.Profile) []int64 {
	seen := map[int64]bool{}
	var ids []int64
	for _, p := range profiles {
		if !seen[p.Contact.AudienceID] {
			seen[p.Contact.AudienceID] = true
			ids = append(ids, p.Contact.AudienceID)
		}
	}
	return ids
}
