package mirror

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// AttributePrefix begins the names of what Relance itself knows of contacts, where conditions and templates name it.
const AttributePrefix = "relance."

// Attributes that Relance itself goes by, without the prefix.
const (
	AttributeLocale        = "locale"         // "fr", "fr-BE": before what the shops say
	AttributeBirthday      = "birthday"       // YYYY-MM-DD: before what the shops say
	AttributePreferredHour = "preferred_hour" // 0 to 23
	AttributeFrequency     = "frequency"
)

const roomAttribute = 500 // of a value

// Attributes are values to be noted of one contact: name without the prefix → value, "" to remove it.
type Attributes struct {
	ContactID int64
	Values    map[string]string
	By        string // who says so: "campaign welcome", "preferences"; no address
	At        crm.Instant
}

type attributeKey struct {
	contact int64
	name    string
}

func (k attributeKey) compare(o attributeKey) int {
	return cmp.Or(cmp.Compare(k.contact, o.contact), cmp.Compare(k.name, o.name))
}

// SetAttributes notes what Relance knows of contacts; of two that are noted together the later one stays. A contact whose
// attributes change is marked dirty, and so is the one that it is merged into; what is as it was changes nothing. Nothing is
// noted of the erased. The mailer and the pages call it.
func (m *Mirror) SetAttributes(ctx context.Context, tx *store.Tx, sets ...Attributes) error {
	if len(sets) == 0 {
		return nil
	}
	people, into, err := livePeople(ctx, tx, sets)
	if err != nil || len(people) == 0 {
		return err
	}
	have, err := attributesOf(ctx, tx, people)
	if err != nil {
		return err
	}
	merged, err := m.MergedFrom(ctx, tx, people)
	if err != nil {
		return err
	}
	want, changed := map[attributeKey][]any{}, map[int64]crm.Instant{}
	var gone [][]any
	for _, s := range sets {
		if !slices.Contains(people, s.ContactID) {
			continue
		}
		for name, value := range s.Values {
			k := attributeKey{s.ContactID, name}
			value = clip(value, roomAttribute)
			if have[k] == value && (value != "" || len(merged[s.ContactID]) == 0) {
				continue
			}
			have[k] = value
			changed[s.ContactID] = s.At
			if to := into[s.ContactID]; to != 0 {
				changed[to] = s.At
			}
			delete(want, k)
			if value != "" {
				want[k] = []any{k.contact, k.name, value, clip(s.By, 128), s.At}
				continue
			}
			for _, id := range append([]int64{s.ContactID}, merged[s.ContactID]...) {
				gone = append(gone, []any{id, name})
			}
		}
	}
	return m.writeAttributes(ctx, tx, want, gone, changed)
}

func (m *Mirror) writeAttributes(ctx context.Context, tx *store.Tx, want map[attributeKey][]any, gone [][]any, changed map[int64]crm.Instant) error {
	if err := execEach(ctx, tx, "DELETE FROM contact_attributes WHERE contact_id=? AND name=?", gone); err != nil {
		return fmt.Errorf("removing attributes: %w", err)
	}
	rows := make([][]any, 0, len(want))
	for _, k := range slices.SortedFunc(maps.Keys(want), attributeKey.compare) { // one order of locking for all
		rows = append(rows, want[k])
	}
	if err := tx.Upsert(ctx, "contact_attributes", []string{"contact_id", "name"}, []string{"contact_id", "name", "value", "set_by", "set_at"}, rows); err != nil {
		return fmt.Errorf("noting attributes: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(changed)) {
		if err := m.MarkDirty(ctx, tx, []int64{id}, changed[id], changed[id], crm.CauseChange); err != nil {
			return err
		}
	}
	return nil
}

// livePeople gives those contacts of whom something may be noted, and into which they are merged.
func livePeople(ctx context.Context, tx *store.Tx, sets []Attributes) (ids []int64, into map[int64]int64, err error) {
	asked := map[int64]bool{}
	for _, s := range sets {
		asked[s.ContactID] = true
	}
	into = map[int64]int64{}
	err = read(ctx, tx, "SELECT id, merged_into FROM contacts WHERE erased_at=0 AND id IN ("+idList(slices.Sorted(maps.Keys(asked)))+")", nil, func(r *sqlx.Rows) error {
		var id, to int64
		err := r.Scan(&id, &to)
		ids, into[id] = append(ids, id), to
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("finding whose attributes they are: %w", err)
	}
	slices.Sort(ids)
	return ids, into, nil
}

func attributesOf(ctx context.Context, tx *store.Tx, ids []int64) (map[attributeKey]string, error) {
	have := map[attributeKey]string{}
	err := read(ctx, tx, "SELECT contact_id, name, value FROM contact_attributes WHERE contact_id IN ("+idList(ids)+")", nil, func(r *sqlx.Rows) error {
		var k attributeKey
		var value string
		err := r.Scan(&k.contact, &k.name, &value)
		have[k] = value
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading attributes: %w", err)
	}
	return have, nil
}

// Apply puts values, by names without the prefix, into a contact as profiles have it: into Attributes, which must be the
// caller's own, and before what the shops say of locale and birthday. "" removes one.
func Apply(c *crm.Contact, values map[string]string) {
	for name, value := range values {
		if value == "" {
			delete(c.Attributes, AttributePrefix+name)
			continue
		}
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
		c.Attributes[AttributePrefix+name] = value
		switch name {
		case AttributeLocale:
			c.Locale = value
		case AttributeBirthday:
			c.Birthday = value
		}
	}
}

// known adds what Relance itself knows. What it knows of a contact counts for the one that it is merged into; of two that say
// different things, what was noted last.
func (l *loading) known(ctx context.Context) error {
	return read(ctx, l.q, "SELECT contact_id, name, value, set_at, 1 AS own FROM contact_attributes WHERE contact_id IN "+l.in+
		" UNION ALL SELECT m.to_id, a.name, a.value, a.set_at, 0 FROM contact_merges m JOIN contact_attributes a ON a.contact_id=m.from_id WHERE m."+inForce+" AND m.to_id IN "+l.in+
		" ORDER BY set_at, own", nil, func(r *sqlx.Rows) error {
		var id, at int64
		var own bool
		var name, value string
		if err := r.Scan(&id, &name, &value, &at, &own); err != nil {
			return err
		}
		if p := l.profiles[id]; p != nil {
			Apply(&p.Contact, map[string]string{name: value})
		}
		return nil
	})
}

// CardAttribute is one thing that Relance itself knows of a contact.
type CardAttribute struct {
	Name  string // without the prefix
	Value string
	SetBy string      `db:"set_by"`
	SetAt crm.Instant `db:"set_at"`
}

// cardAttributes lists them for people, those of merged contacts included, by name and age.
func cardAttributes(ctx context.Context, q store.Queryer, persons []int64) ([]CardAttribute, error) {
	var out []CardAttribute
	err := q.SelectContext(ctx, &out, "SELECT name, value, set_by, set_at FROM contact_attributes WHERE contact_id IN ("+idList(persons)+") ORDER BY name, set_at, contact_id")
	return out, err
}
