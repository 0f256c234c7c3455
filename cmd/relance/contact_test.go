package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/mirror"
)

func (r *rig) shown(who string) shownContact {
	r.t.Helper()
	var s shownContact
	if err := json.Unmarshal([]byte(r.must("contact", "show", who, "--json")), &s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) wished(args ...string) wished {
	r.t.Helper()
	var w wished
	if err := json.Unmarshal([]byte(r.must(append(append([]string{"contact"}, args...), "--json")...)), &w); err != nil {
		r.t.Fatal(err)
	}
	return w
}

func TestContactsAreShownMergedSplitAndErased(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	for _, email := range []string{"old@example.com", "old@example.com", "new@example.com"} {
		if _, err := r.shop.CreateOrder(wooshop.OrderSpec{Email: email, Status: "processing"}); err != nil {
			t.Fatal(err)
		}
	}
	r.must("sync", "--once")
	wants(t, r.must("contact", "show", "old@example.com"), "old@example.com", "boutique: 2 sales", "never asked")
	if w := r.wished("merge", "old@example.com", "new@example.com"); !w.Done || w.Merge.FromEmail != "old@example.com" {
		t.Errorf("%+v", w)
	}
	s := r.shown("new@example.com")
	if len(s.Stats) != 1 || s.Stats[0].Sales != 3 || len(s.Aliases) != 1 || len(s.Merges) != 1 || s.Merges[0].State != mirror.Merged {
		t.Errorf("%+v", s)
	}
	wants(t, r.must("contact", "show", "old@example.com"), "counts for contact "+s.Contact)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "other way round", []string{"merge", "new@example.com", "old@example.com"}},
		{exitUsage, "not merged", []string{"split", "new@example.com"}},
		{exitFailure, "no contact with this address", []string{"show", "nobody@example.com"}},
		{exitFailure, "no such contact", []string{"show", "1"}},
		{exitFailure, "no such contact", []string{"merge", "1", "new@example.com"}},
		{exitUsage, "standard input", []string{"merge", "-", "-"}},
		{exitUsage, "neither an e-mail", []string{"show", "what?"}},
		{exitUsage, "say --yes", []string{"erase", "new@example.com"}},
	} {
		code, out, errs := r.run(append([]string{"contact"}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) || strings.Contains(errs, "@") {
			t.Errorf("%v: exit %d, %q, %q", c.args, code, out, errs)
		}
	}
	r.in = strings.NewReader("old@example.com\n")
	wants(t, r.must("contact", "split", "-"), "counts for itself again")
	if s := r.shown("old@example.com"); len(s.Stats) != 1 || s.Stats[0].Sales != 2 || s.Merges[0].State != mirror.Split {
		t.Errorf("%+v", s)
	}
	id := r.shown("old@example.com").Contact
	wants(t, r.must("contact", "erase", "old@example.com", "--yes"), "is erased")
	wants(t, r.must("contact", "erase", id, "--yes"), "was erased on")
	wants(t, r.must("contact", "show", id), "Nothing is known of the person")
	for _, again := range []string{"pending", "completed"} { // the shop sends the person again
		if _, err := r.shop.CreateOrder(wooshop.OrderSpec{Email: "OLD@example.com", Status: again}); err != nil {
			t.Fatal(err)
		}
	}
	c := syncJSON(t, r).Shops["boutique"]["orders"]
	if c.Erased != 4 || c.Mirrored+c.Quarantined+c.Erased != c.Source {
		t.Errorf("%+v", c)
	}
	if code, _, _ := r.run("contact", "show", "old@example.com"); code != exitFailure {
		t.Error("the erased person is known again")
	}
	wants(t, r.must("segment", "verify"), "0 differences")
}

func TestContactCommandsHelpWithExamples(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"show", "merge", "split", "erase"} {
		wants(t, newRig(t).must("contact", name, "--help"), "relance contact "+name, "Examples:")
	}
}
