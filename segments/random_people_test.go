package segments_test

import (
	"encoding/json"
	"fmt"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule/ruletest"
)

func jsonOf(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // texts
	}
	return string(text)
}

func (h *history) anEvent(t *rapid.T) {
	id, at := h.who(t), h.instant(t)
	properties := jsonOf(ruletest.Properties().Draw(t, "properties"))
	name := ruletest.EventName().Draw(t, "name")
	h.serial++
	h.write(t, func(tx *store.Tx) error {
		if err := tx.Insert(h.ctx, "events", []string{"shop_id", "id", "contact_id", "name", "happened_at", "properties"},
			[][]any{{1, fmt.Sprintf("e%d", h.serial), id, name, at, properties}}); err != nil {
			return err
		}
		return h.mark(tx, id, at, at, "")
	})
}

// aPerson changes what is known of somebody: their account, where they live, when they were born, the basis of their shop.
func (h *history) aPerson(t *rapid.T) {
	id := h.who(t)
	birthday := ruletest.Birthday().Draw(t, "born")
	basis := ruletest.Basis().Draw(t, "basis")
	attributes := map[string]string{}
	for _, name := range []string{"fidelite", "points", "since", "tags"} {
		if v := ruletest.Value().Draw(t, name); v != "" {
			attributes[name] = v
		}
	}
	role := rapid.SampledFrom([]string{"customer", "vip"}).Draw(t, "role")
	city := rapid.SampledFrom([]string{"", "Lyon", "Paris"}).Draw(t, "city")
	at := h.instant(t)
	h.write(t, func(tx *store.Tx) error {
		if err := tx.Upsert(h.ctx, "customers", []string{"shop_id", "id"}, []string{"shop_id", "id", "contact_id", "role", "attributes", "registered_at"},
			[][]any{{2, fmt.Sprint(id), id, role, jsonOf(attributes), at}}); err != nil {
			return err
		}
		if err := tx.Upsert(h.ctx, "shops", []string{"id"}, []string{"id", "name", "basis", "probed"},
			[][]any{{1, "boutique", basis, ""}, {2, "salon", "opt_in", ""}}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(h.ctx, "UPDATE contacts SET birthday=?, city=?, home_shop_id=1 WHERE id=?", birthday, city, id); err != nil {
			return err
		}
		for _, c := range h.contacts { // a basis is everybody's
			if err := h.mark(tx, c, h.now, h.now, crm.CauseRedefined); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *history) aSuppression(t *rapid.T) {
	id := h.who(t)
	reason := rapid.SampledFrom([]string{crm.SuppressedBounced, crm.SuppressedUnsubscribed}).Draw(t, "reason")
	h.suppressed[id] = []string{reason}
	h.write(t, func(tx *store.Tx) error { return h.mark(tx, id, h.now, h.now, crm.CauseConsent) })
}
