package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
)

func syncJSON(t *testing.T, r *rig) synced {
	t.Helper()
	var s synced
	if err := json.Unmarshal([]byte(r.must("sync", "--once", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSyncOnceMirrorsTheShopAndTheSecondRunWritesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	first := syncJSON(t, r)
	for _, kind := range []string{"customers", "orders", "products", "refunds"} {
		c := first.Shops["boutique"][kind]
		if c.Source == 0 || c.Mirrored+c.Quarantined != c.Source {
			t.Errorf("%s: %+v", kind, c)
		}
	}
	if first.Contacts == 0 || first.Applied == 0 {
		t.Errorf("%+v", first)
	}
	second := syncJSON(t, r)
	if second.Applied != 0 || second.Unchanged == 0 || second.Contacts != first.Contacts {
		t.Errorf("the second run: %+v", second)
	}
	id, err := r.shop.CreateOrder(wooshop.OrderSpec{Email: "nouvelle@example.com", Status: "processing"})
	if err != nil {
		t.Fatal(err)
	}
	if third := syncJSON(t, r); third.Applied == 0 || third.Contacts != first.Contacts+1 {
		t.Errorf("order %d: the third run: %+v", id, third)
	}
	wants(t, r.must("status"), "boutique", "orders", "in quarantine", "contacts")
	wants(t, r.must("segment", "verify"), "0 differences")
}

// What the shop has is counted anew each time, and what it deleted without a word is found.
func TestSyncSaysWhatTheShopHasNow(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	before := syncJSON(t, r).Shops["boutique"]
	var ids []int64
	for range 5 {
		id, err := r.shop.CreateOrder(wooshop.OrderSpec{Email: "nouvelle@example.com", Status: "processing"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	customer, err := r.shop.CreateCustomer(wooshop.CustomerSpec{Email: "inscrite@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.shop.Refund(r.shop.OrderIDs("completed")[0], "1.00", "geste"); err != nil {
		t.Fatal(err)
	}
	adds := func(when string, more map[string]int64) {
		t.Helper()
		for kind, now := range syncJSON(t, r).Shops["boutique"] {
			if kind == "carts" {
				continue
			}
			if now.Source != now.Mirrored+now.Quarantined || now.Source != before[kind].Source+more[kind] {
				t.Errorf("%s: %s: %+v, before %+v", when, kind, now, before[kind])
			}
		}
	}
	adds("orders came", map[string]int64{"orders": 5, "customers": 1, "refunds": 1})
	if err := errors.Join(r.shop.TrashOrder(ids[0]), r.shop.DeleteOrder(ids[1]), r.shop.DeleteOrder(ids[2]), r.shop.DeleteCustomer(customer)); err != nil {
		t.Fatal(err)
	}
	adds("orders went", map[string]int64{"orders": 3, "refunds": 1})
}

func TestSyncShowsPlainLinesAwayFromATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	code, out, errs := r.run("sync", "--once")
	if code != exitOK {
		t.Fatal(code, errs)
	}
	wants(t, errs, "boutique orders: ", " read\n")
	wants(t, out, "boutique\n", "mirrored", "contacts;")
	if strings.ContainsAny(out+errs, "\r\x1b") {
		t.Errorf("control characters: %q", out+errs)
	}
}

func TestSyncSaysWhyTheShopCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.env["BOUTIQUE_SECRET"] = "cs_another_secret"
	code, _, errs := r.run("sync", "--once")
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, "relance: ", "boutique", "secret")
	if strings.Contains(errs, "cs_another_secret") {
		t.Error("the secret is shown")
	}
}

func TestASecondProcessOnTheFileIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	unlock, err := lockDatabase(filepath.Join(r.dir, "relance.db"))
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := r.run("sync", "--once")
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, "another relance is at work on this file", "Stop the other one first")
	unlock()
	r.must("sync", "--once")
}

func TestSegmentsAndCampaignsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.edit("segments/abandoned_cart.yaml", "cart_left:", "everybody:\n  match: {bought: {at_least: 1}}\ncart_left:")
	r.must("sync", "--once")
	list := r.must("segment", "list")
	wants(t, list, "everybody", "dormant", "live")
	members := bufio.NewScanner(strings.NewReader(r.must("segment", "members", "everybody")))
	if !members.Scan() {
		t.Fatalf("nobody bought anything:\n%s", list)
	}
	id, _, _ := strings.Cut(members.Text(), "\t")
	wants(t, r.must("segment", "explain", "everybody", id), "Contact "+id+" is in everybody")
	r.in = strings.NewReader(id + "\n")
	wants(t, r.must("segment", "explain", "everybody", "-", "--json"), `"member": true`)

	wants(t, r.must("campaign", "list"), "win_back", "draft", "no mail yet")
	code, out, errs := r.run("campaign", "arm", "win_back")
	if code != exitUsage {
		t.Errorf("armed without being asked: exit %d", code)
	}
	wants(t, out, "when somebody enters dormant", "none of them is written to", "shop boutique: read whole on")
	wants(t, errs, "--yes")
	wants(t, r.must("campaign", "arm", "win_back", "--yes"), "win_back is armed")
	wants(t, r.must("campaign", "list"), "armed  since")
	wants(t, r.must("campaign", "why", "win_back", id), ".\n", "The gate, ", "of its mail if one were due now", "set up          the campaign is armed", "in the segment dormant", "holdout")
	r.in = strings.NewReader(id + "\n")
	wants(t, r.must("campaign", "why", "win_back", "-", "--json"), `"gate": {`, `"verdict": "passed"`, `"check": "caps"`)
	wants(t, r.must("campaign", "pause", "win_back", "--reason", "wrong prices"), "paused")
	wants(t, r.must("campaign", "list"), "wrong prices")
	wants(t, r.must("status"), "LOOK: campaign win_back is paused. wrong prices")
	wants(t, r.must("campaign", "resume", "win_back"), "armed")
}

func TestUnknownNamesAreSaidWithWhatThereIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must("init")
	for _, c := range []struct{ args, want []string }{
		{[]string{"campaign", "arm", "winback", "--yes"}, []string{`no campaign "winback"`, "win_back"}},
		{[]string{"segment", "members", "nobody"}, []string{`no segment "nobody"`}},
		{[]string{"sync", "--once", "--shop", "other"}, []string{`no shop "other"`}},
		{[]string{"segment", "list", "--at", "tomorrow"}, []string{"no instant"}},
	} {
		code, _, errs := r.run(c.args...)
		if code != exitUsage {
			t.Errorf("%v: exit %d", c.args, code)
		}
		wants(t, errs, c.want...)
	}
	if code, _, errs := r.run("segment", "explain", "dormant", "somebody@example.com"); code == exitOK || strings.Contains(errs, "somebody@") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestKeysThatSignedMailsMustStayThere(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.must("sync", "--once")
	keys := filepath.Join(r.dir, "keys.json")
	info, err := os.Stat(keys)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("keys.json: %v", err)
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	r.must("check", "--offline") // no mail has been sent: another key will do
	r.must("sync", "--once")
	r.sent(t)
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	code, out, _ := r.run("check", "--offline")
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	wants(t, out, "WRONG keys", "mail has been sent", "Restore the file")
}
