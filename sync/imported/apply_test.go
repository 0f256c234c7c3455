package imported_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/sync/imported"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

// desk is where lists are imported.
type desk struct {
	t    *testing.T
	db   *store.DB
	m    *mirror.Mirror
	shop mirror.Shop
}

func open(t *testing.T, db *store.DB) *desk {
	t.Helper()
	d := &desk{t: t, db: db, m: mirror.New(db)}
	var err error
	if d.shop, err = imported.Home(t.Context(), d.m, "default", "Europe/Paris", "fr", crm.At(business)); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) list(text string) *imported.List {
	d.t.Helper()
	l, err := read(d.t, text, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if l.ErrorCount > 0 {
		d.t.Fatalf("%+v", l.Errors)
	}
	return l
}

func (d *desk) put(text string) imported.Applied {
	d.t.Helper()
	a, err := d.list(text).Apply(d.t.Context(), d.m, d.shop, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d *desk) count(query string) int {
	d.t.Helper()
	var n int
	if err := d.db.Read().GetContext(d.t.Context(), &n, query); err != nil {
		d.t.Fatal(err)
	}
	return n
}

func (d *desk) consent(email string) (state string) {
	d.t.Helper()
	if err := d.db.Read().GetContext(d.t.Context(), &state, "SELECT COALESCE((SELECT s.state FROM consent_state s JOIN contacts c ON c.id=s.contact_id WHERE c.email_norm=?),'')", email); err != nil {
		d.t.Fatal(err)
	}
	return state
}

const people = `email;prénom;nom;ville;pays;consentement;date consentement;source;texte consentement;ip
Ana@Example.com;Ana;Exemple;Bordeaux;France;oui;2026-01-02;salon;Écrivez-moi;203.0.113.9
bo@example.com;Bo;;;;non;;;;
di@example.com;Di;;;;désinscrit;2026-02-03;;;
`

func TestAListBecomesPeopleWithConsentsAndProof(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		d := open(t, db)
		if diff := cmp.Diff(imported.Applied{New: 3}, d.put(people)); diff != "" {
			t.Error(diff)
		}
		for email, want := range map[string]string{"ana@example.com": crm.ConsentGranted, "bo@example.com": "", "di@example.com": crm.ConsentWithdrawn} {
			if got := d.consent(email); got != want { // B16: a box that is not ticked says nothing
				t.Errorf("%s: %q, want %q", email, got, want)
			}
		}
		if n := d.count("SELECT COUNT(*) FROM statements WHERE source='salon' AND text_shown='Écrivez-moi' AND ip='203.0.113.9' AND stated_at=1767312000000"); n != 1 {
			t.Error("the proof is not kept")
		}
		if n := d.count("SELECT COUNT(*) FROM statements WHERE source='contacts.csv line 4'"); n != 1 {
			t.Error("a statement without a source does not name its line")
		}
		if n := d.count("SELECT COUNT(*) FROM dirty WHERE cause<>'backfill'"); n != 0 { // B14
			t.Errorf("%d imported people trigger something", n)
		}
		if n := d.count("SELECT COUNT(*) FROM dirty"); n != 3 {
			t.Errorf("%d people are looked at", n)
		}
		if n := d.count("SELECT COUNT(*) FROM contacts WHERE live=1 AND first_name='Ana' AND city='Bordeaux' AND country='FR'"); n != 1 {
			t.Error("Ana is not known")
		}
		if d.shop.Platform != mirror.PlatformImport || d.shop.BackfilledAt == 0 || d.shop.Zone != "Europe/Paris" {
			t.Errorf("%+v", d.shop)
		}
	})
}

func TestAListImportedTwiceChangesNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		d := open(t, db)
		d.put(people)
		before := d.count("SELECT COUNT(*) FROM consents")
		if diff := cmp.Diff(imported.Applied{Unchanged: 3}, d.put(people)); diff != "" {
			t.Error(diff)
		}
		turned := strings.Split(strings.TrimSpace(people), "\n")
		turned[1], turned[3] = turned[3], turned[1]
		d.put(strings.Join(turned, "\n"))
		if n := d.count("SELECT COUNT(*) FROM consents"); n != before {
			t.Errorf("%d entries in the ledger, then %d", before, n)
		}
		if n := d.count("SELECT COUNT(*) FROM customers") + d.count("SELECT COUNT(*) FROM statements"); n != 5 {
			t.Errorf("%d rows", n)
		}
	})
}

// B49, and: what a list does not say is not blanked by it.
func TestB49_OneAddressIsOnePersonHoweverOftenItIsListed(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		d := open(t, db)
		d.put(people)
		a := d.put("Email,Company,City\n ANA@example.com,Atelier,\nana@EXAMPLE.com,,\nnew@example.com,,Lyon\n")
		if diff := cmp.Diff(imported.Applied{New: 1, Changed: 1}, a); diff != "" {
			t.Error(diff)
		}
		if n := d.count("SELECT COUNT(*) FROM contacts"); n != 4 {
			t.Errorf("%d contacts", n)
		}
		if n := d.count("SELECT COUNT(*) FROM customers c JOIN addresses a ON a.id=c.id WHERE c.first_name='Ana' AND c.company='Atelier' AND a.city='Bordeaux'"); n != 1 {
			t.Error("what the second list does not say is gone, or what it says is not there")
		}
	})
}

// B15: a list raises nobody who withdrew, whether by a list, here or at a shop.
func TestB15_AListRaisesNobodyWhoWithdrew(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		d := open(t, db)
		d.put(people)
		ana, err := d.m.ContactByEmail(t.Context(), db.Read(), d.shop.AudienceID, "ana@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
			_, err := d.m.SetConsent(t.Context(), tx, mirror.ConsentChange{
				ContactID: ana.ID, Topic: "marketing", Channel: "email", State: crm.ConsentWithdrawn, Source: "one-click", SourceAt: crm.At(business), SeenAt: crm.At(business), ByPerson: true,
			})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		d.put(people)
		d.put("email,consent,consent date\nana@example.com,yes,2026-11-20\ndi@example.com,yes,2026-11-20\n")
		for _, email := range []string{"ana@example.com", "di@example.com"} {
			if got := d.consent(email); got != crm.ConsentWithdrawn {
				t.Errorf("%s is %s", email, got)
			}
		}
	})
}

// B47: who was erased stays erased when a list has them again.
func TestB47_AListBringsNobodyBackWhoWasErased(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		d := open(t, db)
		d.put(people)
		ana, err := d.m.ContactByEmail(t.Context(), db.Read(), d.shop.AudienceID, "ana@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.m.Erase(t.Context(), ana.ID, crm.At(business)); err != nil {
			t.Fatal(err)
		}
		d.put(people)
		d.put("email,company\nana@example.com,Atelier\n")
		if _, err := d.m.ContactByEmail(t.Context(), db.Read(), d.shop.AudienceID, "ana@example.com"); !errors.Is(err, mirror.ErrNotFound) {
			t.Errorf("she is back: %v", err)
		}
		if n := d.count("SELECT COUNT(*) FROM customers WHERE company='Atelier'"); n != 0 {
			t.Error("a list fills the row of somebody who was erased")
		}
	})
}

func long(n int) string {
	var b strings.Builder
	b.WriteString("email,first name,consent,consent date\n")
	for i := range n {
		fmt.Fprintf(&b, "p%d@example.com,P%d,yes,2026-01-02\n", i, i)
	}
	return b.String()
}

// Cut off at any commit, the same list goes on where it was, and ends as if nothing had happened.
func TestAnImportThatIsCutOffGoesOn(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			cut := ""
			pages := 0
			d := open(t, servers.Open(t, engine, store.Options{Fault: func(name, when string) error {
				if name == "import.page" && when == cut {
					if pages++; pages == 2 {
						return errors.New("the plug is pulled")
					}
				}
				return nil
			}}))
			for _, c := range []struct {
				when    string
				resumed int
			}{{"before", 500}, {"after", 1000}} {
				cut, pages = c.when, 0
				text := strings.ReplaceAll(long(1300), "@", "+"+c.when+"@")
				if a, err := d.list(text).Apply(t.Context(), d.m, d.shop, nil); err == nil || a.New != 500 {
					t.Fatalf("%s: %+v, %v", c.when, a, err)
				}
				if n := d.count("SELECT COUNT(*) FROM imports WHERE finished_at=0 AND row_count=1300"); n != 1 {
					t.Errorf("%s: it is not shown as unfinished", c.when)
				}
				if n := d.count("SELECT COUNT(*) FROM shops WHERE fault LIKE 'importing contacts.csv: it is under way, or was cut off%'"); n != 1 {
					t.Errorf("%s: people are not told", c.when)
				}
				cut = ""
				a := d.put(text)
				if a.Resumed != c.resumed || a.New != 1300-c.resumed {
					t.Errorf("%s: %+v", c.when, a)
				}
			}
			for query, want := range map[string]int{
				"SELECT COUNT(*) FROM contacts WHERE live=1": 2600, "SELECT COUNT(*) FROM consent_state WHERE state='granted'": 2600, "SELECT COUNT(*) FROM consents": 2600,
				"SELECT COUNT(*) FROM imports WHERE finished_at>0 AND rows_done=1300": 2, "SELECT COUNT(*) FROM shops WHERE fault<>''": 0,
			} {
				if got := d.count(query); got != want {
					t.Errorf("%s: %d, want %d", query, got, want)
				}
			}
		})
	}
}

func TestAListWithMistakesIsNotImportedAtAll(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		d := open(t, db)
		l, err := read(t, long(600)+"nobody,Bo,yes,2026-01-02\n", nil)
		if err != nil || l.ErrorCount != 1 || l.Errors[0].Line != 602 {
			t.Fatalf("%+v, %v", l, err)
		}
		if _, err := l.Apply(t.Context(), d.m, d.shop, nil); !errors.Is(err, imported.ErrMistakes) {
			t.Error(err)
		}
		if n := d.count("SELECT COUNT(*) FROM contacts") + d.count("SELECT COUNT(*) FROM imports"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestProgressIsToldAndAStopIsHeard(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		d := open(t, db)
		ctx, stop := context.WithCancel(t.Context())
		var told []int
		_, err := d.list(long(1200)).Apply(ctx, d.m, d.shop, func(done, total int) {
			if told = append(told, done); total != 1200 {
				t.Errorf("of %d", total)
			}
			if done == 1000 {
				stop()
			}
		})
		if diff := cmp.Diff([]int{500, 1000}, told); diff != "" || !errors.Is(err, context.Canceled) {
			t.Errorf("%v %s", err, diff)
		}
		if a := d.put(long(1200)); a.Resumed != 1000 || a.New != 200 {
			t.Errorf("%+v", a)
		}
	})
}
