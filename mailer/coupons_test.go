package mailer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
	"github.com/relance/relance/mailer/templates"
)

// texting fills in win_back with one text, so that a test sees what a mail shows.
func (w *world) texting(body string) {
	w.tb.Helper()
	set, problems := render.Load(fstest.MapFS{
		"win_back.fr.subject": {Data: []byte("Bonjour")},
		"win_back.fr.html":    {Data: []byte("<p>Bonjour</p>")},
		"win_back.fr.txt":     {Data: []byte("{{.Locale}}\n" + body)},
	}, nil, templates.Default())
	if len(problems) > 0 {
		w.tb.Fatal(problems)
	}
	w.options.Renderer = set
	w.rebuild()
}

// saidTo is what mails told an address, in order.
func (w *world) saidTo(email string) []string {
	w.tb.Helper()
	var out []string
	for _, m := range w.out.got() {
		if m.ToEmail == email {
			out = append(out, strings.TrimSpace(strings.TrimPrefix(m.Text, "fr\n")))
		}
	}
	return out
}

const showCode = "{{with .Coupon}}{{.Code}}{{with .Worth}} {{.}}{{end}}{{with date .Expires}} {{.}}{{end}}{{end}}"

// couponCampaign gives everybody a code from the list, in two mails a day apart.
func couponCampaign() mailer.CampaignSpec {
	s := plainCampaign()
	s.Coupon = &mailer.CouponSpec{List: "summer"}
	s.NotAfter = "7d"
	s.Steps = append(s.Steps, mailer.StepSpec{ID: "pause", Wait: &mailer.WaitSpec{For: "1d"}}, mailer.StepSpec{ID: "again", Send: &mailer.SendSpec{Template: "win_back"}})
	return s
}

func (w *world) importCodes(list, worth string, codes ...string) mailer.ImportedCodes {
	w.tb.Helper()
	read := must(mailer.ReadCodes(strings.NewReader(strings.Join(codes, "\n"))))(w.tb)
	done := must(mailer.ImportCodes(context.Background(), w.m, w.audience, list, worth, &read, crm.At(w.now), false))(w.tb)
	if len(read.Mistakes) > 0 {
		w.tb.Fatal(read.Mistakes)
	}
	return done
}

func TestEachPersonGetsOneCodeForAllMailsOfARun(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.texting(showCode)
		w.arm("gift", couponCampaign())
		w.importCodes("summer", "10 %", "A-1", "A-2", "A-3")
		w.importCodes("winter", "", "W-1")
		for _, email := range []string{"a@example.com", "b@example.com"} {
			w.enter(w.contact(email), anybody, w.now)
		}
		w.run()
		w.runAt(w.now.Add(24 * time.Hour))
		a, b := w.saidTo("a@example.com"), w.saidTo("b@example.com")
		if len(a) != 2 || a[0] != a[1] || len(b) != 2 || b[0] != b[1] || a[0] == b[0] || !strings.HasPrefix(a[0], "A-") || !strings.HasSuffix(a[0], " 10 %") {
			t.Errorf("%v %v", a, b)
		}
		lists := must(mailer.CouponLists(t.Context(), db.Read(), crm.At(w.now)))(t)
		want := []mailer.CouponList{
			{Audience: "default", List: "summer", Worth: "10 %", Free: 1, Given: 2, Low: true},
			{Audience: "default", List: "winter", Free: 1, Low: true},
		}
		if diff := cmp.Diff(want, lists); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWithoutACodeAMailWaits(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.texting(showCode)
		w.arm("gift", couponCampaign())
		w.importCodes("summer", "", "ONLY")
		first, second := w.contact("a@example.com"), w.contact("b@example.com")
		w.enter(first, anybody, w.now)
		w.run()
		w.enter(second, anybody, w.now)
		w.run()
		w.expect(second, mailer.Deferred, mailer.NoCoupon)
		if done := w.importCodes("summer", "", "only", "NEXT"); done.New != 1 || done.Known != 1 {
			t.Errorf("%+v", done)
		}
		w.runAt(w.now.Add(time.Minute))
		if diff := cmp.Diff([]string{"NEXT"}, w.saidTo("b@example.com")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhoGetsNoMailTakesNoCode(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.texting(showCode)
		s := couponCampaign()
		s.Holdout = 90
		w.arm("gift", s)
		w.importCodes("summer", "", "A-1", "A-2", "A-3", "A-4", "A-5", "A-6", "A-7", "A-8", "A-9", "A-10", "A-11", "A-12")
		for i := range 12 {
			w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
		}
		w.enter(w.stranger("s@example.com"), anybody, w.now)
		w.run()
		if given, mails := w.count("SELECT COUNT(*) FROM coupons WHERE state='given'"), len(w.out.got()); given != mails || mails == 12 {
			t.Errorf("%d codes for %d mails", given, mails)
		}
		// A template that shows no code costs none.
		w.texting("rien")
		w.arm("plain", couponCampaign())
		before := w.count("SELECT COUNT(*) FROM coupons WHERE state='given'")
		w.enter(w.contact("z@example.com"), anybody, w.now)
		w.run()
		if n := w.count("SELECT COUNT(*) FROM coupons WHERE state='given'"); n != before {
			t.Errorf("%d codes for nothing", n-before)
		}
	})
}

// Wherever the process dies, a person's mails show one code, and nobody else has it.
func TestACodeSurvivesEveryCrash(t *testing.T) {
	crash := errors.New("crashed here")
	for engine, commits := range map[store.Dialect][]int{store.SQLite: {0, 1, 2, 3, 4}, store.MySQL: {2, 3}} { // enrolling, the step, the gate, the answers
		for _, when := range []string{"before", "after"} {
			for _, n := range commits {
				t.Run(fmt.Sprintf("%s %s %d", engine, when, n), func(t *testing.T) {
					left := -1
					db := servers.Open(t, engine, store.Options{Fault: func(name, at string) error {
						if at != when || !strings.HasPrefix(name, "mailer.") || left < 0 {
							return nil
						}
						if left--; left < 0 {
							return crash
						}
						return nil
					}})
					w := newWorld(t, db)
					w.texting(showCode)
					w.arm("gift", couponCampaign())
					w.importCodes("summer", "", "A-1", "A-2", "A-3", "A-4")
					for _, email := range []string{"a@example.com", "b@example.com"} {
						w.enter(w.contact(email), anybody, w.now)
					}
					left = n
					_ = w.tryRun()
					left = -1
					w.rebuild() // what the process knew is gone
					w.ahead += time.Minute
					w.run()
					w.runAt(w.now.Add(25 * time.Hour))
					seen := map[string]string{}
					for _, m := range w.out.got() {
						code := strings.TrimSpace(strings.TrimPrefix(m.Text, "fr\n"))
						if owner, ok := seen[code]; code == "" || ok && owner != m.ToEmail {
							t.Errorf("%s was told %q, which is %q's", m.ToEmail, code, owner)
						}
						seen[code] = m.ToEmail
					}
					if len(seen) > 2 {
						t.Errorf("two people were told %d codes: %v", len(seen), seen)
					}
				})
			}
		}
	}
}

// Two processes with half of the lanes each draw from one list at once.
func TestTwoProcessesNeverGiveOneCodeTwice(t *testing.T) {
	dsn := servers.DSN(t, store.MySQL)
	const people = 60
	w := newWorld(t, openShared(t, dsn))
	w.texting(showCode)
	w.arm("gift", couponCampaign())
	var codes []string
	for i := range people + 5 {
		codes = append(codes, fmt.Sprint("C-", i))
	}
	w.importCodes("summer", "", codes...)
	for i := range people {
		w.enter(w.contact(fmt.Sprintf("c%d@example.com", i)), anybody, w.now)
	}
	if err := w.leases.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	both := [2]*world{}
	for i := range both {
		half := *w
		half.db = openShared(t, dsn)
		half.m, half.leases = mirror.New(half.db), store.NewLeases(half.db, fmt.Sprint("half ", i), time.Hour)
		names := store.LaneLeases(crm.Lanes)
		if _, err := half.leases.Acquire(t.Context(), names[i*crm.Lanes/2:(i+1)*crm.Lanes/2]...); err != nil {
			t.Fatal(err)
		}
		half.rebuild()
		both[i] = &half
	}
	var wg sync.WaitGroup
	for _, half := range both {
		wg.Go(func() {
			if err := half.tryRun(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	told := map[string]string{}
	for _, m := range w.out.got() {
		if other, twice := told[m.Text]; twice {
			t.Errorf("%q was told to %s and %s", m.Text, other, m.ToEmail)
		}
		told[m.Text] = m.ToEmail
	}
	if len(told) != people || w.count("SELECT COUNT(*) FROM coupons WHERE state='given'") != people {
		t.Errorf("%d codes told", len(told))
	}
}

func openShared(t *testing.T, dsn string) *store.DB {
	t.Helper()
	db := must(store.Open(t.Context(), store.Options{DSN: dsn}))(t)
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestCodesThatAShopMakes(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.texting(showCode)
		w.exec("UPDATE shops SET currency='EUR'")
		s := couponCampaign()
		s.Coupon = &mailer.CouponSpec{Shop: &mailer.ShopCouponSpec{Amount: "5", Prefix: "MERCI-"}, Expires: "10d"}
		w.arm("gift", s)
		who := w.contact("a@example.com")
		w.enter(who, anybody, w.now)
		w.run()
		w.expect(who, mailer.Deferred, mailer.NoCoupon)
		w.runAt(w.now.Add(20 * time.Second))
		tasks := must(w.m.DueTasks(t.Context(), w.shop, crm.At(w.now), 100))(t)
		if len(tasks) < 30 || len(tasks) > 40 {
			t.Fatalf("%d codes are asked for", len(tasks))
		}
		for _, task := range tasks {
			c := must(connectors.ParseCoupon(task.Key))(t)
			if task.Kind != connectors.TaskCoupon || c.Amount != "5.00" || c.Until != "" || !strings.HasPrefix(c.Code, "MERCI-") || len(c.Code) != 16 {
				t.Fatalf("%+v", task)
			}
		}
		w.write(func(tx *store.Tx) error { // the key may not do it, but for the last
			for i, task := range tasks {
				o := connectors.Outcome{Mend: "give the key rights"}
				if i == len(tasks)-1 {
					o = connectors.Outcome{Done: "made"}
				}
				if err := w.m.DoneTask(context.Background(), tx, task, o, crm.At(w.now)); err != nil {
					return err
				}
			}
			return nil
		})
		w.runAt(w.now.Add(time.Minute))
		w.runAt(w.now.Add(time.Minute))
		made := must(connectors.ParseCoupon(tasks[len(tasks)-1].Key))(t)
		if diff := cmp.Diff([]string{made.Code + " 5,00\u00a0€ 30 novembre 2026"}, w.saidTo("a@example.com")); diff != "" {
			t.Error(diff)
		}
		// The shop is told when it ends.
		made.Until = "2026-11-30"
		open := must(w.m.DueTasks(t.Context(), w.shop, crm.At(w.now), 100))(t)
		if !slices.ContainsFunc(open, func(r mirror.TaskRow) bool { return r.Key == made.Key() }) {
			t.Errorf("%+v", open)
		}
		// An order with it is its use, however it is written there.
		w.insert("order_coupons", []string{"shop_id", "order_id", "code_key"}, []any{w.shop, "1", crm.CodeKey(made.Code)})
		w.order(who, w.shop, "1", crm.StateCompleted, w.now)
		lists := must(mailer.CouponLists(t.Context(), db.Read(), crm.At(w.now)))(t)
		if len(lists) != 1 || lists[0].List != "gift@boutique" || lists[0].Used != 1 || lists[0].Given != 1 {
			t.Errorf("%+v", lists)
		}
	})
}

func TestCodesAreReadFromFiles(t *testing.T) {
	for text, want := range map[string]mailer.Codes{
		"A\nB\n\n C \n":             {Codes: []string{"A", "B", "C"}},
		"\ufeffid;Code\n1;A\n2;B\n": {Codes: []string{"A", "B"}},
		"A,10 %\nB,10 %\n":          {Codes: []string{"A", "B"}},
		"A\nB\na\n":                 {Codes: []string{"A", "B"}, Repeated: []mailer.CodeMistake{{Line: 3, Message: "the code stands in line 1 already"}}},
		"A\nB B\n" + strings.Repeat("x", 65) + "\n": {Codes: []string{"A"}, Mistakes: []mailer.CodeMistake{{Line: 2, Message: "a code has no spaces, and nothing that cannot be typed"}, {Line: 3, Message: "a code has at most 64 characters"}}},
		"name,code\nx,A\ny\n":                       {Codes: []string{"A"}, Mistakes: []mailer.CodeMistake{{Line: 3, Message: "there is no code"}}},
	} {
		got, err := mailer.ReadCodes(strings.NewReader(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want.Codes, got.Codes); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		if diff := cmp.Diff([2][]mailer.CodeMistake{want.Repeated, want.Mistakes}, [2][]mailer.CodeMistake{got.Repeated, got.Mistakes}); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestACodeBelongsToOneList(t *testing.T) {
	w := newWorld(t, servers.Open(t, store.SQLite, store.Options{}))
	w.importCodes("summer", "", "A")
	read := must(mailer.ReadCodes(strings.NewReader("B\na\n")))(t)
	done, err := mailer.ImportCodes(t.Context(), w.m, w.audience, "winter", "", &read, crm.At(w.now), false)
	if diff := cmp.Diff([]mailer.CodeMistake{{Line: 2, Message: "the code belongs to the list summer"}}, read.Mistakes); diff != "" || err != nil || done.New != 0 {
		t.Errorf("%+v %v %s", done, err, diff)
	}
	if n := w.count("SELECT COUNT(*) FROM coupons"); n != 1 {
		t.Errorf("%d codes", n)
	}
}

func TestCouponsOfAnErasedPersonStayGiven(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.texting(showCode)
		w.arm("gift", couponCampaign())
		w.importCodes("summer", "", "A-1")
		who := w.contact("a@example.com")
		w.enter(who, anybody, w.now)
		w.run()
		w.insert("departures", []string{"contact_id", "lane", "why", "at"}, []any{who, crm.LaneOf(who), mirror.DepartedErased, crm.At(w.now)})
		w.run()
		if n := w.count("SELECT COUNT(*) FROM coupons WHERE state='given' AND contact_id=0 AND occurrence='' AND code='A-1'"); n != 1 {
			t.Error("the code still says whose it was, or may be given again")
		}
	})
}

func TestMistakesAboutCoupons(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*mailer.CampaignSpec)
		path   string
	}{
		"none of both":      {func(s *mailer.CampaignSpec) { s.Coupon = &mailer.CouponSpec{} }, "$.gift.coupon"},
		"both":              {func(s *mailer.CampaignSpec) { s.Coupon.Shop = &mailer.ShopCouponSpec{Percent: "10"} }, "$.gift.coupon"},
		"no name":           {func(s *mailer.CampaignSpec) { s.Coupon.List = "Summer list" }, "$.gift.coupon.list"},
		"no length of time": {func(s *mailer.CampaignSpec) { s.Coupon.Expires = "soon" }, "$.gift.coupon.expires"},
		"transactional":     {func(s *mailer.CampaignSpec) { s.Kind = mailer.KindTransactional }, "$.gift.coupon"},
		"no worth":          {func(s *mailer.CampaignSpec) { s.Coupon = &mailer.CouponSpec{Shop: &mailer.ShopCouponSpec{}} }, "$.gift.coupon.shop"},
		"too much": {func(s *mailer.CampaignSpec) {
			s.Coupon = &mailer.CouponSpec{Shop: &mailer.ShopCouponSpec{Percent: "101"}}
		}, "$.gift.coupon.shop.percent"},
		"no amount": {func(s *mailer.CampaignSpec) {
			s.Coupon = &mailer.CouponSpec{Shop: &mailer.ShopCouponSpec{Amount: "5 €"}}
		}, "$.gift.coupon.shop.amount"},
		"a prefix with spaces": {func(s *mailer.CampaignSpec) {
			s.Coupon = &mailer.CouponSpec{Shop: &mailer.ShopCouponSpec{Percent: "5", Prefix: "A B"}}
		}, "$.gift.coupon.shop.prefix"},
		"a shop that cannot": {func(s *mailer.CampaignSpec) {
			s.Audience, s.Coupon = "other", &mailer.CouponSpec{Shop: &mailer.ShopCouponSpec{Percent: "5"}}
		}, "$.gift.coupon.shop"},
	} {
		s := couponCampaign()
		c.change(&s)
		w := world{tb: t}
		problems := mailer.CampaignFile{"gift": s}.Validate(mailer.Known{
			Segments: w.file(), Audiences: map[string]bool{"default": true, "other": true}, Templates: map[string]bool{"win_back": true},
			Shops: map[string][]mailer.ShopName{"default": {{Name: "boutique", Platform: "woocommerce"}}, "other": {{Name: "mage", Platform: "magento"}}},
		})
		if len(problems) != 1 || problems[0].Path != c.path {
			t.Errorf("%s: %+v", name, problems)
		}
	}
}
