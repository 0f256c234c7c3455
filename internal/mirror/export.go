package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// Holding is what one table holds of a person, for them to read (GDPR, article 15). Instants are RFC 3339 texts, amounts
// decimal texts, other values as they are stored; what only machines understand (hashes, lanes) is left out.
type Holding struct {
	Name  string           `json:"name"`  // of the table
	Title string           `json:"title"` // for people
	From  string           `json:"from"`  // where it comes from
	Rows  []map[string]any `json:"rows"`
}

// Where what is held comes from.
const (
	FromShops   = "the shops, as they sent it"
	FromRelance = "Relance itself"
	FromPerson  = "the person, or whoever wrote down what they said"
)

// Question is a Holding to be: its rows are those of the query, in which "(ids)" stands for the ids of the persons.
type Question struct{ Name, Title, From, Query string }

// Persons are the contact and those merged into it.
func (m *Mirror) Persons(ctx context.Context, q store.Queryer, contactID int64) ([]int64, error) {
	from, err := m.MergedFrom(ctx, q, []int64{contactID})
	if err != nil {
		return nil, err
	}
	return append([]int64{contactID}, from[contactID]...), nil
}

// Hold asks each question. Segments and mailer call it for their own tables, too.
func Hold(ctx context.Context, q store.Queryer, persons []int64, questions []Question) ([]Holding, error) {
	var out []Holding
	for _, ask := range questions {
		h := Holding{Name: ask.Name, Title: ask.Title, From: ask.From, Rows: []map[string]any{}}
		err := read(ctx, q, strings.ReplaceAll(ask.Query, "(ids)", "("+idList(persons)+")"), nil, func(r *sqlx.Rows) error {
			row := map[string]any{}
			if err := r.MapScan(row); err != nil {
				return err
			}
			h.Rows = append(h.Rows, legible(row))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading what %s hold of a person: %w", ask.Name, err)
		}
		out = append(out, h)
	}
	return out, nil
}

// legible makes a row fit to be read: drivers give texts as bytes, instants are numbers.
func legible(row map[string]any) map[string]any {
	currency := words(row["currency"])
	base := words(row["base_currency"])
	for name, value := range row {
		switch {
		case slices.Contains([]string{"hash", "lane", "generation", "email_norm", "norm_version", "code_key", "content"}, name):
			delete(row, name)
		case name == "raw":
			row[name] = body(value)
		case strings.HasSuffix(name, "_at") || name == "at" || name == "not_after":
			row[name] = instant(value)
		case amount(name, currency) || name == "base_total" && base != "":
			if name == "base_total" {
				currency = base
			}
			if n, ok := value.(int64); ok {
				row[name] = crm.Money{Minor: n, Currency: currency}.Decimal()
			}
			currency = words(row["currency"])
		default:
			if b, ok := value.([]byte); ok {
				row[name] = string(b)
			}
		}
	}
	return row
}

func amount(name, currency string) bool {
	return currency != "" && slices.Contains([]string{"goods", "shipping", "tax", "discount", "total", "refunded", "amount", "revenue"}, name)
}

func words(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case string:
		return v
	}
	return ""
}

func instant(v any) any {
	n, ok := v.(int64)
	switch {
	case !ok:
		return v
	case n == 0 || crm.Instant(n) == crm.Never:
		return nil
	}
	return crm.Instant(n).Time().Format(time.RFC3339)
}

func body(v any) string {
	raw, ok := v.([]byte)
	if !ok || len(raw) == 0 {
		return ""
	}
	out, err := Unpack(raw)
	if err != nil {
		return string(raw) // quarantine keeps what could not be packed as it came
	}
	return string(out)
}

// Export reads everything that the mirror holds of a contact and of those merged into it. ErrNotFound. Called by the
// command line.
func (m *Mirror) Export(ctx context.Context, contactID int64) ([]Holding, error) {
	q := m.db.Read()
	if _, err := m.card(ctx, q, contactID); err != nil {
		return nil, fmt.Errorf("reading a contact: %w", err)
	}
	persons, err := m.Persons(ctx, q, contactID)
	if err != nil {
		return nil, err
	}
	return Hold(ctx, q, persons, exported())
}

// exported are the questions to the mirror's tables.
func exported() []Question {
	of := func(table, columns string) string {
		return "SELECT s.name AS shop, " + columns + " FROM " + table + " JOIN shops s ON s.id=x.shop_id WHERE "
	}
	records := `(SELECT shop_id, 'customer' AS kind, id FROM customers WHERE contact_id IN (ids)
 UNION ALL SELECT shop_id, 'order' AS kind, id FROM orders WHERE contact_id IN (ids)
 UNION ALL SELECT shop_id, 'cart' AS kind, id FROM carts WHERE contact_id IN (ids)
 UNION ALL SELECT shop_id, 'event' AS kind, id FROM events WHERE contact_id IN (ids)
 UNION ALL SELECT shop_id, 'consent' AS kind, id FROM statements WHERE contact_id IN (ids)) r`
	return []Question{
		{"contacts", "Who you are, as put together from the records below", FromRelance, "SELECT c.*, a.name AS audience FROM contacts c LEFT JOIN audiences a ON a.id=c.audience_id WHERE c.id IN (ids)"},
		{"contact_attributes", "What campaigns noted", FromRelance, "SELECT name, value, set_by, set_at FROM contact_attributes WHERE contact_id IN (ids) ORDER BY name"},
		{"contact_merges", "Addresses taken for one person", FromRelance, "SELECT from_email, to_email, state, merged_by, merged_at, undone_by, undone_at FROM contact_merges WHERE from_id IN (ids) OR to_id IN (ids) ORDER BY id"},
		{"customers", "Accounts", FromShops, of("customers x", "x.*") + "x.contact_id IN (ids) ORDER BY s.name, x.id"},
		{"addresses", "Postal addresses", FromShops, of("addresses x JOIN "+records+" ON r.shop_id=x.shop_id AND r.kind=x.kind AND r.id=x.id", "x.*") + "1=1 ORDER BY s.name, x.kind, x.id"},
		{"orders", "Orders", FromShops, of("orders x", "x.*") + "x.contact_id IN (ids) ORDER BY x.placed_at"},
		{"order_lines", "What was ordered", FromShops, of("order_lines x JOIN orders o ON o.shop_id=x.shop_id AND o.id=x.order_id", "x.*, o.currency") + "o.contact_id IN (ids) ORDER BY o.placed_at, x.line_id"},
		{"refunds", "Refunds", FromShops, of("refunds x JOIN orders o ON o.shop_id=x.shop_id AND o.id=x.order_id", "x.*") + "o.contact_id IN (ids) ORDER BY x.refunded_at"},
		{"refund_lines", "What was given back", FromShops, of("refund_lines x JOIN refunds f ON f.shop_id=x.shop_id AND f.id=x.refund_id JOIN orders o ON o.shop_id=f.shop_id AND o.id=f.order_id", "x.*, f.currency") + "o.contact_id IN (ids) ORDER BY x.refund_id, x.line_id"},
		{"order_coupons", "Codes used", FromShops, of("order_coupons x JOIN orders o ON o.shop_id=x.shop_id AND o.id=x.order_id", "x.order_id, x.code_key AS code") + "o.contact_id IN (ids) ORDER BY x.order_id"},
		{"carts", "Carts", FromShops, of("carts x", "x.*") + "x.contact_id IN (ids) ORDER BY x.created_at"},
		{"cart_lines", "What was in the carts", FromShops, of("cart_lines x JOIN carts k ON k.shop_id=x.shop_id AND k.id=x.cart_id", "x.*, k.currency") + "k.contact_id IN (ids) ORDER BY x.cart_id, x.line_id"},
		{"cart_versions", "When the carts were changed", FromShops, of("cart_versions x JOIN carts k ON k.shop_id=x.shop_id AND k.id=x.cart_id", "x.*, k.currency") + "k.contact_id IN (ids) ORDER BY x.cart_id, x.first_at"},
		{"ordered_carts", "Carts that became orders", FromShops, of("ordered_carts x JOIN carts k ON k.shop_id=x.shop_id AND k.id=x.id", "x.*") + "k.contact_id IN (ids)"},
		{"events", "What you did in the shops", FromShops, of("events x", "x.*") + "x.contact_id IN (ids) ORDER BY x.happened_at"},
		{"optins", "Boxes ticked or not", FromShops, of("optins x", "x.*") + "x.contact_id IN (ids) ORDER BY s.name, x.kind, x.id"},
		{"statements", "What you agreed to, as it was sent", FromPerson, of("statements x", "x.*") + "x.contact_id IN (ids) ORDER BY x.stated_at"},
		{"consents", "Every change of your consents", FromPerson, "SELECT topic, channel, state, basis, source, source_at, seen_at, text_shown, ip, expires_at FROM consents WHERE contact_id IN (ids) ORDER BY id"},
		{"consent_state", "What is in force", FromRelance, "SELECT topic, channel, state, basis, source, source_at, seen_at, expires_at FROM consent_state WHERE contact_id IN (ids) ORDER BY topic, channel"},
		{"contact_stats", "Figures worked out from the orders", FromRelance, of("contact_stats x", "x.*") + "x.contact_id IN (ids) ORDER BY s.name"},
		{"source_records", "The records as the shops sent them", FromShops, of("source_records x JOIN "+records+" ON r.shop_id=x.shop_id AND r.kind=x.kind AND r.id=x.id", "x.kind, x.id, x.read_at, x.raw") + "1=1 ORDER BY s.name, x.kind, x.id"},
		{"quarantine", "Records that could not be understood", FromShops, of("quarantine x JOIN "+records+" ON r.shop_id=x.shop_id AND r.kind=x.kind AND r.id=x.id", "x.*") + "1=1 ORDER BY s.name, x.kind, x.id"},
	}
}
