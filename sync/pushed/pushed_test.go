package pushed_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/sync/pushed"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

const secret = "a push secret of more than thirty-two bytes"

var (
	business = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant
	wall     = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant
)

// till is a shop that sends, and who takes what it sends.
type till struct {
	t    testing.TB
	db   *store.DB
	m    *mirror.Mirror
	shop mirror.Shop
	r    *pushed.Receiver
	woke []int64
}

func open(t testing.TB, db *store.DB, polled bool) *till {
	t.Helper()
	w := &till{t: t, db: db, m: mirror.New(db)}
	var err error
	if w.shop, err = w.m.EnsureShop(t.Context(), mirror.ShopSpec{Name: "till", Platform: "push"}); err != nil {
		t.Fatal(err)
	}
	if !polled {
		if err := pushed.MakeKnown(t.Context(), w.m, w.shop.ID, business); err != nil {
			t.Fatal(err)
		}
	}
	w.r = pushed.NewReceiver(w.m, pushed.Options{
		Shops: map[string]pushed.Target{"till": {ShopID: w.shop.ID, Secrets: []string{secret}, Polled: polled}},
		Wake:  func(id int64) { w.woke = append(w.woke, id) },
		Now:   func() time.Time { return business }, Wall: func() time.Time { return wall },
	})
	return w
}

func signed(body string) http.Header {
	timestamp, signature := push.Sign(secret, wall, []byte(body))
	return http.Header{"Content-Type": {"application/json"}, push.HeaderTimestamp: {timestamp}, push.HeaderSignature: {signature}}
}

type answer struct {
	Status                       int
	Applied, Unchanged, Rejected int
	Results                      []pushed.Result
	Error                        string
}

func (w *till) send(body string) answer {
	w.t.Helper()
	a := w.r.Receive(w.t.Context(), "till", signed(body), []byte(body))
	out := answer{Status: a.Status}
	if err := json.Unmarshal(a.Body, &out); err != nil {
		w.t.Fatalf("the answer is no JSON: %v", err)
	}
	out.Status = a.Status
	return out
}

func (w *till) records(rs ...string) answer {
	w.t.Helper()
	return w.send(`{"records":[` + strings.Join(rs, ",") + `]}`)
}

func (w *till) count(query string) int {
	w.t.Helper()
	var n int
	if err := w.db.Read().GetContext(w.t.Context(), &n, query); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func order(id string, sequence int, total, email string) string {
	return fmt.Sprintf(`{"kind":"order","id":%q,"sequence":%d,"data":{"email":%q,"state":"completed","currency":"EUR","total":%q,"placed_at":"2026-11-19T09:30:00+01:00",
	 "lines":[{"id":"1","product_id":"9","quantity":1,"total":%q}]}}`, id, sequence, email, total, total)
}

func cartRecord(id string, sequence int, total string) string {
	return fmt.Sprintf(`{"kind":"cart","id":%q,"sequence":%d,"data":{"email":"bo@example.com","currency":"EUR","total":%q,"active_at":"2026-11-20T08:30:00Z","lines":[{"product_id":"9","quantity":1,"total":%q}]}}`, id, sequence, total, total)
}

func statuses(a answer) (out []string) {
	for _, r := range a.Results {
		out = append(out, r.Status)
	}
	return out
}

func TestRecordsAreAppliedOncePerSequenceNumber(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, false)
		for i, c := range []struct {
			records []string
			want    []string
			total   int // of order 1 then
		}{
			{[]string{order("1", 5, "10.00", "ana@example.com"), order("2", 1, "3", "bo@example.com")}, []string{"applied", "applied"}, 1000},
			{[]string{order("1", 5, "99.00", "ana@example.com"), order("2", 2, "4", "bo@example.com")}, []string{"unchanged", "applied"}, 1000},
			{[]string{order("1", 4, "98.00", "ana@example.com")}, []string{"unchanged"}, 1000},
			{[]string{order("1", 6, "11.00", "ana@example.com"), order("1", 7, "12.00", "ana@example.com"), order("1", 6, "13.00", "ana@example.com")}, []string{"applied", "applied", "unchanged"}, 1200},
			{[]string{`{"kind":"order","id":"1","sequence":9,"deleted":true}`}, []string{"applied"}, 0},
			{[]string{order("1", 8, "14.00", "ana@example.com")}, []string{"unchanged"}, 0},
			{[]string{order("1", 10, "15.00", "ana@example.com")}, []string{"applied"}, 1500},
		} {
			a := w.records(c.records...)
			if diff := cmp.Diff(c.want, statuses(a)); a.Status != 202 || diff != "" {
				t.Fatalf("step %d: status %d %s (-want +got):\n%s", i, a.Status, a.Error, diff)
			}
			if got := w.count("SELECT COALESCE(SUM(total),0) FROM orders WHERE id='1' AND gone_at=0"); got != c.total {
				t.Errorf("step %d: order 1 has %d, want %d", i, got, c.total)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM contacts WHERE live=1"); n != 2 {
			t.Errorf("%d contacts", n)
		}
		if n := w.count("SELECT COUNT(*) FROM shops WHERE currency='EUR' AND backfilled_at>0"); n != 1 {
			t.Error("the shop has no currency, or waits for a backfill")
		}
	})
}

// B20: the same order twice in a batch, and the batch twice, is one order.
func TestB20_TheSameOrderTwiceInABatchIsOneOrder(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, false)
		for range 3 {
			if a := w.records(order("1", 5, "10.00", "ana@example.com"), order("1", 5, "10.00", "ana@example.com")); a.Status != 202 {
				t.Fatal(a)
			}
		}
		if n := w.count("SELECT orders FROM contact_stats"); n != 1 {
			t.Errorf("%d orders are counted", n)
		}
		if n := w.count("SELECT revenue FROM contact_stats"); n != 1000 {
			t.Errorf("revenue %d", n)
		}
	})
}

// B49: every change of a guest's order, in any spelling of the address, stays one person.
func TestB49_ChangedGuestOrdersAreOneContact(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, false)
		w.records(order("1", 1, "10", "Ana@Example.com"), order("2", 1, "10", " ana@example.com"))
		w.records(order("1", 2, "12", "ANA@EXAMPLE.COM"))
		w.records(`{"kind":"customer","id":"7","sequence":1,"data":{"email":"ana@example.com"}}`)
		if n := w.count("SELECT COUNT(*) FROM contacts"); n != 1 {
			t.Errorf("%d contacts", n)
		}
	})
}

func TestABadRecordIsRejectedKeptAndLetGoOnceItIsMended(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, false)
		a := w.records(order("1", 1, "10.00", "ana@example.com"), order("2", 1, "ten", "bo@example.com"), `{"kind":"nothing"}`, order("3", 1, "3", ""))
		if diff := cmp.Diff([]string{"applied", "rejected", "rejected", "applied"}, statuses(a)); diff != "" || a.Rejected != 2 || a.Applied != 2 {
			t.Fatalf("%+v", a)
		}
		if e := a.Results[1].Errors; len(e) != 2 || e[1].Pointer != "/records/1/data/total" {
			t.Errorf("%+v", e)
		}
		if n := w.count("SELECT COUNT(*) FROM quarantine WHERE reason LIKE '%/data/total must be an amount%' AND kind='order' AND id='2'"); n != 1 {
			t.Errorf("%d such records in quarantine", n)
		}
		if a = w.records(order("2", 1, "10", "bo@example.com")); a.Applied != 1 {
			t.Fatalf("mended: %+v", a)
		}
		if n := w.count("SELECT COUNT(*) FROM quarantine WHERE kind='order'"); n != 0 {
			t.Error("it is still in quarantine")
		}
		if a = w.records(order("2", 1, "ten", "bo@example.com")); a.Rejected != 1 {
			t.Fatalf("late: %+v", a)
		}
		if n := w.count("SELECT COUNT(*) FROM quarantine WHERE kind='order'"); n != 0 {
			t.Error("what came late and was mended already is in quarantine")
		}
	})
}

// B14 and the rule of history: what is said to be of the past, or comes before a shop's past has been read, marks
// people with cause backfill, which triggers nothing.
func TestHistoryHasCauseBackfill(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, false)
		w.records(order("1", 1, "10", "now@example.com"))
		w.send(`{"history":true,"records":[` + order("2", 1, "10", "past@example.com") + `]}`)
		cause := func(email string) int {
			return w.count("SELECT COUNT(*) FROM dirty d JOIN contacts c ON c.id=d.contact_id WHERE c.email_norm='" + email + "' AND d.cause='backfill'")
		}
		if cause("now@example.com") != 0 || cause("past@example.com") != 1 {
			t.Error("the past is taken for news, or news for the past")
		}
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), "UPDATE shops SET backfilled_at=0")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		w.records(order("3", 1, "10", "during@example.com"))
		if cause("during@example.com") != 1 {
			t.Error("what came during the backfill is news")
		}
	})
}

func TestHintsGoToTheEngineThatReadsTheShop(t *testing.T) {
	hint := `{"kind":"hint","data":{"kind":"order","id":765}}`
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, true)
		if a := w.records(hint, hint); a.Applied != 2 {
			t.Fatalf("%+v", a)
		}
		if n := w.count("SELECT COUNT(*) FROM hints WHERE kind='order' AND id='765'"); n != 1 || len(w.woke) != 1 || w.woke[0] != w.shop.ID {
			t.Errorf("%d hints, woke %v", n, w.woke)
		}
	})
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, false)
		if a := w.records(hint); a.Rejected != 1 || w.count("SELECT COUNT(*) FROM hints")+w.count("SELECT COUNT(*) FROM quarantine") != 0 || len(w.woke) > 0 {
			t.Errorf("%+v", a)
		}
	})
}

func TestWhatIsRefusedAsAWholeStoresNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, false)
		body := `{"records":[` + order("1", 1, "10", "ana@example.com") + `]}`
		with := func(name, value string) http.Header {
			h := signed(body)
			h.Set(name, value)
			return h
		}
		late := http.Header{"Content-Type": {"application/json"}}
		timestamp, signature := push.Sign(secret, wall.Add(-6*time.Minute), []byte(body))
		late.Set(push.HeaderTimestamp, timestamp)
		late.Set(push.HeaderSignature, signature)
		long := strings.Repeat(" ", push.MaxBody) + body
		many := `{"records":[` + strings.TrimSuffix(strings.Repeat("{},", push.MaxRecords+1), ",") + `]}`
		for name, c := range map[string]struct {
			shop   string
			h      http.Header
			body   string
			status int
		}{
			"unknown shop":  {"elsewhere", signed(body), body, 404},
			"form":          {"till", with("Content-Type", "application/x-www-form-urlencoded"), body, 415},
			"compressed":    {"till", with("Content-Encoding", "gzip"), body, 415},
			"changed body":  {"till", signed(body), strings.Replace(body, "10", "11", 1), 401},
			"old signature": {"till", late, body, 401},
			"too large":     {"till", signed(long), long, 413},
			"too many":      {"till", signed(many), many, 413},
			"not JSON":      {"till", signed("records"), "records", 400},
		} {
			a := w.r.Receive(t.Context(), c.shop, c.h, []byte(c.body))
			if a.Status != c.status || !bytes.Contains(a.Body, []byte(`"error"`)) {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM orders") + w.count("SELECT COUNT(*) FROM push_versions") + w.count("SELECT COUNT(*) FROM quarantine"); n != 0 {
			t.Errorf("%d rows were stored", n)
		}
	})
}

// B15: a withdrawal stays one, whoever says otherwise later and whatever is sent again.
func TestB15_APushedConsentRaisesNobodyWhoWithdrew(t *testing.T) {
	say := func(id, state, at string) string {
		return fmt.Sprintf(`{"kind":"consent","id":%q,"data":{"email":"ana@example.com","state":%q,"at":%q,"text":"May we write to you?","source":"till 3","ip":"203.0.113.9"}}`, id, state, at)
	}
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := open(t, db, false)
		state := func() (s string) {
			if err := db.Read().GetContext(t.Context(), &s, "SELECT state FROM consent_state"); err != nil {
				t.Fatal(err)
			}
			return s
		}
		for i, c := range []struct{ record, want string }{
			{say("1", "granted", "2026-11-19T10:00:00Z"), crm.ConsentGranted},
			{say("2", "withdrawn", "2026-11-19T11:00:00Z"), crm.ConsentWithdrawn},
			{say("1", "granted", "2026-11-19T10:00:00Z"), crm.ConsentWithdrawn},
			{say("3", "granted", "2026-11-19T12:00:00Z"), crm.ConsentWithdrawn},
		} {
			if a := w.records(c.record); a.Status != 202 || a.Rejected > 0 {
				t.Fatalf("%+v", a)
			}
			if got := state(); got != c.want {
				t.Errorf("step %d: %s, want %s", i, got, c.want)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM consents"); n != 2 {
			t.Errorf("%d entries in the ledger", n)
		}
	})
}

// FuzzReceive: whatever the bytes, nothing is written unless the answer is 202.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(`{"records":[` + order("1", 1, "10", "ana@example.com") + `,{}]}`))
	f.Add([]byte(`{"history":true,"records":[{"kind":"event","id":1,"data":{"name":"x","email":"a@b.example","at":"2026-11-19T10:00:00Z"}}]}`))
	f.Add([]byte(`{"records":[{"kind":"cart","id":"c","sequence":1,"data":{"currency":"XXX","active_at":"2026-11-19T10:00:00Z","lines":[{}]}}]`))
	w := open(f, servers.Open(f, store.SQLite, store.Options{}), false)
	rows := func() int {
		return w.count("SELECT (SELECT COUNT(*) FROM push_versions)+(SELECT COUNT(*) FROM quarantine)+(SELECT COUNT(*) FROM contacts)")
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w.t = t
		before := rows()
		a := w.r.Receive(t.Context(), "till", signed(string(body)), body)
		if a.Status != 202 && rows() != before || a.Status >= 500 || !json.Valid(a.Body) {
			t.Fatalf("%d %s: %d rows, then %d", a.Status, a.Body, before, rows())
		}
	})
}
