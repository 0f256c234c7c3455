package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/store"
)

func (r *rig) database() *store.DB {
	r.t.Helper()
	db, err := store.Open(r.t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(r.dir, "relance.db")})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = db.Close() })
	return db
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAPersonGetsEverythingThatIsHeld(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	if _, err := r.shop.CreateOrder(wooshop.OrderSpec{Email: "somebody@example.com", Status: "processing"}); err != nil {
		t.Fatal(err)
	}
	r.must("sync", "--once")
	var who string // of the recorded shop, with an account and two orders
	if err := r.database().Read().GetContext(t.Context(), &who, `SELECT c.email FROM contacts c JOIN orders o ON o.contact_id=c.id JOIN order_lines l ON l.shop_id=o.shop_id AND l.order_id=o.id
 JOIN customers k ON k.contact_id=c.id JOIN addresses a ON a.shop_id=k.shop_id AND a.kind='customer' AND a.id=k.id GROUP BY c.email HAVING COUNT(DISTINCT o.id)>1 ORDER BY c.email LIMIT 1`); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := lines(r.must("contact", "export", who, "--out", dir))
	if len(files) != 2 {
		t.Fatal(files)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	page := read(t, files[1])
	wants(t, string(page), who, "Orders", "From: the shops", "The records as the shops sent them")
	if strings.Contains(string(page), "somebody@example.com") {
		t.Error("somebody else's record is in it")
	}
	var e exportedContact
	if err := json.Unmarshal(read(t, files[0]), &e); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, h := range e.Held {
		rows[h.Name] = len(h.Rows)
		if h.Title == "" || h.From == "" {
			t.Errorf("%+v", h)
		}
		for _, row := range h.Rows {
			if h.Name == "orders" && (row["total"] == nil || strings.Contains(row["placed_at"].(string), "T") == false || row["hash"] != nil) {
				t.Errorf("an order reads %+v", row)
			}
			if h.Name == "source_records" && !json.Valid([]byte(row["raw"].(string))) {
				t.Errorf("a body reads %.80v", row["raw"])
			}
		}
	}
	for name, least := range map[string]int{"contacts": 1, "orders": 2, "order_lines": 2, "addresses": 1, "customers": 1, "source_records": 3, "contact_stats": 1} {
		if rows[name] < least {
			t.Errorf("%d rows of %s", rows[name], name)
		}
	}
	var again exportedContact
	if err := json.Unmarshal([]byte(r.must("contact", "export", who, "--json")), &again); err != nil || len(again.Held) != len(e.Held) {
		t.Error(err, len(again.Held))
	}
	if code, _, _ := r.run("contact", "export", "nobody@example.com", "--out", dir); code != exitFailure {
		t.Error("exit code", code)
	}
}

// TestEveryTableWithSomebodyInItIsExported: a table that knows a contact is exported, or said here why not.
func TestEveryTableWithSomebodyInItIsExported(t *testing.T) {
	t.Parallel()
	not := map[string]string{
		"dirty": "what is to be evaluated again", "segment_due": "when it is", "touches": "what campaigns are to look at", "worth_marks": "whose orders are to be looked at", "departures": "who is to be taken out of campaigns",
		"contact_erasures": "wishes to be forgotten: of whom nothing is held",
	}
	r := newRig(t).withShop()
	r.must("sync", "--once")
	db := r.database()
	var tables []string
	if err := db.Read().SelectContext(t.Context(), &tables, "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type='table' AND c.name='contact_id' ORDER BY m.name"); err != nil {
		t.Fatal(err)
	}
	if len(tables) < 15 {
		t.Fatal(tables)
	}
	var who []int64
	if err := db.Read().SelectContext(t.Context(), &who, "SELECT id FROM contacts LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	var e exportedContact
	if err := json.Unmarshal([]byte(r.must("contact", "export", publicID(who[0]), "--json")), &e); err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, h := range e.Held {
		held[h.Name] = true
	}
	for _, table := range tables {
		if !held[table] && not[table] == "" {
			t.Errorf("%s knows contacts and is not in the export", table)
		}
	}
}
