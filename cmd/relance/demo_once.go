package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments"
)

//go:embed demo
var demoFiles embed.FS

// layOutDemo writes the demo's files into a folder.
func layOutDemo(dir string) error {
	files, err := fs.Sub(demoFiles, "demo")
	if err != nil {
		return fmt.Errorf("reading the demo's files: %w", err)
	}
	if err := os.CopyFS(dir, files); err != nil {
		return fmt.Errorf("laying out the demo's files: %w", err)
	}
	return os.MkdirAll(filepath.Join(dir, "outbox"), 0o700)
}

func (m *demo) campaigns() []string { return slices.Sorted(maps.Keys(m.app.cfg.Campaigns)) }

// demoResult is what demo --once --json prints. Version 1: keys may be added.
type demoResult struct {
	Version  int                     `json:"version"`
	Shop     map[string]mirror.Count `json:"shop"` // customers, orders, products, …
	Contacts int64                   `json:"contacts"`
	Segments map[string]int64        `json:"segments"`
	Mails    map[string]int64        `json:"mails"` // handed over, by campaign
	Seconds  float64                 `json:"seconds"`
}

// once plays a fixed scene: three carts are left and one of them is bought after all; somebody registers; a recorded customer
// reaches the sixtieth day. It ends when their five mails have been handed over and nothing is left to do.
func (m *demo) once(ctx context.Context) error {
	people, err := subscribers(m.shop)
	if err != nil {
		return err
	}
	goods := m.shop.Goods()
	var carts []int64
	for i := range 3 {
		id, err := m.shop.CreateDraft(people[i].order(goods[i].Item)) //nolint:contextcheck // the shop's own webhooks end with the shop, not with a context
		if err != nil {
			return err
		}
		carts = append(carts, id)
	}
	if err := m.shop.PlaceDraft(carts[2], ""); err != nil { //nolint:contextcheck // the shop's own webhooks end with the shop, not with a context
		return err
	}
	newcomer := wooshop.CustomerSpec{Email: "demo.welcome@example.com", FirstName: "Inès", LastName: "Exemple", Meta: map[string]string{"newsletter_optin": "1"}}
	if _, err := m.shop.CreateCustomer(newcomer); err != nil { //nolint:contextcheck // the shop's own webhooks end with the shop, not with a context
		return err
	}
	want := map[string]int64{"abandoned_cart": 2, "order_confirmation": 1, "welcome": 1, "win_back": 1}
	err = until(ctx, 90*time.Second, "the mails", func(ctx context.Context) (bool, error) {
		sent, open, err := m.sends(ctx)
		if err != nil || open > 0 {
			return false, err
		}
		for id, n := range want {
			if sent[id] < n {
				return false, nil
			}
		}
		return m.settled(ctx)
	})
	if err != nil {
		return err
	}
	return m.result(ctx)
}

// sends counts the mails handed over, by campaign, and the sends that are not settled.
func (m *demo) sends(ctx context.Context) (sent map[string]int64, open int64, err error) {
	infos, err := mailer.Infos(ctx, m.app.db.Read())
	sent = map[string]int64{}
	for _, c := range infos {
		sent[c.ID] = c.Sends[string(mailer.Accepted)]
		for _, s := range mailer.States() {
			if !s.Terminal() {
				open += c.Sends[string(s)]
			}
		}
	}
	return sent, open, err
}

func (m *demo) result(ctx context.Context) error {
	r := demoResult{Version: 1, Segments: map[string]int64{}}
	_, err := m.app.shops[0].engine.RefreshCounts(ctx, m.clock.Now())
	if err != nil {
		return err
	}
	if r.Shop, err = m.counts(ctx); err != nil {
		return err
	}
	if r.Contacts, err = m.app.mirror.LiveContacts(ctx); err != nil {
		return err
	}
	infos, err := segments.Infos(ctx, m.app.db.Read())
	if err != nil {
		return err
	}
	for _, i := range infos {
		r.Segments[i.ID] = i.Size
	}
	if r.Mails, _, err = m.sends(ctx); err != nil {
		return err
	}
	r.Seconds = time.Since(m.begun).Seconds()
	if m.cmd.JSON {
		return m.d.json(r)
	}
	m.say.result(r)
	return nil
}
