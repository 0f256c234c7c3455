package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
)

func TestPreviewShowsWhatTheMappingMakesOfARecord(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	r.edit("shops/boutique.yaml", "  #birthday: meta.birthday", "  birthday: meta.born\n  attributes: {club: 'meta.fidelite in [or, argent]', shoe: meta.pointure}\n  #birthday: meta.birthday")
	id, err := r.shop.CreateCustomer(wooshop.CustomerSpec{Email: "ines@example.com", FirstName: "Inès", LastName: "Exemple", Meta: map[string]string{
		"newsletter_optin": "yes", "born": "31/12/80", "fidelite": "Or",
	}})
	if err != nil {
		t.Fatal(err)
	}
	out := r.must("shop", "preview", "boutique", "customer", fmt.Sprint(id))
	wants(
		t, out, "ines@example.com", "What the shop sent", "What the mapping finds", "What would be stored", "Nothing was written.",
		`it holds "yes": yes: marketing by email is granted`, `it holds "Or": yes`, `meta.born holds "31/12/80", which is no date`,
		"attributes.shoe: this record has no meta.pointure", "meta.fidelite",
	)
	if _, err := os.Stat(filepath.Join(r.dir, "relance.db")); err == nil {
		t.Error("it made a database")
	}

	r.in = strings.NewReader(fmt.Sprintln(id))
	var answer previewed
	if err := json.Unmarshal([]byte(r.must("shop", "preview", "boutique", "customers", "-", "--json")), &answer); err != nil || len(answer.Mapping) != 4 || len(answer.Raw) == 0 {
		t.Errorf("%v: %+v", err, answer)
	}

	order := r.shop.OrderIDs("en-preparation")
	if len(order) == 0 {
		order = r.shop.OrderIDs()
	}
	wants(t, r.must("shop", "preview", "boutique", "order", fmt.Sprint(order[0])), "consent.order", "TotalRaw", " EUR")
	wants(t, r.must("shop", "preview", "boutique", "product", fmt.Sprint(r.shop.ProductIDs()[0])), "Nothing is mapped for a product.", "Price")
}

func TestPreviewOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"nowhere", "customer", "1"}, exitUsage, `there is no shop "nowhere"`},
		{[]string{"boutique", "custmer", "1"}, exitUsage, `"custmer" is no kind of record`},
		{[]string{"boutique", "customer", "999999"}, exitFailure, "the shop has no such record"},
		{[]string{"boutique", "customer", "-"}, exitUsage, "reading the id from standard input"},
	} {
		code, _, errs := r.run(append([]string{"shop", "preview"}, c.args...)...)
		if code != c.code {
			t.Errorf("%v: exit %d", c.args, code)
		}
		wants(t, errs, c.want)
	}
}
