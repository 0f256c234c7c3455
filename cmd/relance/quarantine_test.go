package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// holding puts records of the mirrored shop into quarantine.
func (r *rig) holding(t *testing.T, rs ...connectors.Rejected) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(r.dir, "relance.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m := mirror.New(db)
	shop, err := m.ShopByName(t.Context(), "boutique")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), "test", func(tx *store.Tx) error { return m.Quarantine(t.Context(), tx, shop.ID, rs, crm.At(time.Now())) }); err != nil {
		t.Fatal(err)
	}
}

func badOrder(id string) connectors.Rejected {
	return connectors.Rejected{
		Ref: crm.Ref{Kind: crm.KindOrder, ID: id}, Reason: `total: amount "12,a" is not a number`, Raw: []byte(`{"id":` + id + `,"total":"12,a","billing":{"email":"ines@example.com"}}`),
	}
}

func TestB8_QuarantineIsListedShownExplainedAndReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.must("sync", "--once")
	wants(t, r.must("quarantine", "list", "boutique"), "Nothing of shop boutique is in quarantine.")
	real := fmt.Sprint(r.shop.OrderIDs()[0])
	r.holding(t, badOrder(real), connectors.Rejected{Ref: crm.Ref{Kind: crm.KindOrder}, Reason: "the id cannot be read", Raw: []byte("{}")})

	out := r.must("quarantine", "list", "boutique")
	wants(t, out, "order", real, `total: amount "12,a" is not a number`, "2 records. What to do:", "A number is none", "Its id cannot be read")
	if strings.Contains(out, "example.com") {
		t.Errorf("the list shows personal data:\n%s", out)
	}
	var listed struct{ Records []heldRecord }
	if err := json.Unmarshal([]byte(r.must("quarantine", "list", "boutique", "--kind", "orders", "--json")), &listed); err != nil || len(listed.Records) != 2 {
		t.Errorf("%v: %+v", err, listed)
	}
	wants(t, r.must("quarantine", "show", "boutique", "order", real), "Reason", "To do", "billing.email", "ines@example.com")
	r.in = strings.NewReader(real + "\n")
	wants(t, r.must("quarantine", "show", "boutique", "order", "-", "--json"), `"body": "{\"id\":`)

	code, _, errs := r.run("quarantine", "show", "boutique", "order", "77777777")
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, "order 77777777 is not in quarantine")
	if code, _, errs := r.run("quarantine", "retry", "nowhere"); code != exitUsage {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, out, _ := r.run("quarantine", "retry", "boutique", "order", "77777777"); code != exitFailure {
		t.Errorf("exit %d: %s", code, out)
	}

	wants(t, r.must("quarantine", "retry", "boutique"), "1 record of shop boutique will be read again", "1 cannot be asked for")
	r.must("sync", "--once")
	left := r.must("quarantine", "list", "boutique")
	if strings.Contains(left, real+" ") {
		t.Errorf("what can be read now is still in quarantine:\n%s", left)
	}
}

func TestADiagnosisHoldsNoSecretAndNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	wants(t, r.must("doctor", "boutique", "--offline"), "Nothing has been read from it yet.", "there is no file yet")
	r.must("sync", "--once")
	r.holding(t, badOrder("424242"), badOrder("424243"))
	out := r.must("doctor", "boutique")
	wants(
		t, out, "Diagnosis of", "version", "The clocks agree", "orders", "delta", "sqlite", "order: total: amount", "    2  order", "the shop's clock is", "STREAM", "mapping",
	)
	asJSON := r.must("doctor", "boutique", "--json")
	var g diagnosis
	if err := json.Unmarshal([]byte(asJSON), &g); err != nil || g.Probe == nil || len(g.Streams) < 8 || len(g.Quarantine) != 1 || g.Quarantine[0].Count != 2 || g.Shop == nil {
		t.Errorf("%v: %+v", err, g)
	}
	file := filepath.Join(r.dir, "report.txt")
	wants(t, r.must("doctor", "boutique", "--out", file), "read it before you share it")
	written, err := os.ReadFile(file)
	if info, serr := os.Stat(file); err != nil || serr != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", err, serr)
	}
	for _, text := range []string{out, asJSON, string(written)} {
		for _, private := range []string{wooshop.DefaultKey, wooshop.DefaultSecret, "@example", "ines"} {
			if strings.Contains(text, private) {
				t.Errorf("it shows %q:\n%s", private, text)
			}
		}
	}
	if code, _, errs := r.run("doctor", "nowhere"); code != exitUsage {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestADiagnosisIsScrubbed(t *testing.T) {
	t.Parallel()
	got := string(scrub([]byte(`key s3cr3t-value of jeanne.d@example.com, "a@b.example"`), []string{"s3cr3t-value", "x"}))
	if strings.Contains(got, "s3cr3t") || strings.Contains(got, "jeanne") || strings.Contains(got, "b.example") || !strings.Contains(got, "key ***") {
		t.Error(got)
	}
}

func TestStatusSaysWhatIsWrongAndHowToMendIt(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.must("sync", "--once")
	wants(t, r.must("status"), "boutique  woocommerce  https://", "in the shop", "erased", "last read", "orders", " ago", "contacts")
	r.holding(t, badOrder("424242"))
	wants(t, r.must("status"), "LOOK: 1 of the orders cannot be understood", "relance quarantine list boutique")
	var a statusAnswer
	if err := json.Unmarshal([]byte(r.must("status", "--json")), &a); err != nil || a.Shops["boutique"].Trouble == nil || a.Shops["boutique"].Kinds["orders"].Quarantined != 1 || a.Shops["boutique"].Way != "read" {
		t.Errorf("%v: %+v", err, a.Shops["boutique"])
	}
	if err := os.Rename(filepath.Join(r.dir, "shops/boutique.yaml"), filepath.Join(r.dir, "boutique.away")); err != nil {
		t.Fatal(err)
	}
	wants(t, r.must("status"), "no longer in the files", "Bring shops/boutique.yaml back")
}

// What to do fits the reasons that connectors give.
func TestB8_TheRemedyFitsTheReason(t *testing.T) {
	for reason, want := range map[string]string{
		"an order in a currency that the shop does not list":                          "currency",
		"a quantity is not a number":                                                  "A number is none",
		"the shop itself fails on this record with a 500: its PHP error log says why": "The shop itself breaks",
		"the shop cannot show row 5 of addresses: a module causes a PHP message":      "The shop itself breaks",
		"/records/0/data/total must be an amount":                                     "mend the sender",
		`field "billing" is of an unexpected type`:                                    "Look at its body",
	} {
		r := mirror.QuarantineRow{Kind: crm.KindOrder, ID: "5", Reason: reason}
		if got := remedy(r); !strings.Contains(got, want) {
			t.Errorf("%s: %s", reason, got)
		}
	}
}
