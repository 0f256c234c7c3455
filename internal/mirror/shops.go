package mirror

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

// ErrNotFound says that there is no such shop or contact.
var ErrNotFound = errors.New("not found")

const selectShops = `SELECT s.id, s.name, s.audience_id, COALESCE(a.name,'') AS audience, s.platform, s.title, s.address, s.zone, s.currency,
 s.locale, s.skew_ms, s.basis, s.backfilled_at, s.rules, s.busy_ppm,
 COALESCE((SELECT i.received_at FROM inbox i WHERE i.shop_id=s.id ORDER BY i.id DESC LIMIT 1),0) AS last_hook_at, s.fault, s.fault_class, s.fault_at FROM shops s LEFT JOIN audiences a ON a.id=s.audience_id `

// EnsureAudience creates or retitles an audience and gives its id. An empty title leaves the stored one.
func (m *Mirror) EnsureAudience(ctx context.Context, name, title string) (int64, error) {
	var id int64
	err := m.db.Write(ctx, "mirror.audience", func(tx *store.Tx) error {
		var err error
		id, err = ensureAudience(ctx, tx, name, title)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("storing audience %s: %w", name, err)
	}
	return id, nil
}

func ensureAudience(ctx context.Context, tx *store.Tx, name, title string) (int64, error) {
	var row struct {
		ID    int64
		Title string
	}
	err := tx.GetContext(ctx, &row, "SELECT id, title FROM audiences WHERE name=?", name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		id := tx.NewID()
		return id, again(tx, tx.Insert(ctx, "audiences", []string{"id", "name", "title"}, [][]any{{id, name, title}}))
	case err != nil || title == "" || title == row.Title:
		return row.ID, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE audiences SET title=? WHERE id=?", title, row.ID)
	return row.ID, err
}

// again makes a duplicate key repeat the whole transaction: another process inserted the same row first.
func again(tx *store.Tx, err error) error {
	if err != nil && tx.Dialect().Duplicate(err) {
		return fmt.Errorf("%w: %w", store.ErrAgain, err)
	}
	return err
}

// EnsureShop creates or updates a shop from its configuration and gives it as stored. What the configuration leaves
// open (zone) stays as probed. An unchanged configuration writes nothing.
func (m *Mirror) EnsureShop(ctx context.Context, s ShopSpec) (Shop, error) {
	err := m.db.Write(ctx, "mirror.shop", func(tx *store.Tx) error { return ensureShop(ctx, tx, s) })
	if err != nil {
		return Shop{}, fmt.Errorf("storing shop %s: %w", s.Name, err)
	}
	return m.ShopByName(ctx, s.Name)
}

type shopRow struct {
	ID         int64
	AudienceID int64 `db:"audience_id"`
	Platform   string
	Title      string
	Address    string
	Zone       string
	OwnZone    string `db:"own_zone"`
	Locale     string
	Basis      string
	Probed     string
}

func ensureShop(ctx context.Context, tx *store.Tx, s ShopSpec) error {
	if s.Audience == "" {
		s.Audience = "default"
	}
	if s.Basis == "" {
		s.Basis = "opt_in"
	}
	audience, err := ensureAudience(ctx, tx, s.Audience, "")
	if err != nil {
		return err
	}
	want := shopRow{AudienceID: audience, Platform: s.Platform, Title: s.Title, Address: s.Address, Zone: s.Zone, OwnZone: s.Zone, Locale: s.Locale, Basis: s.Basis}
	var have shopRow
	err = tx.GetContext(ctx, &have, "SELECT id, audience_id, platform, title, address, zone, own_zone, locale, basis, probed FROM shops WHERE name=?", s.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return again(tx, tx.Insert(ctx, "shops", []string{"id", "name", "audience_id", "platform", "title", "address", "zone", "own_zone", "locale", "basis", "probed"},
			[][]any{{tx.NewID(), s.Name, audience, s.Platform, s.Title, s.Address, s.Zone, s.Zone, s.Locale, s.Basis, ""}}))
	}
	if err != nil {
		return err
	}
	want.ID, want.Probed = have.ID, have.Probed
	if want.Zone == "" {
		want.Zone = probedZone(have.Probed)
	}
	if want == have {
		return nil
	}
	if have.AudienceID != want.AudienceID {
		return &fault.Error{
			Class: fault.Operator, Op: "changing the audience of shop " + s.Name, Err: errors.New("its customers belong to another audience already"),
			Hint: "Give the shop a new name: a shop never changes hands",
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE shops SET platform=?, title=?, address=?, zone=?, own_zone=?, locale=?, basis=? WHERE id=?",
		want.Platform, want.Title, want.Address, want.Zone, want.OwnZone, want.Locale, want.Basis, want.ID); err != nil {
		return err
	}
	if have.Zone == want.Zone && have.Locale == want.Locale && have.Basis == want.Basis {
		return nil
	}
	if err := redefineShop(ctx, tx, have.ID, fanShop); err != nil || have.Basis == want.Basis {
		return err
	}
	return redefineShop(ctx, tx, have.ID, fanBasis)
}

// redefineShop queues the marks of every contact whose zone and locale come from the shop, or who ordered there.
func redefineShop(ctx context.Context, tx *store.Tx, shopID int64, kind string) error {
	var now crm.Instant // business time as the shop's reads know it
	if err := tx.GetContext(ctx, &now, "SELECT COALESCE(MAX(observed_at),0) FROM observations WHERE shop_id=?", shopID); err != nil {
		return fmt.Errorf("finding a shop's last read: %w", err)
	}
	if now == 0 { // without a read nobody is at home there
		return nil
	}
	return startFanOuts(ctx, tx, shopID, kind, []string{""}, now, now)
}

// Shops lists all shops by name.
func (m *Mirror) Shops(ctx context.Context) ([]Shop, error) {
	var out []Shop
	if err := m.db.Read().SelectContext(ctx, &out, selectShops+"ORDER BY s.name"); err != nil {
		return nil, fmt.Errorf("listing shops: %w", err)
	}
	return out, nil
}

// ShopByName finds one; ErrNotFound.
func (m *Mirror) ShopByName(ctx context.Context, name string) (Shop, error) {
	var s Shop
	if err := m.db.Read().GetContext(ctx, &s, selectShops+"WHERE s.name=?", name); err != nil {
		return s, fmt.Errorf("finding shop %s: %w", name, notFound(err))
	}
	return s, nil
}

func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// SetShopFault records why a shop cannot be read; nil clears it. Writes only when it differs from what is stored.
func (m *Mirror) SetShopFault(ctx context.Context, shopID int64, cause error, at crm.Instant) error {
	text, class := "", ""
	if cause != nil {
		text, class = clip(cause.Error(), 1000), string(fault.ClassOf(cause))
	} else {
		at = 0
	}
	var have struct {
		Fault string
		Class string `db:"fault_class"`
	}
	if err := m.db.Read().GetContext(ctx, &have, "SELECT fault, fault_class FROM shops WHERE id=?", shopID); err != nil {
		return fmt.Errorf("reading a shop's fault: %w", notFound(err))
	}
	if have.Fault == text && have.Class == class {
		return nil
	}
	return m.db.Write(ctx, "mirror.shopfault", func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE shops SET fault=?, fault_class=?, fault_at=? WHERE id=?", text, class, at, shopID)
		return err
	})
}

// clip shortens a text to n runes: what a column can hold.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= n {
		return s
	}
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// SetProbed stores what the probe found (zone and currency where the configuration is silent) and the clock skew.
// skewMS is the shop's clock minus ours; small changes of it are not written.
func (m *Mirror) SetProbed(ctx context.Context, shopID int64, p connectors.ProbeResult, skewMS int64) error {
	body, err := json.Marshal(withoutTime(p))
	if err != nil {
		return fmt.Errorf("storing a probe: %w", err)
	}
	return m.db.Write(ctx, "mirror.probed", func(tx *store.Tx) error {
		var have struct {
			Zone     string
			OwnZone  string `db:"own_zone"`
			Currency string
			Skew     int64 `db:"skew_ms"`
			Probed   string
		}
		if err := tx.GetContext(ctx, &have, "SELECT zone, own_zone, currency, skew_ms, probed FROM shops WHERE id=?", shopID); err != nil {
			return fmt.Errorf("storing a probe: %w", notFound(err))
		}
		zone, currency := have.OwnZone, have.Currency
		if zone == "" {
			zone = p.Zone
		}
		if p.Currency != "" {
			currency = p.Currency
		}
		if zone == have.Zone && currency == have.Currency && string(body) == have.Probed && near(skewMS, have.Skew) {
			return nil
		}
		if _, err := tx.ExecContext(ctx, "UPDATE shops SET zone=?, currency=?, skew_ms=?, probed=? WHERE id=?", zone, currency, skewMS, string(body), shopID); err != nil {
			return err
		}
		if zone == have.Zone {
			return nil
		}
		return redefineShop(ctx, tx, shopID, fanShop)
	})
}

// near: the Date header has whole seconds, so a skew differs by up to that from probe to probe.
func near(a, b int64) bool { return a-b < 2000 && b-a < 2000 }

// probed is a probe as stored: without the instant, so that an unchanged shop is an unchanged row.
type probed struct {
	Findings []connectors.Finding `json:"findings"`
	Name     string               `json:"name"`
	Version  string               `json:"version"`
	Zone     string               `json:"zone"`
	Currency string               `json:"currency"`
}

func withoutTime(p connectors.ProbeResult) probed {
	return probed{Findings: p.Findings, Name: p.Name, Version: p.Version, Zone: p.Zone, Currency: p.Currency}
}

func probedZone(stored string) string {
	var p probed
	if json.Unmarshal([]byte(stored), &p) != nil {
		return ""
	}
	return p.Zone
}

// SetBackfilled records the end of a shop's backfill, once.
func (m *Mirror) SetBackfilled(ctx context.Context, tx *store.Tx, shopID int64, at crm.Instant) error {
	_, err := tx.ExecContext(ctx, "UPDATE shops SET backfilled_at=? WHERE id=? AND backfilled_at=0", at, shopID)
	return err
}
